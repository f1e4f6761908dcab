"""Figure of a few simulated or loaded trajectories, side by side.

Shapes: K trajectories, T frames, n particles, D space dims.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.collections import LineCollection
from matplotlib.colors import LinearSegmentedColormap, Normalize
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from gnn_distill.arrays import Array
from gnn_distill.report.style import BLACK, BLUE, ORANGE, in_units
from gnn_distill.runs.load import Run

COLUMNS = 3
SEGMENTS = 20_000
"""Most pieces of trail in one panel."""
FAR = 6.0
"""Particles that go so many times as far as the middle one are cut off by the frame."""
MARGIN = 1.2
MARKER = 34
"""Area of the marker of a particle of middle mass, in square points."""
FEW = 3
"""Up to so many different charges are named one by one."""
CHARGES = LinearSegmentedColormap.from_list("charges", [BLUE, "#A9A9A9", ORANGE])


def trajectories(run: Run, arrays: dict[str, Any]) -> Figure | None:
    """Up to six trajectories seen along z, each in its own frame."""
    stored = run.trajectories()
    if stored is None:
        return None
    x, charge, mass = stored["positions"][..., :2], stored["charges"], stored["masses"]
    columns, rows = min(COLUMNS, len(x)), -(-len(x) // COLUMNS)
    alike = bool(np.ptp(charge) == 0)
    figure = Figure(figsize=(2.4 * max(columns, 2) + 0.5, 2.45 * rows + 0.5), layout="compressed")
    panels = figure.subplots(rows, columns, squeeze=False).ravel()
    limit = float(np.abs(charge).max()) or 1.0
    shade = ScalarMappable(Normalize(-limit, limit), CHARGES)
    colours = shade.to_rgba(np.full_like(charge, -limit) if alike else charge, norm=True)
    size = MARKER * np.clip(mass / np.median(mass), 0.2, 8)
    for k, axes in enumerate(panels[: len(x)]):
        order = np.argsort(-size[k], kind="stable")
        title = f"trajectory {int(stored['trajectory'][k]):,}"
        _panel(axes, title, x[k][:, order], np.asarray(colours)[k, order], size[k, order])
        x_label, y_label = (f"{axis}{in_units(run)}" for axis in "xy")
        axes.set(xlabel=x_label * (k + columns >= len(x)), ylabel=y_label * (k % columns == 0))
    for axes in panels[len(x) :]:
        axes.remove()
    if not alike:
        _charges(figure, list(panels[: len(x)]), np.unique(charge), shade)
    return figure


def caption(run: Run) -> str:
    """What holds for these data only."""
    dim = (run.data or {}).get("dim")
    return "The data have three dimensions; this is their projection on x and y." if dim == 3 else ""


def _panel(axes: Axes, title: str, x: Array, colours: Array, size: Array) -> None:
    """Trails of particles x [T, n, 2] that fade into the past, and where they are in the last frame."""
    (cx, cy), half = frame(x)
    trail = x[np.linspace(0, len(x) - 1, min(len(x), max(2, SEGMENTS // x.shape[1]))).astype(int)]
    if len(trail) > 1:
        pieces = np.stack([trail[:-1], trail[1:]], axis=2)
        shades = np.broadcast_to(colours, (*pieces.shape[:2], 4)).copy()
        shades[..., 3] = np.linspace(0.15, 0.9, len(pieces))[:, None]
        lines = LineCollection(
            list(pieces.reshape(-1, 2, 2)), colors=shades.reshape(-1, 4), linewidths=1.5, capstyle="butt"
        )
        axes.add_collection(lines, autolim=False)
    axes.scatter(x[-1, :, 0], x[-1, :, 1], s=size, c=colours, edgecolors=BLACK, linewidths=0.6, zorder=3)
    axes.set(xlim=(cx - half, cx + half), ylim=(cy - half, cy + half))
    axes.set_aspect("equal")
    axes.tick_params(labelsize=8.5)
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_locator(MaxNLocator(4, steps=[1, 2, 5, 10]))
    beyond = int((np.nan_to_num(np.abs(x - (cx, cy))).max((0, 2)) > half).sum())
    leave = f": {beyond} of {x.shape[1]} leave" if beyond else ""
    axes.set_title(title + leave, fontsize=9.5)


def frame(x: Array) -> tuple[Array, float]:
    """Centre [2] and half the side of the square that shows positions x [T, n, 2], NaN where unseen.

    It holds the whole way of all particles but those that go more than `FAR` times as far from the middle as
    the middle one of them does.
    """
    reach = np.nan_to_num(np.abs(x - np.nanmedian(x, axis=(0, 1)))).max((0, 2))
    middle = np.sort(reach)[(len(reach) - 1) // 2]
    kept = x[:, reach <= (FAR * middle or np.inf)]
    low, high = np.nanmin(kept, (0, 1)), np.nanmax(kept, (0, 1))
    return (low + high) / 2, MARGIN * float((high - low).max()) / 2 or 1.0


def _charges(figure: Figure, panels: list[Axes], charges: Array, shade: ScalarMappable) -> None:
    """What the colours mean: an entry for each charge if there are few, else a bar."""
    if len(charges) > FEW:
        figure.colorbar(shade, ax=panels, label="charge q", aspect=35, pad=0.02)
        return
    style: dict[str, Any] = {"marker": "o", "linestyle": "", "markeredgecolor": BLACK, "markeredgewidth": 0.6}
    handles = []
    for q in charges:
        (colour,) = shade.to_rgba(np.array([q])).tolist()
        handles.append(Line2D([], [], color=tuple(colour), label=f"q = {q:+g}".replace("-", "−"), **style))
    figure.legend(handles=handles, loc="outside upper right", ncols=len(charges))
