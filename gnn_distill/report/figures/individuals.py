"""What individuals bring to a law: strengths as sources against responses as receivers, or their kinds.

Shape letters: K individuals, E edges of the recorded sample.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from gnn_distill.arrays import Array
from gnn_distill.distil.expressions.evaluate import at
from gnn_distill.distil.expressions.parse import parse
from gnn_distill.physics.variables import SOFTENING
from gnn_distill.report.style import BLACK, BLUE, GREY, ORANGE, single
from gnn_distill.runs.load import Run

WIDE = 30.0
"""Ratio of the largest to the smallest size from which on an axis is logarithmic."""
BINS, FEWEST = 25, 10
"""Of a network's values, and how many each holds at least."""
NAMED = 40
"""Individuals up to which each has its name beside it."""
TITLES = {"source": "s, strength as a source", "response": "t, response as a receiver"}


def individuals(run: Run, arrays: dict[str, Any]) -> Figure | None:
    """Response against strength where both differ; else one of them; of kinds their curves."""
    law = run.law or {}
    table, mode = law.get("hidden") or {}, law.get("hidden_mode")
    if not table:
        return None
    names = list(table)
    if mode == "kinds":
        return _kinds(law, arrays)
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


def _kinds(law: dict[str, Any], arrays: dict[str, Any]) -> Figure | None:
    """Each direction and each two kinds: the network's band, the free curve of the data, the law."""
    curves = {name: np.array(values) for name, values in (law.get("hidden_curves") or {}).items()}
    d, kinds = curves.pop("d", np.empty(0)), [one["kind"] for one in law["hidden"].values()]
    if not len(d):
        return None
    across = len(set(kinds))
    down = len(curves) // across
    figure = Figure(figsize=(3.1 * across, 2.5 * down), layout="constrained")
    panels = figure.subplots(down, across, sharex=True, squeeze=False).ravel()
    for axes, (name, values) in zip(panels, curves.items(), strict=True):
        key, pair = name.split(" ")
        _band(axes, arrays, key, np.array(kinds), pair.split("-"))
        axes.plot(d, values, color=BLACK, linewidth=1, linestyle="--", label="free curve")
        told = _law_of(law, key, pair.split("-"), d)
        if told is not None:
            axes.plot(d, told, color=ORANGE, linewidth=2, label="the law", zorder=4)
        axes.set(title=f"f_{key}, {pair[0]} receives from {pair[2]}")
        axes.axhline(0, color=BLACK, linewidth=0.7)
    for axes in panels[-across:]:
        axes.set(xlabel="d")
    panels[0].legend(fontsize=8)
    return figure


def _band(axes: Axes, arrays: dict[str, Any], key: str, kinds: Array, pair: list[str]) -> None:
    """Where 80 % of the network's values lie, of receivers and senders of these kinds."""
    if f"function_{key}" not in arrays or "individual1" not in arrays:
        return
    one, two = (kinds[arrays[f"individual{side}"]] for side in (1, 2))
    here = (one == pair[0]) & (two == pair[1])
    x, f = np.linalg.norm(arrays["delta"], axis=1)[here], np.asarray(arrays[f"function_{key}"])[here]
    if len(x) < BINS * FEWEST:
        return
    parts = np.array_split(np.argsort(x), BINS)
    low, high = np.array([np.quantile(f[part], (0.1, 0.9)) for part in parts]).T
    middles = [np.median(x[part]) for part in parts]
    axes.fill_between(middles, low, high, color=BLUE, alpha=0.3, linewidth=0, label="network: 10–90 %")


def _law_of(law: dict[str, Any], key: str, pair: list[str], d: Array) -> Array | None:
    """The law's function of the distance between two kinds; None where it reads more than that."""
    text = (law.get("functions") or {}).get(key)
    if text is None:
        return None
    put = {f"{name}{side}": float(name.endswith(f"_{k}")) for side, k in zip("12", pair, strict=True)
           for name in law["hidden_kinds"]}  # fmt: skip
    expression = parse(text).subs(put)
    if not {str(s) for s in expression.free_symbols} <= {"d", "r"}:
        return None
    return at(expression, {"d": d, "r": d + float(law.get("softening", SOFTENING))}, len(d))
