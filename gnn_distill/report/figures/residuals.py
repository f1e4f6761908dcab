"""What the network gets wrong, against the distance. Shapes: E edges of the recorded sample, D space dims."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter

from gnn_distill.arrays import Array
from gnn_distill.report.style import BLUE, ORANGE, density, note
from gnn_distill.runs.load import Run

BINS = 20
FEWEST = 20
SHOWN = (0.005, 0.995)
QUANTILES = (0.16, 0.5, 0.84)


def residual(run: Run, arrays: dict[str, Any]) -> Figure | None:
    """Size of c − F/m1 against r, beside the size of F/m1 itself, both logarithmic."""
    if "force" not in arrays:
        return None
    truth = arrays["force"] / arrays["m1"][:, None]
    error = np.linalg.norm(arrays["pullback"] - truth, axis=1)
    size = np.linalg.norm(truth, axis=1)
    usable = (error > 0) & (arrays["r"] > 0)
    if usable.sum() < FEWEST:
        return None
    r, error, size = arrays["r"][usable], error[usable], size[usable]
    figure = Figure(figsize=(6.2, 4.2), layout="constrained")
    axes = figure.subplots()
    low, high = np.quantile(r, SHOWN)
    edges = np.geomspace(low, high, BINS + 1)
    _cloud(axes, r, error)
    centres, (low, middle, high) = _bands(r, error, edges)
    yerr = np.stack([middle - low, high - middle])
    axes.errorbar(
        centres, middle, yerr, fmt="o", markersize=5, color=BLUE, markerfacecolor="white", linewidth=1.2,
        label="error of the network: median, 16–84 %",
    )  # fmt: skip
    shown = size > 0
    centres, (_, middle, _) = _bands(r[shown], size[shown], edges)
    axes.plot(centres, middle, color=ORANGE, linewidth=2.5, label="the force itself: median $|F|/m_1$")
    bottom, top = np.quantile(error, 0.005), max(np.quantile(error, 0.999), middle.max(initial=0.0))
    axes.set(
        xscale="log", yscale="log", xlim=(edges[0], edges[-1]), ylim=(bottom, 6 * top),
        xlabel="distance r = |Δ| + ε", ylabel="pair acceleration",
        title="Error of one pair contribution, $|c - F/m_1|$, against the distance",
    )  # fmt: skip
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_formatter(FuncFormatter(lambda v, _: f"{v:g}"))
    axes.xaxis.set_minor_formatter(FuncFormatter(lambda v, _: f"{v:g}" if f"{v:e}"[0] in "25" else ""))
    axes.legend(loc="upper right")
    note(axes, f"{len(r):,} test edges", "lower left")
    return figure


def _cloud(axes: Axes, r: Array, error: Array) -> None:
    """Density in logarithmic cells."""
    x, y = np.log10(r), np.log10(error)
    spans = [np.quantile(v, (0.001, 0.999)) for v in (x, y)]
    across, up = ((float(low), float(high)) for low, high in spans)
    density(axes, x, y, across, up, transform=10.0)


def _bands(r: Array, values: Array, edges: Array) -> tuple[Array, Array]:
    """Medians of r [B] and 16, 50 and 84 % quantiles of values [3, B] per bin of r."""
    number = np.digitize(r, edges) - 1
    parts = [p for p in (number == k for k in range(len(edges) - 1)) if p.sum() >= FEWEST]
    bands = np.array([np.quantile(values[p], QUANTILES) for p in parts]).reshape(-1, 3).T
    return np.array([np.median(r[p]) for p in parts]), bands
