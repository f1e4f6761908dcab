"""One equation for all Cartesian components of a central law: c = f(r, features) · Δ/d.

The components of a pulled-back acceleration share one law, so f is searched for once, on the part of c
along Δ. Every equation for f then is an equation f·Δ_k/r for component k, and is rated and judged there.
Shape letters: S points, D space dims, K inputs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import sympy

from gnn_distill.arrays import Array
from gnn_distill.distil.expressions.front import Front
from gnn_distill.distil.expressions.points import Points, trim
from gnn_distill.distil.expressions.refine import factored, forms, refit
from gnn_distill.physics.variables import DELTAS

NEAR, TAIL = 0.02, 0.03
"""Shares of the points that do not count, as for the engines; see `points.trim`."""
CENTRAL = 3.0
"""The law is not central where the part of c across Δ is this many times what f leaves along it, …"""
NEGLIGIBLE = 0.1
"""… and more than this share of c."""
R = sympy.Symbol("r")


def along(delta: Array, values: Array) -> tuple[Array, Array]:
    """Vectors [S, D] split by Δ [S, D]: their component along Δ/d, and the size of the rest, each [S]."""
    distance = np.linalg.norm(delta, axis=1)
    unit = delta / np.where(distance > 0, distance, 1.0)[:, None]
    part = (values * unit).sum(axis=1)
    return part, np.linalg.norm(values - part[:, None] * unit, axis=1)


@dataclass(frozen=True)
class Joint:
    """The front of f, and what it is for each component.

    Attributes:
        front: of f, loss along Δ.
        components: a front for each component; its equations are f·Δ_k/r, and trivial ones.
        parents: index on `front` of every equation of every component; None for trivial ones.
        across: mean size of c across Δ, as a share of the mean size of c.
        central: whether one equation along Δ can do.
    """

    front: Front
    components: tuple[Front, ...]
    parents: tuple[tuple[int | None, ...], ...]
    across: float
    central: bool


def vector_fronts(front: Front, X: Array, names: Sequence[str], values: Array) -> Joint:
    """What the front of f is for each component of `values` [S, D], at points X [S, K] that hold Δ."""
    delta = X[:, [names.index(d) for d in DELTAS if d in names]]
    _, rest = along(delta, values)
    size = np.linalg.norm(values, axis=1)
    kept = rest <= np.quantile(rest, 1 - TAIL)
    loose = float(rest[kept].mean()) > CENTRAL * front.equations[-1].loss
    across = float(rest[kept].mean() / max(size[kept].mean(), 1e-300))
    fronts, parents = [], []
    for k, name in enumerate(d for d in DELTAS if d in names):
        points = trim(Points(X, values[:, k], np.ones(len(X)), tuple(names)), NEAR, TAIL)
        written = {
            form: i
            for i, equation in enumerate(front.equations)
            for form in forms(component(equation.expression, sympy.Symbol(name)))
        }
        candidates = [*written, *trivial(points, name)]
        fronts.append(Front.build(candidates, points.X, points.y, points.names, points.loss))
        parents.append(tuple(written.get(e.expression) for e in fronts[-1].equations))
    return Joint(front, tuple(fronts), tuple(parents), across, not (loose and across > NEGLIGIBLE))


def component(f: sympy.Expr, delta: sympy.Symbol) -> sympy.Expr:
    """f·Δ/r."""
    return factored(f) * delta / R


def trivial(points: Points, name: str) -> list[sympy.Expr]:
    """The best constant and the best multiple of one variable: they set the scale of losses."""
    return [
        sympy.Float(float(np.median(points.y))),
        refit(sympy.Float(1.0) * sympy.Symbol(name), points).expression,
    ]
