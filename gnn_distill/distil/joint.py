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
from gnn_distill.distil.expressions.parse import R
from gnn_distill.distil.expressions.points import DROP_OUTLIERS, Points, trim
from gnn_distill.distil.expressions.refine import factored, refit, writings
from gnn_distill.physics.variables import DELTAS

CENTRAL = 3.0
"""The law is not central where the part of c across Δ is this many times what f leaves along it, …"""
NEGLIGIBLE = 0.1
"""… and more than this share of c."""


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
    axes = [d for d in DELTAS if d in names]
    _, rest = along(X[:, [names.index(d) for d in axes]], values)
    size = np.linalg.norm(values, axis=1)
    kept = rest <= np.quantile(rest, 1 - DROP_OUTLIERS)
    loose = float(rest[kept].mean()) > CENTRAL * front.equations[-1].loss
    across = float(rest[kept].mean() / max(size[kept].mean(), 1e-300))
    fronts, parents = [], []
    for k, name in enumerate(axes):
        points = trim(Points(X, values[:, k], np.ones(len(X)), tuple(names)))
        written = {
            form: i
            for i, equation in enumerate(front.equations)
            for form in writings(factored(equation.expression) * sympy.Symbol(name) / R)
        }
        fronts.append(Front.on(points, [*written, *trivial(points, name)]))
        parents.append(tuple(written.get(e.expression) for e in fronts[-1].equations))
    return Joint(front, tuple(fronts), tuple(parents), across, not (loose and across > NEGLIGIBLE))


def trivial(points: Points, name: str) -> list[sympy.Expr]:
    """The best constant and the best multiple of one variable: they set the scale of losses."""
    multiple = refit(sympy.Float(1.0) * sympy.Symbol(name), points).expression
    return [sympy.Float(float(np.median(points.y))), multiple]
