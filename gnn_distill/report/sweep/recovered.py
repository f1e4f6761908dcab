"""Table 5: which components gave the law, by each target of symbolic regression."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from gnn_distill.report import published
from gnn_distill.report.sweep.entries import Entry
from gnn_distill.report.sweep.tables import Cell, Measured, Table, empty_state, frame, published_law
from gnn_distill.runs.load import Run
from gnn_distill.runs.sweep import Sweep

TARGETS = {
    "components_raw": "the published way: raw message components",
    "components": "message components",
    "pullback": "by pull-back",
}


def section(run: Run, target: str) -> dict[str, Any] | None:
    """The part of `equations.json` that belongs to a target; None if it was not searched for."""
    content = run.equations or {}
    if content.get("target") == target:
        return content
    others = content.get("also")
    found = others.get(target) if isinstance(others, dict) else None
    return found if isinstance(found, dict) else None


def marks(run: Run, target: str) -> list[str] | None:
    """✓ with its marks, or ✗, for each component; None where there is no verdict."""
    components = (section(run, target) or {}).get("components") or []
    verdicts = [entry["verdict"] for entry in components if isinstance(entry.get("verdict"), dict)]
    if not verdicts or len(verdicts) < len(components):
        return None
    return [f"✓{v.get('marks') or ''}" if v.get("recovered") is True else "✗" for v in verdicts]


def recovered_tables(found: Sequence[Entry], sweeps: Sequence[Sweep]) -> list[Table]:
    """A table for each target that some run has searched for."""
    return [
        _table(found, sweeps, target, words)
        for target, words in TARGETS.items()
        if any(section(e.run, target) for e in found)
    ]


def _table(found: Sequence[Entry], sweeps: Sequence[Sweep], target: str, words: str) -> Table:
    rows, columns = frame(found)
    cells = tuple(
        tuple(
            Cell(
                tuple(_measured(found, k, row, column, target) for k in range(len(sweeps))),
                _published(published_law(found, row), column),
            )
            for column in columns
        )
        for row in rows
    )
    note = "One mark for each component; seeds are parted by |."
    note += _count(rows, cells, {e.system for e in found}, sweeps)
    return Table(f"table5_{target}", f"Table 5: recovered, {words}", note, "marks", rows, columns, 0, cells)


def _published(law: str | None, column: str) -> str | None:
    return " ".join(published.RECOVERED.get(law or "", {}).get(column, ())) or None


def _measured(found: Sequence[Entry], sweep: int, row: str, column: str, target: str) -> Measured:
    group = [e for e in found if (e.sweep, e.row, e.variant) == (sweep, row, column)]
    verdicts = [m for m in (marks(e.run, target) for e in group) if m]
    if not verdicts:
        return Measured(state=empty_state(group))
    return Measured(marks=tuple(" ".join(m) for m in verdicts), state="done")


def _count(
    rows: Sequence[str], cells: tuple[tuple[Cell, ...], ...], systems: set[str], sweeps: Sequence[Sweep]
) -> str:
    """Components recovered: of what is published, and of other variants and settings."""
    text = ""
    for k, sweep in enumerate(sweeps):
        every = [
            (row in systems and cell.published is not None, mark)
            for row, line in zip(rows, cells, strict=True)
            for cell in line
            for mark in _marks(cell.measured[k])
        ]
        known, new = ([mark for published, mark in every if published is which] for which in (True, False))
        name = f" ({sweep.name})" if len(sweeps) > 1 else ""
        if known:
            text += f" {_share(known)} components recovered{name}; published: 26 of 40."
        if new:
            text += f" {'Beside them' if known else 'Recovered'}{name}: {_share(new)}."
    return text


def _marks(measured: Measured) -> list[str]:
    return [mark for marks in measured.marks for mark in marks.split()]


def _share(every: Sequence[str]) -> str:
    return f"{sum(mark.startswith('✓') for mark in every)} of {len(every)}"
