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
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from gnn_distill.arrays import Array
from gnn_distill.distil.expressions.evaluate import evaluate
from gnn_distill.distil.expressions.parse import parse
from gnn_distill.errors import InputError
from gnn_distill.physics.laws import SOFTENING, ForceLaw
from gnn_distill.physics.variables import DELTAS, PROPERTIES, further
from gnn_distill.report.style import BLACK, ORANGE, bars, binned, density, note, single, span
from gnn_distill.report.text import formula
from gnn_distill.runs.load import Run, law_of

Profile = Callable[..., Array]
"""Radial force at r [E] and the properties of the pair by their names, each [E] or a number."""

BINS = 18
FEWEST = 5
TRUE: dict[str, Any] = {"color": BLACK, "linestyle": "--", "linewidth": 1.4, "zorder": 4}
DISTILLED: dict[str, Any] = {"color": ORANGE, "linewidth": 4.0, "alpha": 0.85, "zorder": 3}
SHOWN = (0.02, 0.98)


def law(run: Run, arrays: dict[str, Any]) -> Figure | None:
    """The learned radial force against r, with the true law and the distilled one.

    None for a law of functions, which a figure of their own shows.
    """
    if (run.law or {}).get("functions"):
        return None
    known = law_of(run.config)
    true = None if known is None else true_profile(known)
    told = true or distilled_profile(run)
    share = None if told is None else separable(told, arrays)
    figure, axes = single(4.4)
    if told is None or share is None:
        _medians(axes, arrays, run)
    else:
        _collapsed(axes, true, share, arrays, run)
    axes.axhline(0, color=BLACK, linewidth=0.7)
    axes.set(xlabel="distance r = |Δ| + ε", title="The pair force against the distance")
    axes.legend(loc="best")
    return figure


def true_profile(known: ForceLaw) -> Profile:
    """The radial force of a law."""
    return lambda r, of: known.magnitude(r, *(of[name] for name in PROPERTIES), known.params)


def distilled_profile(run: Run) -> Profile | None:
    """The radial acceleration by the distilled law; None where it is no central force."""
    radial = _parsed(run, [(run.law or {}).get("radial")])
    return None if radial is None else lambda r, of: radial({**of, "r": r})[:, 0]


def properties(arrays: dict[str, Any]) -> dict[str, Array]:
    """Masses, charges and further columns of the pairs by their names, each [E]."""
    more = further([str(name) for name in arrays.get("variables", ())])
    return {name: arrays[name] for name in (*PROPERTIES, *more)}


def unit(arrays: dict[str, Any]) -> dict[str, float]:
    """Masses and charges of one, further columns at their medians."""
    return {n: 1.0 if n in PROPERTIES else float(np.median(v)) for n, v in properties(arrays).items()}


def separable(force: Profile, arrays: dict[str, Any]) -> Array | None:
    """H [E] of a force h(properties) g(r), one between pairs of `unit`; None if it is no such product."""
    r, features, alike = arrays["r"], properties(arrays), unit(arrays)
    with np.errstate(all="ignore"):
        radii = np.quantile(r, (0.1, 0.25, 0.5, 0.75, 0.9))
        sizes = np.nan_to_num(np.abs(force(radii, alike)), posinf=0.0)
        strongest = radii[[np.argmax(sizes)]]  # where the force is zero, h would be 0 / 0
        share = force(np.full(len(r), strongest), features) / force(strongest, alike)
        product = share * force(r, alike)
        same = np.allclose(force(r, features), product, rtol=1e-6, atol=1e-9 * np.abs(product).max())
    return share if same and np.isfinite(share).all() and (share != 0).all() else None


def distilled(run: Run, dim: int) -> Callable[[dict[str, Any]], Array] | None:
    """The distilled pair contribution [E, D] as a function of named columns; None if there is none."""
    parts = (run.law or {}).get("acceleration") or []
    return _parsed(run, parts) if len(parts) == dim else None


def _parsed(run: Run, texts: list[Any]) -> Callable[[dict[str, Any]], Array] | None:
    """Expressions as a function of named columns, r among them, that returns [E, expressions].

    Equations may read the plain distance d, too. None if one is no formula.
    """
    try:
        parts = [parse(text) for text in texts if text]
    except InputError:
        return None
    if not parts:
        return None
    softening = (run.law or {}).get("softening", SOFTENING)

    def values(columns: dict[str, Any]) -> Array:
        columns = {**columns, "d": columns["r"] - softening}
        x = np.column_stack(np.broadcast_arrays(*columns.values()))
        found = (np.asarray(evaluate(part, x, list(columns)), dtype=float) for part in parts)
        return np.stack([np.broadcast_to(value, len(x)) for value in found], axis=1)

    return values


def unit_profile(run: Run, r: Array, arrays: dict[str, Any]) -> Array | None:
    """Radial part [R] of the distilled law for pairs of `unit`, averaged over directions."""
    dim = arrays["delta"].shape[1]
    contribution = distilled(run, dim)
    if contribution is None:
        return None
    draws = np.random.default_rng(0).normal(size=(32, dim))
    units = np.concatenate([draws, -draws]) / np.linalg.norm(np.concatenate([draws, -draws]), axis=1)[:, None]
    softening = (run.law or {}).get("softening", SOFTENING)
    ways, radius = np.tile(units, (len(r), 1)), np.repeat(r, len(units))
    columns: dict[str, Any] = {**unit(arrays), "r": radius}
    columns |= {name: ways[:, k] * (radius - softening) for k, name in enumerate(DELTAS[:dim])}
    return (contribution(columns) * ways).sum(1).reshape(len(r), -1).mean(1)


def _collapsed(axes: Axes, true: Profile | None, share: Array, arrays: dict[str, Any], run: Run) -> None:
    """All edges between unit masses and charges: forces of a true law, accelerations of a distilled one."""
    learned = _radial(arrays["pullback"], arrays) / share
    grid = np.geomspace(*span(arrays["r"], SHOWN), 300)
    equation = unit_profile(run, grid, arrays)
    if true is None:
        guide = np.append(equation if equation is not None else [], _binned(arrays["r"], learned)[1])
        more = len(properties(arrays)) > len(PROPERTIES)
        axes.set_ylabel(f"radial acceleration, unit masses and charges{', usual others' if more else ''}")
    else:
        learned, guide = learned * arrays["m1"], true(grid, unit(arrays))
        axes.plot(grid, guide, label=f"true: {formula(run)}", **TRUE)
        plain = "" if np.allclose(share, 1.0) else " between unit masses and charges"
        axes.set_ylabel(f"radial pair force{plain}")
    _cloud(axes, arrays["r"], learned, guide)
    if equation is not None:
        axes.plot(grid, equation, label="distilled equation", **DISTILLED)


def _medians(axes: Axes, arrays: dict[str, Any], run: Run) -> None:
    learned = _radial(arrays["pullback"], arrays)
    _cloud(axes, arrays["r"], learned, np.quantile(learned, SHOWN))
    dim = arrays["delta"].shape[1]
    contribution = distilled(run, dim)
    if contribution is not None:
        columns = {name: arrays["delta"][:, k] for k, name in enumerate(DELTAS[:dim])}
        values = _radial(contribution({**columns, "r": arrays["r"], **properties(arrays)}), arrays)
        _median_line(axes, arrays["r"], values, "distilled equation: median", DISTILLED)
    if "force" in arrays:
        _median_line(axes, arrays["r"], _radial(arrays["force"], arrays) / arrays["m1"], "true: median", TRUE)
    axes.set_ylabel("radial part of the pair acceleration")


def _median_line(axes: Axes, r: Array, values: Array, label: str, style: dict[str, Any]) -> None:
    known = np.isfinite(values)
    centres, quantiles = _binned(r[known], values[known])
    axes.plot(centres, quantiles[1], label=label, **style)


def _cloud(axes: Axes, r: Array, learned: Array, guide: Array) -> None:
    """Density of the edges, their median and central 68 % per bin of r; limits from `guide`."""
    known = guide[np.isfinite(guide)]  # a law need not have a value where particles coincide
    low, high = span(known if len(known) else learned, (0.0, 1.0))
    pad = 0.2 * (high - low) or 1.0
    outside = density(axes, r, learned, span(r, SHOWN), (low - pad, high + pad))
    bars(axes, *_binned(r, learned), "network")
    note(axes, f"{len(r):,} test edges, {outside:,} beyond the frame\nnegative: attraction")


def _binned(r: Array, values: Array) -> tuple[Array, Array]:
    return binned(r, values, np.linspace(*span(r, SHOWN), BINS + 1), FEWEST)


def _radial(vectors: Array, arrays: dict[str, Any]) -> Array:
    size = np.linalg.norm(arrays["delta"], axis=1)
    return (vectors * arrays["delta"]).sum(1) / np.where(size > 0, size, 1.0)
