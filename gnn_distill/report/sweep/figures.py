"""Figures over the runs of sweeps."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from textwrap import fill

import matplotlib
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from gnn_distill.report import published
from gnn_distill.report.style import BLACK, BLUE, GREEN, GREY, ORANGE, PINK, look, plain_ticks, save, single

COLOURS = {"linear": BLUE, "exp": ORANGE, "cosine": GREEN}
VARIANT_COLOURS = dict(zip(published.VARIANTS, (GREY, BLUE, ORANGE, PINK, GREEN), strict=True))
DASHES = ("-", "--", ":", "-.")
USUAL_END = 0.75
COLUMNS = 2
TITLE = 44  # characters of a line of a panel's title
SHORT = 10  # characters of a name of which more than `FITTING` still stand side by side
FITTING = 5  # names of variants that find room below a panel at the usual size

MEASURES = (
    ("pull-back", "pullback_robust", GREEN, "D"),
    ("best gauge", "best_robust", BLUE, "o"),
    ("force", "force_robust", ORANGE, "s"),
)


def active_dims(runs: pd.DataFrame) -> Figure | None:
    """Active message dimensions against the epoch, for each pruning schedule."""
    pruned = runs[runs["schedule"].notna() & runs["trained"]]
    if pruned.empty:
        return None
    first = pruned.drop_duplicates(["schedule", "end"]).sort_values(["schedule", "end"])
    usual = first[first["end"] == USUAL_END]
    shown = usual if len(usual) > 1 else first
    ends = sorted(shown["end"].unique())
    figure, axes = single(3.8)
    for e in shown.itertuples():
        epoch, active = ([row[key] for row in e.job.run.metrics] for key in ("epoch", "active_dims"))
        colour, dash = COLOURS.get(e.schedule, BLACK), DASHES[ends.index(e.end) % len(DASHES)]
        label = f"{e.schedule}, {e.end:g}"
        axes.step(np.array(epoch) + 1, active, where="mid", color=colour, linestyle=dash, label=label)
    axes.set(xlabel="epoch", ylabel="active message dimensions", title="Pruning schedules", ylim=(0, None))
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.legend(title="schedule, done after")
    return figure


def sparsity(runs: pd.DataFrame) -> Figure | None:
    """Standard deviation of every message dimension, largest first, for each law."""
    groups: dict[str, dict[str, list[float]]] = {}
    for e in runs.itertuples():
        if e.variant in ("standard", "l1") and (std := (e.job.run.analysis or {}).get("std")):
            groups.setdefault(e.row, {}).setdefault(e.variant, std)
    groups = {row: pair for row, pair in groups.items() if len(pair) == 2}
    if not groups:
        return None
    figure, panels = _panels(len(groups))
    for axes, (row, pair) in zip(panels, groups.items(), strict=True):
        for variant, label, width in (("standard", "standard", 3.0), ("l1", "L1", 1.5)):
            std = np.sort(np.array(pair[variant], dtype=float))[::-1]
            top = std[0] or 1.0
            colour, rank = VARIANT_COLOURS[variant], np.arange(1, len(std) + 1)
            axes.plot(rank, std / top, color=colour, linewidth=width, label=label)
        axes.set(title=fill(row, TITLE), yscale="log", ylim=(1e-6, 2), xlabel="rank of the dimension")
        axes.set_ylabel("std / largest std")
        plain_ticks(axes.yaxis, minor=False)
        axes.legend()
    return figure


def scores(runs: pd.DataFrame) -> Figure | None:
    """R² against the force, in the best gauge and by pull-back, beside the published values."""
    scored = runs[runs["force_robust"].notna()]
    if scored.empty:
        return None
    systems = [(system, mine, _places(mine)) for system, mine in scored.groupby("system", sort=False)]
    crowded = max(len(names) for *_, names in systems) > FITTING
    wide = crowded and max(len(name) for *_, names in systems for name in names.values()) > SHORT
    figure, panels = _panels(len(systems), wide)
    for axes, (system, mine, names) in zip(panels, systems, strict=True):
        index = {kind: k for k, kind in enumerate(names)}
        x = np.array([index[kind] for kind in zip(mine["variant"], mine["label"], strict=True)])
        for label, column, colour, marker in MEASURES:
            y = mine[column].to_numpy(dtype=float)  # NaN is not drawn
            axes.plot(x, np.maximum(y, 0.0), marker, color=colour, label=label, markersize=6, alpha=0.8)
        known = published.ROBUST_R2.get(mine["law"].iloc[0], {}) if mine["usual"].iloc[0] else {}
        marks = [(k, known[variant]) for (variant, _), k in index.items() if variant in known]
        if marks:
            axes.plot(*zip(*marks, strict=True), "_", color=BLACK, markersize=16, mew=1.5, label="published")
        axes.set(title=system, ylim=(-0.05, 1.08), ylabel="robust R²", xlim=(-0.5, len(names) - 0.5))
        axes.set_xticks(range(len(names)), list(names.values()), fontsize=8.5 if crowded else 11)
        if wide:
            axes.tick_params(axis="x", rotation=35)
            for tick in axes.get_xticklabels():
                tick.set(ha="right", rotation_mode="anchor")
    panels[0].legend(loc="lower right", fontsize=8.5)
    return figure


def _places(mine: pd.DataFrame) -> dict[tuple[str, str], str]:
    """What has a place on the axis, variants in the published order, and what it is called there."""
    known = [*published.VARIANTS, *mine["variant"]]
    every = set(zip(mine["variant"], mine["label"], strict=True))
    kinds = sorted(every, key=lambda kind: (min(known.index(kind[0]), len(published.VARIANTS)), kind))
    several = mine["variant"].nunique() > 1
    return {
        (variant, label): ", ".join([variant] * (several or not label) + [label] * bool(label))
        for variant, label in kinds
    }


def losses(runs: pd.DataFrame) -> Figure | None:
    """Validation loss against the epoch, for each law."""
    trained = runs[runs["trained"]]
    if trained.empty:
        return None
    rows = list(trained.groupby("row", sort=False))
    figure, panels = _panels(len(rows))
    for axes, (row, mine) in zip(panels, rows, strict=True):
        for e in mine.drop_duplicates("variant").itertuples():
            points = [(m["epoch"] + 1, m.get("val_mae_per_graph", np.nan)) for m in e.job.run.metrics]
            colour = VARIANT_COLOURS.get(e.variant, BLACK)
            axes.plot(*zip(*points, strict=True), color=colour, label=e.variant)
        axes.set(title=fill(row, TITLE), yscale="log", xlabel="epoch", ylabel="validation mae_per_graph")
        plain_ticks(axes.yaxis)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.legend(fontsize=8.5)
    return figure


def _panels(count: int, wide: bool = False) -> tuple[Figure, list[Axes]]:
    columns = 1 if wide else min(COLUMNS, count)
    rows = -(-count // columns)
    size = (8.4, 3.9 * rows) if wide else (4.6 * columns + 0.4, 3.1 * rows + 0.2)
    figure = Figure(figsize=size, layout="constrained")
    panels = list(figure.subplots(rows, columns, squeeze=False).ravel())
    for axes in panels[count:]:
        axes.remove()
    return figure, panels[:count]


FIGURES: dict[str, Callable[[pd.DataFrame], Figure | None]] = {
    "scores": scores,
    "active_dims": active_dims,
    "sparsity": sparsity,
    "losses": losses,
}
"""In the order of the page; what is seen in them stands in `captions.yaml`."""


def draw_across(runs: pd.DataFrame, folder: Path) -> dict[str, Path]:
    """Draw the figures that the runs allow, and remove those that they no longer support."""
    drawn = {}
    for name, draw in FIGURES.items():
        path = folder / f"{name}.png"
        # Names are text, whatever is in them: matplotlib sets no formulas here.
        with look(), matplotlib.rc_context({"text.parse_math": False}):
            if save(draw(runs), path):
                drawn[name] = path
    return drawn
