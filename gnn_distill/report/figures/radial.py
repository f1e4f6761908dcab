"""The picture of the law: the radial pair force against the distance.

Where the true law is a product of a function of r and one of the particles' features, every edge is
divided by the latter and falls on one curve, the force between particles of unit mass and charge. Where no
true law is known, the distilled one takes its place. Elsewhere the raw radial contributions are shown
with the medians of truth and equation beside them.
Shapes: E edges, R radii, D space dims.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import sympy
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from gnn_distill.arrays import Array
from gnn_distill.distil.expressions.evaluate import evaluate
from gnn_distill.distil.expressions.parse import parse
from gnn_distill.errors import InputError
from gnn_distill.physics.laws import SOFTENING, ForceLaw
from gnn_distill.physics.variables import DELTAS, PROPERTIES
from gnn_distill.report.style import BLACK, BLUE, ORANGE, density, note
from gnn_distill.report.text import formula
from gnn_distill.runs.load import Run, law_of

Line = tuple[Array, Array]

BINS = 18
FEWEST = 5
TRUE: dict[str, Any] = {"color": BLACK, "linestyle": "--", "linewidth": 1.4, "zorder": 4}
DISTILLED: dict[str, Any] = {"color": ORANGE, "linewidth": 4.0, "alpha": 0.85, "zorder": 3}
MEDIANS: dict[str, Any] = {
    "fmt": "o",
    "markersize": 5,
    "color": BLUE,
    "markerfacecolor": "white",
    "linewidth": 1.2,
    "zorder": 5,
}
SHOWN = (0.02, 0.98)


def law(run: Run, arrays: dict[str, Any]) -> Figure | None:
    """The learned radial force against r, with the true law and the distilled one."""
    if not run.analysis:
        return None
    known = law_of(run.config)
    share = None if known is None else separable(known, arrays)
    figure = Figure(figsize=(6.2, 4.4), layout="constrained")
    axes = figure.subplots()
    own = distilled_share(run, arrays) if known is None else None
    if known is not None and share is not None:
        _collapsed(axes, known, share, arrays, run)
    elif own is not None:
        _collapsed_by_equation(axes, own, arrays, run)
    else:
        _medians(axes, arrays, run)
    axes.axhline(0, color=BLACK, linewidth=0.7)
    axes.set(xlabel="distance r = |Δ| + ε", title="The pair force against the distance")
    axes.legend(loc="best")
    return figure


def separable(known: ForceLaw, arrays: dict[str, Any]) -> Array | None:
    """h(features) [E] of a law F = h(features) g(r), h(1) = 1; None if it is no such product."""
    features = [arrays[name] for name in PROPERTIES]
    radii = np.quantile(arrays["r"], (0.1, 0.25, 0.5, 0.75, 0.9))
    reference = max(radii, key=lambda r: abs(unit_force(known, r)))
    base = unit_force(known, reference)
    if not np.isfinite(base) or base == 0:
        return None
    share = known.magnitude(np.full(len(arrays["r"]), reference), *features, known.params) / base
    whole = known.magnitude(arrays["r"], *features, known.params)
    product = share * unit_force(known, arrays["r"])
    same = np.allclose(whole, product, rtol=1e-6, atol=1e-9 * np.abs(product).max()) and (share != 0).all()
    return share if same else None


def unit_force(known: ForceLaw, r: Any) -> Any:
    """Radial force between particles of unit mass and charge at distance r."""
    return known.magnitude(r, 1.0, 1.0, 1.0, 1.0, known.params)


def distilled(run: Run, dim: int) -> Callable[[dict[str, Array]], Array] | None:
    """The distilled pair contribution [E, D] as a function of named columns; None if there is none."""
    names = (*DELTAS[:dim], "r", *PROPERTIES)
    try:
        parts = [parse(text, names) for text in (run.law or {}).get("acceleration") or []]
    except InputError:
        return None
    if len(parts) != dim:
        return None

    def contribution(columns: dict[str, Array]) -> Array:
        x = np.column_stack([columns[name] for name in names])
        return np.stack([_values(part, x, names) for part in parts], axis=1)

    return contribution


def _values(part: sympy.Expr, x: Array, names: tuple[str, ...]) -> Array:
    return np.broadcast_to(np.asarray(evaluate(part, x, names), dtype=float), (len(x),))


def distilled_profile(run: Run, r: Array, dim: int) -> Array | None:
    """Radial part [R] of the distilled law at unit masses and charges, averaged over directions."""
    contribution = distilled(run, dim)
    if contribution is None:
        return None
    draws = np.random.default_rng(0).normal(size=(32, dim))
    units = np.concatenate([draws, -draws]) / np.linalg.norm(np.concatenate([draws, -draws]), axis=1)[:, None]
    unit, radius = np.tile(units, (len(r), 1)), np.repeat(r, len(units))
    columns = {name: np.ones(len(radius)) for name in PROPERTIES} | {"r": radius}
    columns |= {name: unit[:, k] * (radius - SOFTENING) for k, name in enumerate(DELTAS[:dim])}
    return (contribution(columns) * unit).sum(1).reshape(len(r), -1).mean(1)


def distilled_share(run: Run, arrays: dict[str, Any]) -> Array | None:
    """h(features) [E] of a distilled f = h(features) g(r), h(1) = 1; None if it is no such product."""
    radial = (run.law or {}).get("radial")
    names = ("r", *PROPERTIES)
    try:
        f = parse(radial, names) if radial else None
    except InputError:
        return None
    if f is None:
        return None
    r, ones = arrays["r"], np.ones(len(arrays["r"]))
    features = [arrays[name] for name in PROPERTIES]

    def at(distance: Array, columns: list[Array]) -> Array:
        return _values(f, np.column_stack([distance, *columns]), names)

    alone = at(r, [ones] * len(PROPERTIES))
    reference = float(r[np.argmin(np.abs(np.abs(alone) - np.median(np.abs(alone))))])
    base = at(reference * ones, [ones] * len(PROPERTIES))
    with np.errstate(all="ignore"):
        share = at(reference * ones, features) / base
        same = np.allclose(at(r, features), share * alone, rtol=1e-6, atol=1e-9 * np.abs(alone).max())
    return share if same and np.isfinite(share).all() and (share != 0).all() else None


def _collapsed_by_equation(axes: Axes, share: Array, arrays: dict[str, Any], run: Run) -> None:
    learned = _radial(arrays["pullback"], arrays) / share
    grid = np.geomspace(np.quantile(arrays["r"], SHOWN[0]), np.quantile(arrays["r"], SHOWN[1]), 300)
    equation = distilled_profile(run, grid, arrays["delta"].shape[1])
    if equation is None:
        raise ValueError("a law that was taken apart cannot be evaluated")
    _cloud(axes, arrays["r"], learned, np.append(equation, binned(arrays["r"], learned)[1]))
    axes.plot(grid, equation, label="distilled equation", **DISTILLED)
    axes.set_ylabel("radial acceleration, unit masses and charges")


def _collapsed(axes: Axes, known: ForceLaw, share: Array, arrays: dict[str, Any], run: Run) -> None:
    learned = _radial(arrays["pullback"], arrays) * arrays["m1"] / share
    grid = np.geomspace(np.quantile(arrays["r"], SHOWN[0]), np.quantile(arrays["r"], SHOWN[1]), 300)
    true = unit_force(known, grid)
    _cloud(axes, arrays["r"], learned, true)
    axes.plot(grid, true, label=f"true: {formula(run)}", **TRUE)
    equation = distilled_profile(run, grid, arrays["delta"].shape[1])
    if equation is not None:
        axes.plot(grid, equation, label="distilled equation", **DISTILLED)
    plain = bool(np.allclose(share, 1.0))
    axes.set_ylabel("radial pair force" + ("" if plain else " between unit masses and charges"))


def _medians(axes: Axes, arrays: dict[str, Any], run: Run) -> None:
    learned = _radial(arrays["pullback"], arrays)
    _cloud(axes, arrays["r"], learned, np.quantile(learned, SHOWN))
    dim = arrays["delta"].shape[1]
    contribution = distilled(run, dim)
    if contribution is not None:
        columns = {name: arrays["delta"][:, k] for k, name in enumerate(DELTAS[:dim])}
        values = _radial(contribution(columns | {name: arrays[name] for name in ("r", *PROPERTIES)}), arrays)
        _median_line(axes, arrays["r"], values, "distilled equation: median", DISTILLED)
    if "force" in arrays:
        _median_line(axes, arrays["r"], _radial(arrays["force"], arrays) / arrays["m1"], "true: median", TRUE)
    axes.set_ylabel("radial part of the pair acceleration")


def _median_line(axes: Axes, r: Array, values: Array, label: str, style: dict[str, Any]) -> None:
    known = np.isfinite(values)
    centres, quantiles = binned(r[known], values[known])
    axes.plot(centres, quantiles[1], label=label, **style)


def _cloud(axes: Axes, r: Array, learned: Array, guide: Array) -> None:
    """Density of the edges, their median and central 68 % per bin of r; limits from `guide`."""
    known = guide[np.isfinite(guide)]  # a law need not have a value where particles coincide
    low, high = (float(v) for v in np.quantile(known if len(known) else learned, (0.0, 1.0)))
    pad = 0.2 * (high - low) or 1.0
    span = np.quantile(r, SHOWN)
    outside = density(axes, r, learned, (float(span[0]), float(span[1])), (low - pad, high + pad))
    centres, (below, middle, above) = binned(r, learned)
    axes.errorbar(
        centres,
        middle,
        np.stack([middle - below, above - middle]),
        label="network: median, 16–84 %",
        **MEDIANS,
    )
    note(axes, f"{len(r):,} test edges, {outside:,} beyond the frame\nnegative: attraction")


def binned(r: Array, values: Array) -> tuple[Array, Array]:
    """Medians of r [B] and the 16, 50 and 84 % quantiles [3, B] of values in equally wide bins of r."""
    low, high = np.quantile(r, SHOWN)
    number = np.digitize(r, np.linspace(low, high, BINS + 1)) - 1
    parts = [number == k for k in range(BINS) if (number == k).sum() >= FEWEST]
    quantiles = np.array([np.quantile(values[part], (0.16, 0.5, 0.84)) for part in parts]).reshape(-1, 3).T
    return np.array([np.median(r[part]) for part in parts]), quantiles


def _radial(vectors: Array, arrays: dict[str, Any]) -> Array:
    size = np.linalg.norm(arrays["delta"], axis=1)
    return (vectors * arrays["delta"]).sum(1) / np.where(size > 0, size, 1.0)
