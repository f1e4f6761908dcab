"""The functions of a law of motion against the distance, and what acts on a particle by itself.

Shapes: E edges of the recorded sample, N particles, B bins, R distances, D space dims.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import sympy
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from gnn_distill.arrays import Array
from gnn_distill.distil.expressions.evaluate import at
from gnn_distill.distil.expressions.parse import parse, write
from gnn_distill.errors import InputError
from gnn_distill.physics.variables import (
    AXES,
    EDGE,
    HIDDEN,
    MOVING,
    PROPERTIES,
    SOFTENING,
    VELOCITIES,
    further,
    sided,
)
from gnn_distill.report.groups import Members, members
from gnn_distill.report.style import BLACK, BLUE, GREY, ORANGE, in_units, plain_ticks, span
from gnn_distill.report.text import readable
from gnn_distill.runs.load import Run

TITLES = {"u": "along $\\Delta/d$", "w": "along $w = v_1 - v_2$", "t": "across $\\Delta$"}
BINS, FEWEST = 30, 10
MIDDLE = (0.01, 0.99)
"""Of the distances: where data lie."""
BAND = (0.1, 0.5, 0.9)
BEYOND = 0.12
"""By how much the axis goes on, as a part of the range of data."""
WIDE = 30.0
"""Ratio of the largest to the smallest size from which on an axis is logarithmic."""
FAINT = 0.1
"""Share of the strongest pairs below which those of weak individuals are left out."""
ARROWS = 150
DISTANCE = sympy.symbols("d r")
TOLD = "Dots are medians of what the network tells of test pairs, the band holds 10 to 90 % of them."
SUM = (
    "Where they leave the law, the network may tell part of the force as one on single particles: the data "
    "hold only the sum."
)
FREE = (
    "Along Δ/d noise hides the force from the network: dots are a free curve of all labels there, the band "
    "is two of its standard errors."
)


class Drawn(NamedTuple):
    """One function: what the network says, and the law.

    Attributes:
        x: middles of the bins, shape [B].
        band: the network's quantiles `BAND` in each bin, shape [3, B].
        grid: distances [R], and `law` there [R]; empty where no law can be drawn.
        share: what both are divided by, in words; empty if by nothing.
        free: whether `band` is of a free curve of the labels, two standard errors around it.
        still: whether the law reads how a pair moves, and is drawn for a pair at rest.
    """

    x: Array
    band: Array
    grid: Array
    law: Array
    share: str
    free: bool = False
    still: bool = False


def functions(run: Run, arrays: dict[str, Any]) -> Figure | None:
    """One panel for each function of the law: the network's values, and the law on top."""
    told = (run.law or {}).get("functions") or {}
    keys = [k for k in TITLES if f"function_{k}" in arrays and (k in told or not told)]
    softening = float((run.law or {}).get("softening", SOFTENING))
    arrays = {"d": np.linalg.norm(arrays["delta"], axis=1)} | arrays | _strengths(run.law or {}, arrays)
    parts = [("", arrays, told)]
    if groups := members(run.law or {}):
        parts = [(f", {g.name}", _some(arrays, g, run.law or {}), g.law["functions"]) for g in groups]
    found = [
        (key, which, one, some["d"])
        for key in keys
        for which, some, texts in parts
        if (one := _drawn(some, key, texts.get(key), softening)) is not None
    ]
    curves = {} if groups else (run.law or {}).get("curves") or {}
    reach = (run.law or {}).get("radius") or np.inf
    found = [(key, which, _ended(_freed(one, curves.get(key)), reach), d) for key, which, one, d in found]
    if not found:
        return None
    figure = Figure(figsize=(6.4, 0.6 + 3.9 * len(found)), layout="constrained")
    panels = figure.subplots(len(found), 1, squeeze=False)[:, 0]
    order = (run.law or {}).get("order", 2)
    for axes, (key, which, one, d) in zip(panels, found, strict=True):
        _panel(axes, one, span(d, MIDDLE))
        over = f", divided by {one.share}" if one.share else ""
        what = "acceleration" if order == 2 else "velocity"
        axes.set(title=f"Part {TITLES[key]} of a pair's {what}{which}{over}")
    panels[-1].set_xlabel(f"distance d = |Δ|{in_units(run)}")
    return figure


def caption(run: Run) -> str:
    """What dots and bands are in this run."""
    law = run.law or {}
    if law.get("curves") and not members(law):
        return FREE
    return f"{TOLD} {SUM}" if (law.get("trust") or {}).get("level") == "exact" else TOLD


def _freed(one: Drawn, curve: Mapping[str, Any] | None) -> Drawn:
    """With a free curve of the labels in the network's place, where the law was found from one."""
    if curve is None or one.share:
        return one
    d, f, error = (np.array(curve[name]) for name in ("d", "f", "error"))
    return one._replace(x=d, band=np.stack([f - 2 * error, f, f + 2 * error]), free=True)


def _ended(one: Drawn, reach: float) -> Drawn:
    """With a law that ends where pairs do not act any more."""
    near = one.grid < reach
    return one._replace(grid=one.grid[near], law=one.law[near]) if len(one.law) else one


def _some(arrays: Mapping[str, Any], group: Members, law: Mapping[str, Any]) -> dict[str, Any]:
    """The arrays of pairs [E, …] for those of a group."""
    mask, names = group.among(arrays, law.get("kinds") or {}), list(map(str, arrays.get("variables", ())))
    known = {"d", "r", EDGE, *further(names), *PROPERTIES, *HIDDEN, *MOVING}
    used = {name for name in arrays if name in known or name.startswith("function_")}
    return {"variables": names} | {name: np.asarray(arrays[name])[mask] for name in used}


def _drawn(arrays: Mapping[str, Any], key: str, text: str | None, softening: float) -> Drawn | None:
    """What is to be drawn of a function; None where there are too few edges."""
    d, values = (np.asarray(arrays[name], dtype=float) for name in ("d", f"function_{key}"))
    named = _named(arrays, d, softening)
    low, high = span(d, MIDDLE)
    more = BEYOND * (high - low)
    grid = np.geomspace(max(low - more, low / 2), high + more, 300)
    share, law, pair, still = "", np.empty(0), None, False
    if text is not None and (told := _law(text, named)) is not None:
        factor, rest = told
        reads = {str(s) for s in rest.free_symbols}
        if still := not reads <= named.keys():  # how pairs moved was not recorded
            rest = rest.xreplace(dict.fromkeys(sympy.symbols(MOVING), sympy.S.Zero))
        if rest.free_symbols <= set(DISTANCE):
            law = at(rest, {"d": grid, "r": grid + softening}, len(grid))
            size = np.abs(by := at(factor, named, len(d)))
            values = values / by if factor != 1 else values
            if factor.free_symbols & set(sympy.symbols(HIDDEN)):  # a network cannot tell what faint ones do
                values = np.where(size > FAINT * np.quantile(size, 0.95), values, np.nan)
            share = "" if factor == 1 else readable(write(factor))
        elif not still:
            pair = at(factor * rest, named, len(d))
        if still and not (np.isfinite(law).all() and law.any()):
            law = np.empty(0)
    known = np.isfinite(values) & np.isfinite(d)
    d, values = d[known], values[known]
    edges = np.unique(np.quantile(d, np.linspace(*MIDDLE, BINS + 1)))
    number = np.digitize(d, edges) - 1
    bins = [part for k in range(len(edges) - 1) if (part := number == k).sum() >= FEWEST]
    if len(bins) < 2:
        return None
    x = np.array([np.median(d[part]) for part in bins])
    band = np.array([np.quantile(values[part], BAND) for part in bins]).T
    if pair is not None:
        grid, law = x, np.array([np.nanmedian(pair[known][part]) for part in bins])
    return Drawn(x, band, grid if len(law) else law, law, share, still=still)


def _law(text: str, named: Mapping[str, Array]) -> tuple[sympy.Expr, sympy.Expr] | None:
    """A function as a factor of properties alone, with values that are not zero, times the rest."""
    try:
        expression = parse(text)
    except InputError:
        return None
    if {str(s) for s in expression.free_symbols} - named.keys() - {*MOVING}:
        return None
    unknown = [sympy.Symbol(n) for n in MOVING if n not in named]
    factor, rest = expression.as_independent(*DISTANCE, *unknown, as_Add=False)
    size, factor = factor.as_coeff_Mul()
    values = at(factor, named, len(named["d"]))
    if not (np.isfinite(values).all() and (values != 0).all()):
        factor, rest = sympy.S.One, factor * rest
    return factor, size * rest


def _named(arrays: Mapping[str, Any], d: Array, softening: float) -> dict[str, Array]:
    """What is known of the pairs by the names of equations."""
    more = further([str(name) for name in arrays.get("variables", ())])
    known = (*PROPERTIES, *HIDDEN, *more, *MOVING, EDGE)
    return {"d": d, "r": d + softening} | {name: arrays[name] for name in known if name in arrays}


def _strengths(law: Mapping[str, Any], arrays: Mapping[str, Any]) -> dict[str, Array]:
    """What the individuals at both ends of each edge bring, by the names of equations: strengths, kinds."""
    if not law.get("hidden") or "individual1" not in arrays:
        return {}
    return _brought(law, arrays["individual1"], 1) | _brought(law, arrays["individual2"], 2)


def _brought(law: Mapping[str, Any], who: Array, side: int) -> dict[str, Array]:
    """What individuals of these numbers bring on one side of a pair, by the names of equations."""
    table = list(law["hidden"].values())
    kinds = np.array([str(one["kind"]) for one in table])[who]
    found = {
        sided(name, side): np.array([one[role][0] for one in table])[who]
        for name, role in (("s", "source"), ("t", "response"))
    }
    return found | {sided(name, side): 1.0 * (kinds == k) for k, name in (law.get("kinds") or {}).items()}


def _panel(axes: Axes, one: Drawn, data: tuple[float, float]) -> None:
    guide = np.concatenate([one.band[1], one.law[(one.grid >= data[0]) & (one.grid <= data[1])]])
    guide = guide[np.isfinite(guide)]
    size = np.abs(guide[guide != 0])
    wide = len(size) > 0 and size.max() > WIDE * size.min()
    straight = wide and (bool(np.all(guide > 0)) or bool(np.all(guide < 0)))
    sign = -1.0 if straight and guide[0] < 0 else 1.0
    low, middle, high = np.sort(sign * one.band, axis=0)
    axes.axvspan(*data, color="#F1F3F6", zorder=0, label="where 98 % of the pairs lie")
    around = "two standard errors" if one.free else "network: 10–90 %"
    axes.fill_between(one.x, low, high, color=BLUE, alpha=0.25, linewidth=0, label=around)
    told = "free curve of the labels" if one.free else "network: median"
    axes.plot(one.x, middle, color=BLUE, marker="o", markersize=3.5, linewidth=0, label=told)
    if len(one.law):
        label = "the law at w = 0" if one.still else "the law"
        axes.plot(one.grid, sign * one.law, color=ORANGE, linewidth=2.2, label=label, zorder=4)
    if straight:
        axes.set(yscale="log", ylim=(size.min() / 2, size.max() * 2))
        if _bend(np.log(one.x), one) < _bend(one.x, one):
            axes.set_xscale("log")
            plain_ticks(axes.xaxis)
    else:
        sides = np.concatenate([guide, *np.quantile(one.band, (0.05, 0.95), axis=1)])
        _through_zero(axes, sides, float(np.median(size)) if wide else np.inf)
    axes.set_ylabel("−f (f is negative)" if sign < 0 else "f")
    axes.set_xlim(*span(np.concatenate([one.x, one.grid]), (0.0, 1.0)))
    axes.legend(loc="best", fontsize=9)


def _through_zero(axes: Axes, sides: Array, usual: float) -> None:
    """A linear axis with zero on it; symmetric-logarithmic where both signs go far beyond the usual size."""
    axes.axhline(0, color=BLACK, linewidth=0.7)
    bottom, top = float(sides.min(initial=0.0)), float(sides.max(initial=0.0))
    pad = 0.08 * (top - bottom) or 1.0
    axes.set_ylim(bottom - pad, top + pad)
    if bottom < 0 < top and max(-bottom, top) > WIDE * usual:
        axes.set_yscale("symlog", linthresh=usual)


def _bend(x: Array, one: Drawn) -> float:
    """How far the logarithm of the median is from a straight line in x."""
    y = np.log(np.abs(one.band[1]) + 1e-300)
    return float(np.std(y - np.polyval(np.polyfit(x, y, 1), x)))


SIGHTED = ("own_x", "own_v", "own_h")
"""Arrays of particles that are vectors; all others are properties."""


def own(run: Run, arrays: dict[str, Any]) -> Figure | None:
    """What acts on a particle by itself: arrows of network and law over positions, or over velocities."""
    texts = (run.law or {}).get("one_body") or []
    if not texts or any(f"own_{name}" not in arrays for name in "xvh"):
        return None
    count = len(arrays["own_x"])
    some = np.linspace(0, count - 1, min(count, ARROWS)).astype(int)  # of all runs, which stand one by one
    arrays = {name: arrays[name][some] for name in arrays if name.startswith("own_")}
    if "own_individual" in arrays and (run.law or {}).get("hidden"):
        brought = _brought(run.law or {}, arrays["own_individual"].astype(int), 1)
        arrays |= {f"own_{name}": values for name, values in brought.items()}
    x, v, h = (np.asarray(arrays[f"own_{name}"], dtype=float) for name in "xvh")
    try:
        parts = [parse(text) for text in texts]
        law = _one_body(arrays, parts, x, v)
        other = {"x": _one_body(arrays, parts, 0 * x, v), "v": _one_body(arrays, parts, x, 0 * v)}
        rest = _one_body(arrays, parts, 0 * x, 0 * v)
    except InputError:
        return None
    used = {str(s) for part in parts for s in part.free_symbols}
    shown = {"x": ("position", x), "v": ("velocity", v)}
    names = [key for key, letters in (("x", AXES), ("v", VELOCITIES)) if used & set(letters)] or ["x"]
    if not (np.isfinite(law).all() and np.isfinite(h).all()) or x.shape[1] < 2:
        return None
    figure = Figure(figsize=(7.8 if len(names) > 1 else 6.2, 4.2), layout="constrained")
    panels = figure.subplots(1, len(names), squeeze=False)[0]
    for axes, name in zip(panels, names, strict=True):
        # Of a force of both, each panel shows the part that its axes rule: the law's other part is taken off.
        off = other[name] - rest if len(names) == 2 else np.zeros_like(law)
        off = off if np.isfinite(off).all() else np.zeros_like(law)
        where, at_ = shown[name]
        _arrows(axes, at_, h - off, law - off)
        letters = [f"{'v_' if name == 'v' else ''}{axis}" for axis in AXES[:2]]
        less = f",\nless the law's part by {'velocity' if name == 'x' else 'position'}" if off.any() else ""
        axes.set(title=f"Over {where}{less}", xlabel=f"${letters[0]}$", ylabel=f"${letters[1]}$")
    handles, labels = panels[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper center", ncols=2)
    return figure


def _one_body(arrays: Mapping[str, Any], parts: list[sympy.Expr], x: Array, v: Array) -> Array:
    """The law's one-body part at positions and velocities [N, D], shape [N, D]."""
    named = {name: x[:, k] for k, name in enumerate(AXES[: x.shape[1]])}
    named |= {name: v[:, k] for k, name in enumerate(VELOCITIES[: v.shape[1]])}
    named |= {name.removeprefix("own_"): np.asarray(arrays[name]) for name in arrays if name not in SIGHTED}
    return np.stack([at(part, named, len(x)) for part in parts], axis=1)


def _arrows(axes: Axes, place: Array, network: Array, law: Array) -> None:
    """Arrows in the plane of the first two axes; the longest is a tenth of the frame."""
    (left, right), (low, high) = (span(place[:, k], (0.01, 0.99)) for k in range(2))
    usual = float(np.quantile(np.hypot(*np.concatenate([network, law])[:, :2].T), 0.95)) or 1.0
    scale = usual / (0.1 * max(right - left, high - low, 1e-12))
    looks = (("network", network, BLUE, 0.007, 2), ("the law", law, ORANGE, 0.003, 3))
    for label, vectors, colour, width, layer in looks:
        axes.quiver(
            *place[:, :2].T, *vectors[:, :2].T, angles="xy", scale_units="xy", scale=scale, color=colour,
            width=width, label=label, zorder=layer,
        )  # fmt: skip
    edge = 0.12 * max(right - left, high - low) or 1.0
    axes.set(xlim=(left - edge, right + edge), ylim=(low - edge, high + edge))
    axes.set_aspect("equal")
    axes.plot(*place[:, :2].T, ".", color=GREY, markersize=2, zorder=1)
