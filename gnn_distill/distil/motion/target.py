"""The pair force as the labels show it: products of properties, each times a free curve of the distance.

A network's contributions have its errors. Once it is known which products of properties act, smooth curves
are fitted to the accelerations themselves, and a search for closed forms can start from these.

Shapes: E edges, R rows, D space dims, K splines, G distances.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import sympy
from scipy.interpolate import BSpline

from gnn_distill.arrays import Array
from gnn_distill.distil.engines.forms import monomial
from gnn_distill.distil.expressions.evaluate import compiled
from gnn_distill.distil.expressions.points import Points, trim
from gnn_distill.distil.motion.fit import NOTHING, fit
from gnn_distill.distil.motion.samples import Motion
from gnn_distill.physics.variables import DELTAS

FEW, MANY = 10, 24
"""Splines of a curve where products are compared, and where it is drawn."""
GRID = 250
ENDS = 0.015
"""Share of the distances beyond each end of a drawn curve."""
MOST = 60
"""Products that are compared."""
TWO = 0.7
"""Two products act where their error is at most this share of that of the best one."""
POWERS = {"m1": (-1, 0, 1)}
"""Powers of a property in a product; of others 0 and 1."""


@dataclass(frozen=True)
class Target:
    """One part of a pair force: `product` of properties times values y [G] at distances r [G]."""

    product: sympy.Expr
    r: Array
    y: Array


def targets(
    rows: tuple[Motion, Motion], points: Points, along: str, beside: tuple[Array, Array]
) -> list[list[Target]]:
    """Ways to write the force along one direction as a sum of products times curves.

    Args:
        rows: few ones, on which products are compared; many, on which curves are drawn.
        points: r and properties, and what the network says.
        along: the direction, see `Motion.directions`.
        beside: columns [R D, X] of all else that acts, on both.
    """
    few, many = rows
    choices = products(points)
    tables = [columns(few, p, along, FEW) for p in choices]
    size = np.array([_error(few, [t], beside[0]) for t in tables])
    best = int(np.argmin(size))
    found = [[choices[best]]]
    pairs = [_error(few, [tables[best], t], beside[0]) if k != best else np.inf for k, t in enumerate(tables)]
    if len(pairs) > 1 and min(pairs) < TWO * size[best]:
        found.append([choices[best], choices[int(np.argmin(pairs))]])
    return [_drawn(many, which, along, beside[1]) for which in found]


def products(points: Points) -> list[sympy.Expr]:
    """Products of properties that may act: that of the network's contributions, and simple ones."""
    names = [n for n in points.names if n != "r" and n not in DELTAS]
    grids = [POWERS.get(n, (0, 1)) for n in names]
    powers = sorted(itertools.product(*grids), key=lambda c: sum(map(abs, c)))[:MOST]
    simple = [sympy.Mul(*(sympy.Symbol(n) ** p for n, p in zip(names, c, strict=True))) for c in powers]
    told = [monomial(trim(points))] if names else []
    return list(dict.fromkeys([*told, *simple]))


def columns(
    motion: Motion, product: sympy.Expr, along: str, count: int, splines: Splines | None = None
) -> Array:
    """A product times each spline, along a direction, shape [R D, K]."""
    named = {n: v[motion.some(along)] for n, v in motion.named.items()}
    d = named["d"]
    with np.errstate(all="ignore"):
        factor = np.broadcast_to(compiled(product)(named), d.shape)
    factor = np.where((d > 0) & np.isfinite(factor), factor, 0.0)
    table = (splines or Splines(d[d > 0], count))(named["r"])
    return np.stack([motion.pairs(motion.vectors(c * factor, along)).ravel() for c in table.T], axis=1)


class Splines:
    """Cubic splines of the logarithm of the distance; distances beyond the ends count as the ends."""

    def __init__(self, d: Array, count: int, ends: float = 0.002) -> None:
        self.count = count
        self.low, self.high = np.quantile(d, [ends, 1 - ends])
        inner = _spaced(d, count - 2, ends)
        self.knots = np.log(np.concatenate([[inner[0]] * 3, inner, [inner[-1]] * 3]))

    def __call__(self, r: Array) -> Array:
        """Values at distances [S], shape [S, K]."""
        x = np.log(np.clip(r, self.low, self.high))
        x = np.clip(x, self.knots[0], self.knots[-1])
        return np.asarray(BSpline.design_matrix(x, self.knots, 3).toarray())


def _spaced(d: Array, count: int, ends: float) -> Array:
    """Distances between dense where data are and even in the logarithm."""
    low, high = np.quantile(d, [ends, 1 - ends])
    even = np.geomspace(low, high, count)
    return np.sqrt(even * np.quantile(d, np.linspace(ends, 1 - ends, count)))


def _error(motion: Motion, tables: Sequence[Array], beside: Array) -> float:
    columns = np.concatenate([*tables, beside], axis=1)
    rest = fit(motion, NOTHING, columns).predicted(motion, columns) - motion.labels
    return float(np.mean(np.abs(rest) * motion.trust))


def _drawn(motion: Motion, which: Sequence[sympy.Expr], along: str, beside: Array) -> list[Target]:
    tables = [columns(motion, p, along, MANY) for p in which]
    factors = fit(motion, NOTHING, np.concatenate([*tables, beside], axis=1)).extra
    d, r = (motion.named[n][motion.some(along)] for n in ("d", "r"))
    grid = _spaced(r[r > 0], GRID, ENDS)
    basis, found = Splines(d[d > 0], MANY)(grid), []
    for product in which:
        found.append(Target(product, grid, basis @ factors[: basis.shape[1]]))
        factors = factors[basis.shape[1] :]
    return found
