"""Figure of rollouts: how far network and law stray from the truth, and what becomes of the energy.

Shapes: S trajectories, T frames.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from gnn_distill.arrays import Array
from gnn_distill.report.style import BLACK, BLUE, GREY, ORANGE
from gnn_distill.runs.load import Run

MOVERS = {"network": ("network", BLUE), "law": ("distilled law", ORANGE)}
SMALLEST = 1e-12


def rollout(run: Run, arrays: dict[str, Any]) -> Figure | None:
    """Error of the positions over time, or how far particles get where steps are random; energy drift."""
    stored = run.rollout()
    if stored is None:
        return None
    drift, random = "true_drift" in stored, "true_spread" in stored
    figure = Figure(figsize=(9.2 if drift else 6.4, 3.8), layout="compressed")
    panels = figure.subplots(1, 1 + drift, squeeze=False)[0]
    times = stored["times"] - stored["times"][0]
    for name, (label, colour) in MOVERS.items():
        _band(panels[0], times, stored[f"{name}_{'spread' if random else 'error'}"], colour, label)
        if drift:
            _band(panels[1], times, stored[f"{name}_drift"], colour, label)
    size = stored["true_positions"]
    moved = np.sqrt(((size - size[:, :1]) ** 2).sum(-1).mean(-1))
    _band(panels[0], times, moved, GREY, "way that particles went")
    measured = "displacement of a particle (rms)" if random else "error of a position (rms)"
    panels[0].set(xlabel="time", ylabel=measured)
    if drift:
        _band(panels[1], times, stored["true_drift"], BLACK, "true trajectory, as stored")
        panels[1].set(xlabel="time", ylabel="relative drift of the energy")
    shown = {line.get_label(): line for axes in panels for line in axes.get_lines()}
    figure.legend(shown.values(), shown.keys(), loc="outside upper center", ncols=len(shown))
    return figure


def caption(run: Run) -> str:
    """The medians at the end, in words."""
    summary = (run.law or {}).get("rollouts") or {}
    ends = [
        f"{summary[name]['position_error']:.2g} after a time of {summary[name]['until']:.3g} for the {label}"
        + (f" (ended there: {why})" if (why := summary[name].get("ended")) else "")
        for name, (label, _) in MOVERS.items()
        if summary.get(name, {}).get("position_error") is not None
    ]
    shares = [
        f"{share:.2f} for the {label}"
        for name, (label, _) in MOVERS.items()
        if (share := summary.get(name, {}).get("spread")) is not None
    ]
    if shares:
        compared = "How far particles get, as a share of how far the real ones got"
        return f"Steps are random, so no path is foretold. {compared}: {' and '.join(shares)}."
    if not ends:
        return ""
    return f"The median error of {summary['trajectories']} trajectories is {' and '.join(ends)}."


def _band(axes: Axes, times: Array, values: Array, colour: str, label: str) -> None:
    """Median over trajectories [S, T] and the quartiles around it, from the second frame on."""
    known = np.isfinite(values).any(axis=0) & (times > 0)
    low, middle, high = np.nanquantile(np.maximum(values[:, known], SMALLEST), [0.25, 0.5, 0.75], axis=0)
    axes.fill_between(times[known], low, high, color=colour, alpha=0.18, linewidth=0)
    axes.plot(times[known], middle, color=colour, linewidth=1.8, label=label)
    axes.set_yscale("log")
