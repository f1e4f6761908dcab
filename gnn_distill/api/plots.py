"""Figures that compare runs; those of a single one are `LoadedRun.plot`."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from gnn_distill.api.loaded import LoadedRun
from gnn_distill.errors import InputError
from gnn_distill.report.style import BLUE, GREEN, GREY, ORANGE, look, percent, single

LINES = ((BLUE, "-"), (ORANGE, "--"), (GREEN, "-."), (GREY, ":"))
DECADES = 1e-4
"""Bars that are shorter than this part of the longest are cut off."""


def plot_active_dims(runs: Mapping[str, LoadedRun], components: int = 2) -> Figure:
    """Active message dimensions against the epoch, one line for each run.

    ```python
    plot_active_dims({end: load_run(f"runs/{end}") for end in ("0.65", "0.75")})
    ```

    Args:
        runs: trained runs by the name that the legend gives them.
        components: dimensions that a force has, marked by a line.

    Raises:
        InputError: no runs, or stage train is missing in one.
    """
    if not runs:
        raise InputError("runs", {}, "give at least one run")
    active = {name: [row["active_dims"] for row in run.metrics] for name, run in runs.items()}
    with look():
        figure, axes = single(3.6)
        for k, (name, dims) in enumerate(active.items()):
            colour, style = LINES[k % len(LINES)]
            epoch = np.arange(1, len(dims) + 1)
            axes.step(epoch, dims, where="mid", color=colour, linestyle=style, linewidth=2, label=name)
        axes.axhline(components, color=GREY, linewidth=0.9)
        axes.annotate(
            f"{components}, as many as a force has", (0.0, components), (4, 4), ha="left",
            xycoords=("axes fraction", "data"), textcoords="offset points", fontsize=9, color="#444444",
        )  # fmt: skip
        top = 1.08 * max(map(max, active.values()))
        axes.set(xlabel="epoch", ylabel="active message dimensions", ylim=(0, top))
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.legend(loc="upper right")
    return figure


def plot_sparsity(left: LoadedRun, right: LoadedRun, components: int = 2) -> Figure:
    """Standard deviation of every message dimension of two runs, sorted, on a common axis.

    ```python
    plot_sparsity(load_run("runs/standard"), load_run("runs/l1"))
    ```

    Args:
        left: a run, for example of variant standard.
        right: another one, for example of variant l1.
        components: dimensions that a force has, marked.

    Raises:
        InputError: stage analyse is missing in one of them.
    """
    found = [np.sort(np.array(run.analysis["std"], dtype=float))[::-1] for run in (left, right)]
    positive = np.concatenate([std[std > 0] for std in found])
    high, low = (positive.max(), positive.min()) if len(positive) else (1.0, 1.0)
    with look():
        figure = Figure(figsize=(8.2, 3.6), layout="constrained")
        panels = figure.subplots(1, 2, sharey=True)
        for axes, std, run in zip(panels, found, (left, right), strict=True):
            rank = np.arange(1, len(std) + 1)
            first = rank <= components
            share = std**2 / ((std**2).sum() or 1.0)
            for label, part, colour in ((f"first {components}", first, ORANGE), ("others", ~first, BLUE)):
                label = f"{label}: {percent(share[part].sum(), 3)}"
                axes.bar(rank[part], std[part], color=colour, label=label)
            axes.set(
                yscale="log", ylim=(max(DECADES * high, low / 2), 3 * high), xlim=(0.4, len(std) + 0.6),
                title=str(run.config["variant"]), xlabel="rank of the message dimension",
            )  # fmt: skip
            axes.xaxis.set_major_locator(MaxNLocator(6, integer=True, min_n_ticks=2))
            axes.legend(loc="upper right", title="of the variance")
        panels[0].set_ylabel("standard deviation over test edges")
    return figure
