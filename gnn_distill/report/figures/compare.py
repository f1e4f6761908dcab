"""Figures over several runs: sparsity of two networks side by side, active dimensions of several schedules.

They take plain arrays, so that sweeps and notebooks can feed them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from gnn_distill.report.style import BLUE, GREEN, GREY, ORANGE

LINES = ((BLUE, "-"), (ORANGE, "--"), (GREEN, "-."), (GREY, ":"))
DECADES = 1e-4


def importance_side_by_side(
    left: npt.ArrayLike,
    right: npt.ArrayLike,
    names: tuple[str, str] = ("standard", "l1"),
    components: int = 2,
) -> Figure:
    """Standard deviation of every message dimension of two networks, sorted, on a common axis.

    Args:
        left: importance per message dimension [M], as in `analysis.json` under `importance.values`.
        right: that of the other network.
        names: of the two.
        components: how many dimensions a force has; that many are marked.
    """
    figure = Figure(figsize=(8.2, 3.6), layout="constrained")
    panels = figure.subplots(1, 2, sharey=True)
    sorted_values = [np.sort(np.asarray(v, dtype=np.float64))[::-1] for v in (left, right)]
    high = max((float(v[0]) for v in sorted_values if len(v)), default=1.0) or 1.0
    least = min((float(v[v > 0].min()) for v in sorted_values if (v > 0).any()), default=high)
    for axes, values, name in zip(panels, sorted_values, names, strict=True):
        place = np.arange(1, len(values) + 1)
        first = place <= components
        share = values**2 / max(float((values**2).sum()), 1e-300)
        axes.bar(
            place[first],
            values[first],
            color=ORANGE,
            label=f"first {components}: {_percent(share[first].sum())}",
        )
        axes.bar(place[~first], values[~first], color=BLUE, label=f"others: {_percent(share[~first].sum())}")
        axes.set(
            yscale="log", ylim=(max(DECADES * high, least / 2), 3 * high), xlim=(0.4, len(values) + 0.6),
            title=name, xlabel="rank of the message dimension",
        )  # fmt: skip
        axes.xaxis.set_major_locator(MaxNLocator(6, integer=True, min_n_ticks=2))
        axes.legend(loc="upper right", title="of the variance")
    panels[0].set_ylabel("standard deviation over test edges")
    return figure


def active_dimensions(runs: Mapping[str, Sequence[float]], components: int = 2) -> Figure:
    """Active message dimensions in each epoch, one line per run.

    Args:
        runs: name of each run, or of its schedule, and its active dimensions epoch by epoch, as in the column
            `active_dims` of `metrics.csv`.
        components: dimensions that a force has, marked by a line.
    """
    figure = Figure(figsize=(6.2, 3.6), layout="constrained")
    axes = figure.subplots()
    for k, (name, active) in enumerate(runs.items()):
        colour, style = LINES[k % len(LINES)]
        epoch = np.arange(1, len(active) + 1)
        axes.step(epoch, active, where="mid", color=colour, linestyle=style, linewidth=2, label=name)
    axes.axhline(components, color=GREY, linewidth=0.9)
    axes.annotate(
        f"{components}, as many as a force has", (0.0, components), (4, 4), ha="left",
        xycoords=("axes fraction", "data"), textcoords="offset points", fontsize=9, color="#444444",
    )  # fmt: skip
    top = max((max(a) for a in runs.values() if len(a)), default=1.0)
    axes.set(xlabel="epoch", ylabel="active message dimensions", ylim=(0, 1.08 * top))
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.legend(loc="upper right")
    return figure


def _percent(share: float) -> str:
    return f"{100 * share:.3g} %"
