"""What the network gets wrong, against the distance. Shapes: E edges of the recorded sample, D space dims."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.figure import Figure

from gnn_distill.report.style import ORANGE, bars, binned, density, note, plain_ticks, single, span
from gnn_distill.runs.load import Run

BINS = 20
FEWEST = 20
SHOWN = (0.005, 0.995)
CLOUD = (0.001, 0.999)


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
    figure, axes = single(4.2)
    edges = np.geomspace(*span(r, SHOWN), BINS + 1)
    x, y = np.log10(r), np.log10(error)
    density(axes, x, y, span(x, CLOUD), span(y, CLOUD), transform=10.0)
    bars(axes, *binned(r, error, edges, FEWEST), "error of the network")
    shown = size > 0
    centres, (_, middle, _) = binned(r[shown], size[shown], edges, FEWEST)
    axes.plot(centres, middle, color=ORANGE, linewidth=2.5, label="the force itself: median $|F|/m_1$")
    bottom, top = np.quantile(error, 0.005), max(np.quantile(error, 0.999), middle.max(initial=0.0))
    axes.set(
        xscale="log", yscale="log", xlim=(edges[0], edges[-1]), ylim=(bottom, 6 * top),
        xlabel="distance r = |Δ| + ε", ylabel="pair acceleration",
        title="Error of one pair contribution, $|c - F/m_1|$, against the distance",
    )  # fmt: skip
    plain_ticks(axes.xaxis)
    plain_ticks(axes.yaxis, minor=False)
    axes.legend(loc="upper right")
    note(axes, f"{len(r):,} test edges", "lower left")
    return figure
