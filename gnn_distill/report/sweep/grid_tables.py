"""Table 1: the pruning grid."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from gnn_distill.report import published
from gnn_distill.report.sweep.entries import Entry
from gnn_distill.report.sweep.tables import Cell, Score, Table, count, mean_r2, measured
from gnn_distill.report.text import r2_text
from gnn_distill.runs.grid import validation_r2
from gnn_distill.runs.sweep import Sweep

SCHEDULES, ENDS = ("linear", "exp", "cosine"), (0.65, 0.75, 0.85)


def grids(found: Sequence[Entry], sweeps: Sequence[Sweep]) -> list[Table]:
    """Table 1 for each system and variant that was pruned in more than one way."""
    scores: list[tuple[str, str, Score]] = [
        ("", "robust R² against the force", mean_r2("force", "robust")),
        ("_best", "robust R² in the best gauge", mean_r2("best", "robust")),
        ("_validation", "robust R² in the best gauge, on validation graphs", validation_r2),
    ]
    made = []
    for system, variant in dict.fromkeys((e.system, e.variant) for e in found if e.pruning):
        mine = [e for e in found if e.pruning and (e.system, e.variant) == (system, variant)]
        if len({e.pruning for e in mine}) > 1:
            made += [_grid(mine, sweeps, *score) for score in scores]
    return made


def _grid(mine: list[Entry], sweeps: Sequence[Sweep], suffix: str, what: str, score: Score) -> Table:
    system, variant = mine[0].system, mine[0].variant
    usual = variant == "pruning"
    known = system == "charge" and usual and score is not validation_r2
    ways = {_place(e) for e in mine}
    rows = tuple(dict.fromkeys([*SCHEDULES, *sorted(name for name, _ in ways)]))
    ends = sorted({*ENDS, *(end for _, end in ways)})
    cells = tuple(
        tuple(
            Cell(
                tuple(
                    measured([e for e in mine if e.sweep == k and _place(e) == (row, end)], score)
                    for k in range(len(sweeps))
                ),
                published.PRUNING_GRID.get(row.partition(",")[0], {}).get(end) if known else None,
            )
            for end in ends
        )
        for row in rows
    )
    note = "Rows: pruning schedule; columns: fraction of the epochs after which it is done."
    note += _best(cells, rows, ends)
    place = ([] if system == "charge" else [system]) + ([] if usual else [variant])
    name = "_".join([f"table1{suffix}", *(re.sub(r"\W+", "_", part) for part in place)])
    title = f"Table 1: pruning grid on {system}{'' if usual else f', {variant}'}, {what}"
    columns = tuple(f"{end:g}" for end in ends)
    return Table(name, title, note + count(cells, sweeps, "r2", 4), "r2", rows, columns, 4, cells)


def _place(entry: Entry) -> tuple[str, float]:
    """Row and column of a run: its schedule with settings that other runs do not share, its end fraction."""
    schedule, end = entry.pruning or ("", 0.0)
    return (f"{schedule}, {entry.extra}" if entry.extra else schedule), end


def _best(cells: tuple[tuple[Cell, ...], ...], rows: tuple[str, ...], ends: list[float]) -> str:
    scored: list[tuple[Any, str, float]] = [
        (cell.measured[0].mean, row, end)
        for row, line in zip(rows, cells, strict=True)
        for end, cell in zip(ends, line, strict=True)
        if cell.measured[0].mean is not None
    ]
    if len(scored) < 2:
        return ""
    value, row, end = max(scored)
    return f" Best: {row}, {end:g} ({r2_text(value)})."
