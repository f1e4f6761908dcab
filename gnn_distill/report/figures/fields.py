"""The force that one particle exerts on another, as a vector field over a plane of positions.

Shapes: S positions of the receiver on a grid around the sender, D space dims, K message components.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure

from gnn_distill.arrays import Array
from gnn_distill.report.style import BLACK, plain_ticks
from gnn_distill.runs.load import Run, law_of

COLOURS = "cividis"
ARROW = 0.85
"""Length of the longest arrow, in cells of the grid."""
SHORTEST = 0.35
"""Length of the shortest arrow, as a part of the longest."""


def field(run: Run, arrays: dict[str, Any]) -> Figure | None:
    """True pair acceleration, learned contribution and raw messages around one typical particle."""
    if "field_delta" not in arrays:
        return None
    shown = plane(arrays["field_delta"])
    position = arrays["field_delta"][:, shown]
    panels = {"network, read through the node model": arrays["field_pullback"][:, shown]}
    true = true_field(run, arrays)
    if true is not None:
        panels = {"true $F/m_1$": true[:, shown]} | panels
    norm = _norm(np.concatenate(list(panels.values())))
    norms = [norm] * len(panels)
    if arrays["field_messages"].shape[1] >= 2:
        raw, (one, two) = arrays["field_messages"][:, :2], arrays["components"][:2]
        panels[f"messages {one}, {two} as they are sent"] = raw
        norms.append(_norm(raw))  # their unit is the network's own
    figure = Figure(figsize=(3.4 * len(panels) + 0.4, 4.0), layout="constrained")
    axes = figure.subplots(1, len(panels), sharey=True, squeeze=False)[0]
    across, up = (f"${'xyz'[axis]}$ seen from the source" for axis in shown)
    for ax, (title, vectors), own in zip(axes, panels.items(), norms, strict=True):
        _arrows(ax, position, vectors, own)
        ax.set(title=title, xlabel=across)
    axes[0].set_ylabel(up)
    scale = ScalarMappable(norm, COLOURS)
    bar = figure.colorbar(scale, ax=list(axes), location="bottom", shrink=0.5, aspect=40, pad=0.02)
    plain_ticks(bar.ax.xaxis)
    bar.set_label("size of the pair acceleration (messages: their own scale)")
    return figure


def plane(delta: Array) -> list[int]:
    """The two axes of the plane that the positions [S, D] lie in."""
    spread = np.ptp(delta, axis=0) > 0
    return sorted(np.argsort(~spread, kind="stable")[:2].tolist())


def true_field(run: Run, arrays: dict[str, Any]) -> Array | None:
    """The exact F/m1 on the grid, shape [S, D]; None where the law is unknown."""
    law = law_of(run.config)
    if law is None:
        return None
    delta = arrays["field_delta"]
    ends = (np.full(len(delta), float(arrays[f"field_{name}"])) for name in ("m1", "m2", "q1", "q2"))
    return law.pair_force(delta, *ends) / float(arrays["field_m1"])


def caption(run: Run) -> str:
    """Of which particles the field is, for this run."""
    arrays = run.messages() if (run.path / "messages.npz").exists() else {}
    if "field_m1" not in arrays:
        return ""
    q, m, delta = float(arrays["field_q1"]), float(arrays["field_m1"]), arrays["field_delta"]
    where = f" in the {''.join('xyz'[k] for k in plane(delta))} plane" if delta.shape[1] == 3 else ""
    told = f"Both particles are typical of the data: at rest, m = {m:.2g}, q = {q:.2g}{where}."
    return told.replace("-", "−")


def _norm(vectors: Array) -> LogNorm:
    """Colours for the sizes of vectors, over three decades at most."""
    size = np.linalg.norm(vectors, axis=1)
    if not size.any():
        return LogNorm(0.1, 1.0)
    high = float(size.max())
    low = max(float(np.quantile(size[size > 0], 0.02)), 1e-3 * high)
    return LogNorm(low, max(high, 1.001 * low))


def _arrows(axes: Axes, position: Array, vectors: Array, norm: LogNorm) -> None:
    """Arrows at the receiver's positions that show what it feels."""
    size = np.linalg.norm(vectors, axis=1)
    share = np.clip(np.asarray(norm(np.maximum(size, 1e-300)), dtype=float), 0.0, 1.0)
    x = np.unique(np.round(position[:, 0], 6))
    cell = float(np.diff(x).min()) if len(x) > 1 else 1.0
    length = ARROW * cell * (SHORTEST + (1 - SHORTEST) * share)
    unit = vectors / np.where(size > 0, size, 1.0)[:, None]
    axes.quiver(
        *position.T, *(unit * length[:, None]).T, size, cmap=COLOURS, norm=norm, pivot="mid",
        angles="xy", scale_units="xy", scale=1.0, width=0.007, headwidth=4.0, headlength=4.5,
    )  # fmt: skip
    axes.plot(0, 0, "o", color=BLACK, markersize=9)
    half = float(np.abs(position).max()) + cell
    axes.set(xlim=(-half, half), ylim=(-half, half))
    axes.set_aspect("equal")
