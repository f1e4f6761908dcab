"""Tables over runs, the published value beside each cell."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, NamedTuple

import pandas as pd
import yaml

from gnn_distill.report import published
from gnn_distill.report.sweep.formats import LATEX, csv_text
from gnn_distill.report.text import in_markdown, number, r2_text

SCHEDULES, ENDS = ("linear", "exp", "cosine"), (0.65, 0.75, 0.85)


class Measure(NamedTuple):
    """A table to be made, as `tables.yaml` describes it; `reference` are the published numbers."""

    name: str
    title: str
    note: str
    kind: Literal["r2", "loss", "marks"]
    column: str
    reference: dict[str, Any] = {}
    digits: int = 4


def _measures(rows: Sequence[dict[str, Any]]) -> list[Measure]:
    return [Measure(**row | {"reference": getattr(published, row.get("reference", ""), {})}) for row in rows]


BY_VARIANT, GRIDS = map(_measures, yaml.safe_load(Path(__file__).with_name("tables.yaml").read_text("utf-8")))


@dataclass(frozen=True, repr=False)
class Table:
    """A table of means over seeds; published values stand in brackets.

    Attributes:
        name: of its files.
        title: one line.
        note: what a reader has to know, with counts of its cells.
        cells: a line for each `row`, `column` and `sweep` (the index, in the order of the page). `mean` and
            `sd` of `values`, which are as many as `seeds`; or `marks` of each component, seeds parted by |;
            `state`: done, or why there is nothing: failed, unfinished, missing, not defined; `published`: the
            number or the marks, `beside`: the same as the source prints it; `text`: the cell in words;
            `good`: whether the mean is at least as good as published.
    """

    name: str
    title: str
    note: str
    cells: pd.DataFrame

    @property
    def rows(self) -> list[str]:
        """Names of the rows."""
        return list(self.cells.index.unique("row"))

    @property
    def columns(self) -> list[str]:
        """Names of the columns."""
        return list(self.cells.index.unique("column"))

    @property
    def means(self) -> pd.DataFrame:
        """Rows × columns of means over seeds, of the first sweep; NaN for an empty cell."""
        means = self.cells["mean"].xs(0, level="sweep").unstack("column")
        return means.reindex(index=self.rows, columns=self.columns)

    def wide(self, letters: Sequence[str] = ("",)) -> pd.DataFrame:
        """Rows × columns of text: a line for each sweep, named by its letter if there are several."""
        sweep = self.cells.index.get_level_values("sweep")
        head = [f"{letters[k]}: " if len(letters) > 1 else "" for k in sweep]
        beside = self.cells["beside"].where(sweep == len(letters) - 1)  # once, behind the last sweep
        tail = [f" ({text})" if isinstance(text, str) else "" for text in beside]
        lines = (head + self.cells["text"] + tail).groupby(["row", "column"]).agg("\n".join)
        return lines.unstack("column").reindex(index=self.rows, columns=self.columns)

    def markdown(self, letters: Sequence[str] = ("",)) -> str:
        """A section with the table."""
        wide = self.wide(letters).map(lambda text: "<br>".join(map(in_markdown, text.split("\n"))))
        head = f"| | {' | '.join(map(in_markdown, wide.columns))} |\n|{'---|' * (len(wide.columns) + 1)}\n"
        body = "".join(f"| {' | '.join([in_markdown(row), *cells])} |\n" for row, *cells in wide.itertuples())
        return f"### {in_markdown(self.title)}\n\n{in_markdown(self.note)}\n\n{head}{body}"

    def latex(self, letters: Sequence[str] = ("",)) -> str:
        r"""A `table` environment for booktabs and amssymb."""
        wide = self.wide(letters).map(lambda text: text.translate(LATEX).split("\n"))
        wide = wide.explode(self.columns).reset_index()
        wide["row"] = wide["row"].str.translate(LATEX).mask(wide["row"].duplicated(), "")
        wide.columns = ["", *(column.translate(LATEX) for column in self.columns)]
        return wide.style.hide(axis="index").to_latex(
            hrules=True,
            position_float="centering",
            column_format="l" + "c" * len(self.columns),
            caption=f"{self.title}. {self.note} Published values in brackets.".translate(LATEX),
            label=f"tab:{self.name}",
        )

    def csv(self, names: Sequence[str]) -> str:
        """A line for each cell and sweep."""
        cells = self.cells.drop(columns=["beside", "text", "good"]).reset_index()
        cells["sweep"] = [names[k] for k in cells["sweep"]]
        cells.insert(0, "table", self.name)
        return csv_text(cells)

    def __repr__(self) -> str:
        return self.markdown()

    _repr_markdown_ = __repr__  # what a notebook shows


def tables(runs: pd.DataFrame, names: Sequence[str]) -> list[Table]:
    """All tables that the runs have something for, in the order of the report.

    Args:
        runs: of all sweeps, as `frame` gives them.
        names: of the sweeps.
    """
    if runs.empty:
        return []
    rows, columns = places(runs)
    laws = {row: _published_law(runs, row) for row in rows}
    index = _index(rows, columns, names)
    made = _grids(runs, names)
    for measure in BY_VARIANT:
        if measure.kind == "marks" and runs[measure.column].isna().all():
            continue
        known = {(r, c): measure.reference.get(laws[r] or "", {}).get(c) for r in rows for c in columns}
        cells = _cells(measure, runs, ("row", "variant"), index, known)
        note = measure.note + (_beats(runs) if measure.name == "law" else "")
        note += _recovered(cells, runs, names) if measure.kind == "marks" else _as_good(cells, names)
        made.append(Table(measure.name, measure.title, note, cells))
    return made


def _grids(runs: pd.DataFrame, names: Sequence[str]) -> list[Table]:
    """Table 1 for each system and variant that was pruned in more than one way."""
    pruned = runs[runs["schedule"].notna()].copy()
    # Settings that tell runs of one schedule apart make rows of their own.
    pruned["way"] = [", ".join(filter(None, pair)) for pair in pruned[["schedule", "extra"]].to_numpy()]
    pruned["done"] = [f"{end:g}" for end in pruned["end"]]
    made = []
    for (system, variant), mine in pruned.groupby(["system", "variant"], sort=False):
        if len(mine[["schedule", "end"]].drop_duplicates()) < 2:
            continue
        rows = list(dict.fromkeys([*SCHEDULES, *sorted(mine["way"])]))
        columns = [f"{end:g}" for end in sorted({*ENDS, *mine["end"]})]
        place = [system] * (system != "charge") + [variant] * (variant != "pruning")
        of_variant = f", {variant}" if variant != "pruning" else ""
        for measure in GRIDS:
            numbers = {} if place else measure.reference
            ways = {row: numbers.get(row.partition(",")[0], {}) for row in rows}
            known = {(row, end): ways[row].get(float(end)) for row in rows for end in columns}
            cells = _cells(measure, mine, ("way", "done"), _index(rows, columns, names), known)
            name = "_".join([measure.name, *(re.sub(r"\W+", "_", part) for part in place)])
            title = f"Table 1: pruning grid on {system}{of_variant}, {measure.title}"
            made.append(Table(name, title, measure.note + _best(cells) + _as_good(cells, names), cells))
    return made


def _index(rows: Sequence[str], columns: Sequence[str], names: Sequence[str]) -> pd.MultiIndex:
    return pd.MultiIndex.from_product([rows, columns, range(len(names))], names=["row", "column", "sweep"])


def _cells(
    measure: Measure,
    runs: pd.DataFrame,
    by: tuple[str, str],
    index: pd.MultiIndex,
    known: dict[tuple[str, str], Any],
) -> pd.DataFrame:
    """The cells of a table: runs gathered by two columns of the frame, and by sweep."""
    groups = {key: group for key, group in runs.groupby([*by, "sweep"])}
    made = [_cell(measure, groups.get(key, runs.iloc[:0]), known[key[:2]]) for key in index]
    return pd.DataFrame(made, index=index)


def _cell(measure: Measure, group: pd.DataFrame, known: Any) -> dict[str, Any]:
    found = group[measure.column].dropna()
    found = found[found != ""]
    scores = found.iloc[:0].astype(float) if measure.kind == "marks" else found.astype(float)
    mean, sd, state = scores.mean(), scores.std(), "done" if len(found) else _why_empty(group)
    marks = " | ".join(found) if measure.kind == "marks" else ""
    text = (r2_text if measure.kind == "r2" else number)(mean)
    text += f" ± {number(sd, 2)}" if len(scores) > 1 else ""
    beside = " ".join(known or ()) or None if measure.kind == "marks" else known
    return {
        "mean": mean,
        "sd": sd,
        "seeds": len(found),
        "marks": marks,
        "state": state,
        "published": beside,
        "values": " ".join(map(repr, scores.tolist())),
        "beside": f"{beside:.{measure.digits}f}" if isinstance(beside, float) else beside,
        "text": marks or (text if len(scores) else state),
        "good": isinstance(beside, float) and _reached(mean, beside, measure),
    }


def _reached(ours: float, theirs: float, measure: Measure) -> bool:
    """Whether a value is at least as good as a published one; an R² is rounded as the published one was."""
    return ours <= theirs if measure.kind == "loss" else round(ours, measure.digits) >= theirs


def _why_empty(group: pd.DataFrame) -> str:
    states = set(group["state"])
    if "failed" in states:
        return "failed"
    return "not defined" if "complete" in states else "unfinished" if states else "missing"


def places(runs: pd.DataFrame) -> tuple[list[str], list[str]]:
    """Rows and columns of a table by law and variant.

    Where the runs cover more than one published law, or variant, all published ones have their place: what
    is missing can be seen. Not so where most runs are there to compare settings.
    """
    labelled, variants = runs["label"] != "", set(runs["variant"])
    order = ["law", "n", "dim", "labelled"]
    placed = runs.assign(labelled=labelled).sort_values(order, kind="stable", na_position="first")
    rows = list(placed["row"].unique())
    columns = [variant for variant in published.VARIANTS if variant in variants]
    other = sorted(variants - set(columns))
    laws = set(runs["law"]) & set(published.TEST_LOSS)
    if 2 * labelled.sum() <= len(runs):
        if len(laws) > 1:
            rows = list(dict.fromkeys([*rows, *(law for law in published.TEST_LOSS if law not in laws)]))
        if len(columns) > 1:
            columns = list(published.VARIANTS)
    return rows, [*columns, *other]


def _published_law(runs: pd.DataFrame, row: str) -> str | None:
    """The law that a row's published values belong to; None where nothing was published for its setting."""
    mine = runs[runs["row"] == row]
    if mine.empty:  # nothing was run of a published law
        return row
    return mine["law"].iloc[0] if mine["usual"].iloc[0] else None


def _best(cells: pd.DataFrame) -> str:
    """The best cell of the first sweep."""
    means = cells["mean"].xs(0, level="sweep").dropna()
    if len(means) < 2:
        return ""
    row, end = means.idxmax()
    return f" Best: {row}, {end} ({r2_text(means.max())})."


def _beats(runs: pd.DataFrame) -> str:
    """In how many runs the law is more accurate than the network that it came from."""
    known = runs[["law_mae", "mae"]].dropna()
    lower = (known["law_mae"] < known["mae"]).sum()
    return f" Lower than the network's in {lower} of {len(known)} runs." if len(known) else ""


def _as_good(cells: pd.DataFrame, names: Sequence[str]) -> str:
    """How many cells of each sweep are at least as good as published."""
    text = ""
    for k, name in enumerate(names):
        good = cells.xs(k, level="sweep").dropna(subset=["mean", "published"])["good"]
        of_sweep = f" ({name})" if len(names) > 1 else ""
        if len(good):
            text += f" At least as good as published in {good.sum()} of {len(good)} cells{of_sweep}."
    return text


def _recovered(cells: pd.DataFrame, runs: pd.DataFrame, names: Sequence[str]) -> str:
    """Components recovered in each sweep: of what is published, and of other variants and settings."""
    text = ""
    for k, name in enumerate(names):
        mine = cells.xs(k, level="sweep")
        # Published values stand beside rows with settings of their own, too; those are none of the 40.
        same = mine["published"].notna() & mine.index.get_level_values("row").isin(runs["system"])
        known, new = (" ".join(mine.loc[which, "marks"]).replace("|", "").split() for which in (same, ~same))
        of_sweep = f" ({name})" if len(names) > 1 else ""
        if known:
            text += f" {_share(known)} components recovered{of_sweep}; published: 26 of 40."
        if new:
            text += f" {'Beside them' if known else 'Recovered'}{of_sweep}: {_share(new)}."
    return text


def _share(marks: Sequence[str]) -> str:
    return f"{sum(mark.startswith('✓') for mark in marks)} of {len(marks)}"
