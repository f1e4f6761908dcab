"""Tables over runs, each cell with the published value beside it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from gnn_distill.report import published
from gnn_distill.report.sweep.entries import Entry
from gnn_distill.report.text import mean, number, r2_text
from gnn_distill.runs.load import Run
from gnn_distill.runs.sweep import Sweep

Kind = Literal["r2", "loss", "marks"]
Score = Callable[[Run], "float | None"]
PUBLISHED_LAWS = tuple(published.TEST_LOSS)


@dataclass(frozen=True)
class Measured:
    """What the runs of one sweep gave for a cell.

    Attributes:
        values: one for each seed.
        marks: of each component, instead of values, one text for each seed.
        state: `done`, or why there is nothing: `failed`, `unfinished`, `missing`.
    """

    values: tuple[float, ...] = ()
    marks: tuple[str, ...] = ()
    state: str = "missing"

    @property
    def mean(self) -> float | None:
        """Mean over seeds."""
        return float(np.mean(self.values)) if self.values else None

    @property
    def sd(self) -> float | None:
        """Standard deviation over seeds; None for fewer than two."""
        return float(np.std(self.values, ddof=1)) if len(self.values) > 1 else None

    def text(self, kind: Kind) -> str:
        """The cell in words: mean ± sd, marks, or why it is empty."""
        if self.marks:
            return " | ".join(self.marks)
        if self.mean is None:
            return self.state
        show = r2_text if kind == "r2" else number
        return show(self.mean) + (f" ± {number(self.sd, 2)}" if self.sd is not None else "")


@dataclass(frozen=True)
class Cell:
    """A cell: what each sweep measured, and what was published."""

    measured: tuple[Measured, ...]
    published: float | str | None = None

    def published_text(self, digits: int) -> str | None:
        """The published value as the source prints it, with so many decimals."""
        if self.published is None or isinstance(self.published, str):
            return self.published
        return f"{self.published:.{digits}f}"


@dataclass(frozen=True)
class Table:
    """A table: `cells[row][column]`; `note` says what a reader has to know, with counts of its cells.

    Published values have `digits` decimals.
    """

    name: str
    title: str
    note: str
    kind: Kind
    rows: tuple[str, ...]
    columns: tuple[str, ...]
    digits: int
    cells: tuple[tuple[Cell, ...], ...]

    def good(self, ours: float | None, theirs: float | str | None) -> bool:
        """Whether a measured value is at least as good as a published number."""
        if ours is None or theirs is None or isinstance(theirs, str):
            return False
        return reached(ours, theirs, self.kind, self.digits)


def mean_r2(gauge: str, kind: str) -> Score:
    """Mean over components of one R² of `analysis.json`; `best` is the best of the three gauges."""

    def score(run: Run) -> float | None:
        analysis = run.analysis or {}
        if gauge == "best":
            return (analysis.get("best") or {}).get(f"{kind}_mean")
        return mean(((analysis.get("r2") or {}).get(gauge) or {}).get(kind) or [])

    return score


def test_loss(key: str) -> Score:
    """A loss on test graphs."""
    return lambda run: ((run.analysis or {}).get("test") or {}).get(key)


def law_loss(run: Run) -> float | None:
    """Test error of the distilled law."""
    return ((run.law or {}).get("test") or {}).get("mae")


def tables(found: Sequence[Entry], sweeps: Sequence[Sweep]) -> list[Table]:
    """All tables that the runs have something for, in the order of the report."""
    from gnn_distill.report.sweep.grid_tables import grids
    from gnn_distill.report.sweep.recovered import recovered_tables

    made = [*grids(found, sweeps), *_by_variant(found, sweeps), *recovered_tables(found, sweeps)]
    return [table for table in made if table.rows]


def _by_variant(found: Sequence[Entry], sweeps: Sequence[Sweep]) -> list[Table]:
    table = published
    return [
        _scores(found, sweeps, test_loss("mae_per_graph"), "table2", "Table 2: test loss, mae_per_graph",
                "Sum over a graph's nodes and components of the error of accelerations, on test graphs.",
                "loss", table.TEST_LOSS),
        _scores(found, sweeps, mean_r2("force", "robust"), "table3", "Table 3: robust R² against the force",
                "Mean over components; the worst 10 % of the edges are out of fit and R².",
                "r2", table.ROBUST_R2),
        _scores(found, sweeps, mean_r2("best", "robust"), "table3_best",
                "Table 3, in the best gauge: force, acceleration or fitted",
                "The published values are against the force alone.", "r2", table.ROBUST_R2),
        _scores(found, sweeps, mean_r2("pullback", "robust"), "table3_pullback",
                "Table 3, by pull-back through the node model",
                "Contributions to the acceleration against F/m₁ on y = x, nothing fitted.",
                "r2", table.ROBUST_R2),
        _scores(found, sweeps, mean_r2("force", "ols"), "table4", "Table 4: ordinary R² against the force",
                "Mean over components, all edges.", "r2", table.OLS_R2),
        _scores(found, sweeps, mean_r2("best", "ols"), "table4_best", "Table 4, in the best gauge",
                "The gauge is the one that is best by robust R².", "r2", table.OLS_R2),
        _scores(found, sweeps, mean_r2("force", "robust"), "original",
                "Robust R² against the force, beside Cranmer et al. 2020",
                f"Published: {table.P20}; four particles in two dimensions.", "r2", table.P20_R2),
        _scores(found, sweeps, test_loss("mae"), "network", "Test mae of the network",
                "Mean over nodes and components.", "loss", {}),
        _scores(found, sweeps, law_loss, "law", "Test mae of the distilled law",
                "The closed form in place of the network, on the same graphs." + _beats(found), "loss", {}),
    ]  # fmt: skip


def _beats(found: Sequence[Entry]) -> str:
    """In how many runs the law is more accurate than the network that it came from."""
    pairs = [(law_loss(e.run), test_loss("mae")(e.run)) for e in found]
    known = [(law, network) for law, network in pairs if law is not None and network is not None]
    lower = sum(law < network for law, network in known)
    return f" Lower than the network's in {lower} of {len(known)} runs." if known else ""


def _scores(
    found: Sequence[Entry],
    sweeps: Sequence[Sweep],
    score: Score,
    name: str,
    title: str,
    note: str,
    kind: Kind,
    reference: dict[str, published.Row],
) -> Table:
    rows, columns = frame(found)
    cells = tuple(
        tuple(
            Cell(
                tuple(measured([e for e in group if e.sweep == k], score) for k in range(len(sweeps))),
                reference.get(published_law(found, row) or "", {}).get(column),
            )
            for column in columns
            for group in [[e for e in found if e.row == row and e.variant == column]]
        )
        for row in rows
    )
    digits = 2 if kind == "loss" else 3 if reference is published.P20_R2 else 4
    return Table(name, title, note + count(cells, sweeps, kind, digits), kind, rows, columns, digits, cells)


def measured(group: Sequence[Entry], score: Score) -> Measured:
    """The score of each run of a cell."""
    values = [v for v in (score(entry.run) for entry in group) if v is not None]
    if values:
        return Measured(tuple(values), state="done")
    return Measured(state=empty_state(group))


def empty_state(group: Sequence[Entry]) -> str:
    """Why a cell is empty."""
    if any(entry.job.state == "failed" for entry in group):
        return "failed"
    if any(entry.job.state == "complete" for entry in group):
        return "not defined"
    return "unfinished" if group else "missing"


def frame(found: Sequence[Entry]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Rows and columns of a table by law and variant.

    Where the runs cover more than one published law, or variant, all published ones have their place: what
    is missing can be seen. Not so where most runs are there to compare settings.
    """
    order = sorted(found, key=lambda e: (e.law, e.n or 0, e.dim or 0, bool(e.label)))
    rows = dict.fromkeys(e.row for e in order)
    columns = [v for v in published.VARIANTS if any(e.variant == v for e in found)]
    other = sorted({e.variant for e in found} - set(columns))
    laws = {e.law for e in found} & set(PUBLISHED_LAWS)
    if 2 * sum(bool(e.label) for e in found) > len(found):
        return tuple(rows), (*columns, *other)
    if len(laws) > 1:
        rows = dict.fromkeys([*rows, *(law for law in PUBLISHED_LAWS if law not in laws)])
    if len(columns) > 1:
        columns = list(published.VARIANTS)
    return tuple(rows), (*columns, *other)


def published_law(found: Sequence[Entry], row: str) -> str | None:
    """The law that a row's published values belong to; None where nothing was published for its setting."""
    entry = next((e for e in found if e.row == row), None)
    usual = entry is None or (entry.n, entry.dim) == (published.SETTING["n"], published.SETTING["dim"])
    return (entry.law if entry else row) if usual else None


def reached(ours: float, theirs: float, kind: Kind, digits: int) -> bool:
    """Whether a value is at least as good as a published one; an R² is rounded as the published one was."""
    return ours <= theirs if kind == "loss" else round(ours, digits) >= theirs


def count(cells: tuple[tuple[Cell, ...], ...], sweeps: Sequence[Sweep], kind: Kind, digits: int) -> str:
    """How many cells are at least as good as published."""
    text = ""
    for k, sweep in enumerate(sweeps):
        pairs = [
            (c.measured[k].mean, c.published)
            for row in cells
            for c in row
            if isinstance(c.published, float) and c.measured[k].mean is not None
        ]
        if pairs:
            good = sum(reached(ours, theirs, kind, digits) for ours, theirs in pairs)  # type: ignore[arg-type]
            name = f" ({sweep.name})" if len(sweeps) > 1 else ""
            text += f" At least as good as published in {good} of {len(pairs)} cells{name}."
    return text
