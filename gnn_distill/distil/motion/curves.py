"""Parts of a law as free curves of the labels, where noise hides them from a network.

A network is trained by small steps, and where single labels are mostly noise it learns little. Curves that
are linear in their numbers use all that labels tell (regression on a basis; A. Frishman and P. Ronceray 2020,
Phys. Rev. X 10, 021009). They then stand in the place of what the network says.

Shapes: R rows, D space dims, K splines, S points.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import sympy

from gnn_distill.arrays import Array
from gnn_distill.distil.expressions.evaluate import compiled
from gnn_distill.distil.expressions.points import Points
from gnn_distill.distil.motion.choose import beaten, compared
from gnn_distill.distil.motion.fit import NOTHING, Fit, fit, together, typical
from gnn_distill.distil.motion.search import Rows, Search
from gnn_distill.distil.motion.target import Splines, columns, products

COUNT = 10
"""Splines of a curve."""
MOST = 8
"""Products of properties that are tried."""


@dataclass(frozen=True)
class Curve:
    """`product` of properties times a curve of the distance: splines with factors [K]."""

    product: sympy.Expr
    splines: Splines
    factors: Array

    def column(self, rows: Rows, along: str) -> Array:
        """Its contribution, shape [R D, 1]."""
        table = columns(rows.motion, self.product, along, COUNT, self.splines)
        return np.asarray(table @ self.factors)[:, None]

    def points(self, told: Points) -> Points:
        """The same points with the values of the curve."""
        named = dict(zip(told.names, told.X.T, strict=True))
        product = np.broadcast_to(compiled(self.product)(named), len(told.X))
        return replace(told, y=product * (self.splines(named["r"]) @ self.factors))


@dataclass(frozen=True)
class Curves:
    """A curve for each direction, and what acts on single particles beside them."""

    pairs: Mapping[str, Curve]
    own: Fit

    def of(self, rows: Rows) -> Rows:
        """Rows with these in the place of the network's parts."""
        parts = {key: curve.column(rows, key) for key, curve in self.pairs.items()}
        if self.own.form.terms:
            parts["own"] = self.own.predicted(rows.motion).reshape(-1, 1)
        return replace(rows, network={**rows.network, **parts})


def drawn(search: Search, points: Mapping[str, Points]) -> Curves | None:
    """Curves in the place of the network's functions; None where these tell unseen rows as much.

    Args:
        search: with the rows.
        points: by direction, with the properties that a product may have.
    """
    found = [_with(search, "u", product) for product in products(points["u"])[:MOST]]
    size = typical(search.unseen.motion.labels)
    best = min(found, key=lambda one: one[1])[0]
    seen, unseen = ([rows, best.of(rows)] for rows in (search.seen, search.unseen))
    fits = [fit(search.seen.motion, NOTHING, rows.beside(list(rows.network))) for rows in seen]
    beside = [rows.beside(list(rows.network)) for rows in unseen]
    network, curves = compared(fits, search.unseen.motion, beside)
    return best if beaten(network, curves, size) else None


def _with(search: Search, key: str, product: sympy.Expr) -> tuple[Curves, float]:
    """A curve along one direction with this product, and its mean loss on unseen rows."""
    apart = search.seen.motion.named["r"]
    splines = Splines(apart[apart > 0], COUNT)

    def free(rows: Rows) -> Rows:
        table = columns(rows.motion, product, key, COUNT, splines)
        return replace(rows, network={**rows.network, key: table})

    seen, unseen = free(search.seen), free(search.unseen)
    own = together(*replace(search, seen=seen, unseen=unseen).own([key], ()))
    whole = fit(search.seen.motion, own, seen.beside([key]))
    tried = compared([whole], search.unseen.motion, unseen.beside([key]))[0]
    alone = replace(whole, extra=np.zeros(0))
    return Curves({key: Curve(product, splines, whole.extra[:COUNT])}, alone), float(tried.losses.mean())
