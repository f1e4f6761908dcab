"""Figures that compare the network with the truth on the line y = x.

Shapes: E edges of the recorded sample, D space dims, K message components.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from gnn_distill.analyse.gauge import fit_gauge, gauged
from gnn_distill.arrays import Array
from gnn_distill.physics.variables import AXES
from gnn_distill.report.style import ORANGE, density, note
from gnn_distill.report.text import r2_text
from gnn_distill.runs.load import Run

SHOWN = 0.98


def pullback(run: Run, arrays: dict[str, Any]) -> Figure | None:
    """Pulled-back contribution of each edge against the true F/m1, one panel per Cartesian axis."""
    if "force" not in arrays or not run.analysis:
        return None
    truth = arrays["force"] / arrays["m1"][:, None]
    scores = run.analysis["r2"]["pullback"]["robust"]
    figure, panels = _panels(truth.shape[1])
    for k, (axes, name) in enumerate(zip(panels, AXES, strict=False)):
        _identity(axes, truth[:, k], arrays["pullback"][:, k])
        axes.set(
            title=f"{name}: robust R² = {r2_text(scores[k])} (no fit)",
            xlabel=f"true pair acceleration $F_{name}/m_1$",
            ylabel=f"learned contribution $c_{name}$",
        )
    return figure


def messages(run: Run, arrays: dict[str, Any]) -> Figure | None:
    """Each selected message component against its best linear combination of force components."""
    if "force" not in arrays or not run.analysis or not run.analysis.get("best"):
        return None
    kind = run.analysis["best"]["gauge"]
    p, centred = best_gauge(run.analysis)
    sent, force, m1, receiver = (arrays[name] for name in ("selected", "force", "m1", "receiver"))
    found = fit_gauge(sent, force, m1, receiver, p=p, centred=centred)
    x, y = gauged(sent, force, m1, receiver, p, centred)
    figure, panels = _panels(y.shape[1])
    scores = run.analysis["r2"][kind]["robust"]
    off = ",\nreceivers' means off" if centred else ""
    for k, (axes, dim) in enumerate(zip(panels, arrays["components"], strict=True)):
        _identity(axes, found.robust[k].predict(x), y[:, k])
        axes.set(
            title=f"message {dim}: robust R² = {r2_text(scores[k])}",
            xlabel=f"best linear combination of {_regressor(p)}{off}",
            ylabel=f"message {dim}, standardised{off}",
        )
    return figure


def best_gauge(analysis: dict[str, Any]) -> tuple[float, bool]:
    """Power of the receiver's mass, and whether receivers' means are taken off, in the best gauge."""
    kind = analysis["best"]["gauge"]
    if kind == "gauge":
        return float(analysis["gauge"]["p"]), bool(analysis["gauge"]["centred"])
    return (1.0 if kind == "acceleration" else 0.0), False


def _regressor(p: float) -> str:
    if p == 0:
        return "$F$"
    return "$F/m_1$" if p == 1 else f"$F\\,m_1^{{{-p:.2f}}}$"


def _panels(count: int) -> tuple[Figure, list[Axes]]:
    figure = Figure(figsize=(3.75 * count, 4.15), layout="constrained")
    return figure, list(np.atleast_1d(figure.subplots(1, count)))


def _identity(axes: Axes, x: Array, y: Array) -> None:
    """Points by density around the line y = x, with limits that heavy tails do not move."""
    limit = 1.05 * float(np.quantile(np.maximum(np.abs(x), np.abs(y)), SHOWN)) or 1.0
    outside = density(axes, x, y, (-limit, limit), (-limit, limit))
    axes.axline((0, 0), slope=1, color=ORANGE, linewidth=1.0, label="y = x")
    axes.set_aspect("equal")
    axes.legend(loc="upper left")
    note(axes, f"{len(x):,} test edges,\n{outside:,} beyond the frame")
