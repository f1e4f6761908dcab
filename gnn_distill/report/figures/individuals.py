"""What individuals bring to a law: strengths as sources against responses as receivers, with names.

Shape letters: K individuals.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from gnn_distill.arrays import Array
from gnn_distill.report.style import BLACK, BLUE, GREY, single
from gnn_distill.runs.load import Run

WIDE = 30.0
"""Ratio of the largest to the smallest size from which on an axis is logarithmic."""
NAMED = 40
"""Individuals up to which each has its name beside it."""
TITLES = {"source": "s, strength as a source", "response": "t, response as a receiver"}


def individuals(run: Run, arrays: dict[str, Any]) -> Figure | None:
    """Response against strength where both differ; else one of them, individual by individual."""
    law = run.law or {}
    table, mode = law.get("hidden") or {}, law.get("hidden_mode")
    if not table:
        return None
    names = list(table)
    if mode == "both":
        figure, axes = single(4.4)
        (x, across), (y, along) = (_role(table, role) for role in ("source", "response"))
        axes.errorbar(x, y, along, across, fmt="o", color=BLUE, markersize=5, ecolor=GREY)
        for name, here in zip(names, zip(x, y, strict=True), strict=True):
            if len(names) <= NAMED:
                axes.annotate(name, here, (4, 4), textcoords="offset points", fontsize=9, color=BLACK)
        axes.set(xlabel=TITLES["source"], ylabel=TITLES["response"])
        _scaled(axes, "x", x)
        _scaled(axes, "y", y)
        return figure
    role = "response" if mode == "response" else "source"
    values, bounds = _role(table, role)
    order = np.argsort(values)
    figure, axes = single(1.0 + 0.24 * min(len(names), NAMED))
    axes.errorbar(
        values[order],
        np.arange(len(names)),
        xerr=bounds[:, order],
        fmt="o",
        color=BLUE,
        markersize=5,
        ecolor=GREY,
    )
    if len(names) <= NAMED:
        axes.set_yticks(range(len(names)), [names[k] for k in order])
    axes.set(xlabel=TITLES[role])
    _scaled(axes, "x", values)
    return figure


def _role(table: dict[str, Any], role: str) -> tuple[Array, Array]:
    """Values [K], and how far the ends of their intervals lie from them, [2, K]."""
    value, low, high = np.array([one[role] for one in table.values()], dtype=float).T
    return value, np.maximum(np.stack([value - low, high - value]), 0.0)


def _scaled(axes: Axes, which: str, values: Array) -> None:
    size = np.abs(values[values != 0])
    one_sign = bool((values > 0).all())
    if len(size) and size.max() > WIDE * size.min() and one_sign:
        axes.set(**{f"{which}scale": "log"})
    elif not one_sign:
        (axes.axvline if which == "x" else axes.axhline)(0, color=BLACK, linewidth=0.7)
