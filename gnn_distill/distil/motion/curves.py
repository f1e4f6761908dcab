"""Parts of a law as free curves of the labels, where noise hides them from a network.

A network is trained by small steps, and where single labels are mostly noise it learns little. Curves that
are linear in their numbers use all that labels tell (regression on a basis; A. Frishman and P. Ronceray 2020,
Phys. Rev. X 10, 021009). They then stand in the place of what the network says.

Shapes: R rows, D space dims, K splines, S points.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import sympy
from scipy.optimize import least_squares

from gnn_distill.arrays import Array
from gnn_distill.distil.expressions.evaluate import compiled
from gnn_distill.distil.expressions.points import Points
from gnn_distill.distil.motion.choose import CHANCE, beaten, compared
from gnn_distill.distil.motion.digest import digested
from gnn_distill.distil.motion.fit import NOTHING, Fit, Form, bounds, fit, together, typical
from gnn_distill.distil.motion.samples import Motion
from gnn_distill.distil.motion.search import Rows, Search
from gnn_distill.distil.motion.target import Splines, columns, products

COUNT = 10
"""Splines of a curve."""
MOST = 8
"""Products of properties that are tried."""
NEAREST = 20
"""Forms that are fitted of those that come near to a curve."""
LARGE = 1e20
"""In the place of values of forms that are not finite."""
ENDS = 1e-4
"""Share of the distances beyond each end of a curve of digested rows."""
PLACES, SHOWN = 1000, 40
"""Points at which forms are compared with a curve, and at which it is drawn."""


@dataclass(frozen=True)
class Curve:
    """`product` of properties times a curve of the distance.

    Attributes:
        product: of properties.
        splines: of the distance.
        factors: of the splines, shape [K].
        told: the inverse of the factors' covariance, beside all else that acts, shape [K, K].
    """

    product: sympy.Expr
    splines: Splines
    factors: Array
    told: Array

    def column(self, rows: Rows, along: str) -> Array:
        """Its contribution, shape [R D, 1]."""
        table = columns(rows.motion, self.product, along, COUNT, self.splines)
        return np.asarray(table @ self.factors)[:, None]

    def to_dict(self, d: Array) -> dict[str, list[float]]:
        """Its values without the product at distances [S], with standard errors."""
        table = self.splines(d)
        covariance = np.linalg.pinv(self.told, hermitian=True)
        error = np.sqrt(np.maximum(np.einsum("sk,kl,sl->s", table, covariance, table), 0.0))
        return {"d": d.tolist(), "f": (table @ self.factors).tolist(), "error": error.tolist()}

    def points(self, told: Points) -> Points:
        """The same points with the values of the curve."""
        named = dict(zip(told.names, told.X.T, strict=True))
        product = np.broadcast_to(compiled(self.product)(named), len(told.X))
        return replace(told, y=product * (self.splines(named["r"]) @ self.factors))

    def nearest(self, forms: Sequence[Form], told: Points, count: int = NEAREST) -> list[Form]:
        """So many forms that come nearest to the curve in units of its errors, the simple ones among them.

        Args:
            forms: of its direction; those that are kept have their constants moved.
            told: r and properties where these are compared.
            count: how many are kept.
        """
        some = told.sample(PLACES, np.random.default_rng(0))
        named = dict(zip(some.names, some.X.T, strict=True))
        named |= {"d": named["r"]}
        product = np.broadcast_to(compiled(self.product)(named), len(some.X))
        splines = np.linalg.pinv(product[:, None] * self.splines(named["r"]))
        values, vectors = np.linalg.eigh(self.told)
        root = np.sqrt(np.maximum(values, 0.0))[:, None] * vectors.T

        def rest(form: Form, constants: Sequence[float] | Array) -> Array:
            given = {**named, **dict(zip(form.symbols, constants, strict=True))}
            with np.errstate(all="ignore"):
                parts = [np.broadcast_to(t.functions[0](given), len(some.X)) for t in form.terms]
            whole = np.nan_to_num(np.stack(parts, axis=1).astype(np.float64), nan=LARGE)
            table = root @ splines @ np.clip(whole, -LARGE, LARGE)
            return np.asarray(goal - table @ np.linalg.lstsq(table, goal, rcond=1e-12)[0])

        goal, near = root @ self.factors, []
        for form in forms:
            found = np.array(form.start)
            if form.symbols:
                low, high = bounds(form)
                ask = functools.partial(rest, form)
                found = least_squares(ask, np.clip(found, low, high), bounds=(low, high), x_scale="jac").x
            near.append((float(np.sum(rest(form, found) ** 2)), replace(form, start=tuple(found))))
        near.sort(key=lambda one: one[0])
        simple = sorted(near, key=lambda one: one[0] + CHANCE**2 * one[1].cost)[: count // 2]
        return [form for _, form in [*simple, *(one for one in near if one not in simple)][:count]]


@dataclass(frozen=True)
class Curves:
    """A curve for each direction, and what acts on single particles beside them."""

    pairs: Mapping[str, Curve]
    own: Fit

    def to_dict(self, d: Array) -> dict[str, dict[str, list[float]]]:
        """Their values between the distances [E] of most pairs, where no properties multiply them."""
        low, high = np.quantile(d[d > 0], (0.01, 0.99))
        grid = np.geomspace(low, high, SHOWN)
        return {key: curve.to_dict(grid) for key, curve in self.pairs.items() if curve.product == 1}

    def of(self, rows: Rows) -> Rows:
        """Rows with these in the place of the network's parts."""
        parts = {key: curve.column(rows, key) for key, curve in self.pairs.items()}
        if self.own.form.terms:
            parts["own"] = self.own.predicted(rows.motion).reshape(-1, 1)
        return replace(rows, network={**rows.network, **parts})


def drawn(
    search: Search,
    points: Mapping[str, Points],
    whole: tuple[Motion, Motion] | None = None,
    fresh: Rows | None = None,
) -> tuple[Curves | None, tuple[Rows, Rows]]:
    """Curves in the place of the network's functions, or None, and rows with what stands there.

    Args:
        search: with rows that no fit and rows that a fit may see.
        points: by direction, with the properties that a product may have.
        whole: all rows, and some of them, where these are to be digested: curves then stay unless the network
            tells more. Else only where they tell more than the network.
        fresh: rows that the network has not been trained on, which compare the two where there are such: what
            it has learnt by heart is nearly nothing, and more than it knows where noise hides forces.
    """
    found = [_with(search, "u", product, whole) for product in products(points["u"])[:MOST]]
    best, used, _ = min(found, key=lambda one: one[2])
    judge = fresh or search.unseen
    seen, unseen = ([rows, best.of(rows)] for rows in (search.seen, judge))
    fits = [fit(search.seen.motion, NOTHING, rows.beside(list(rows.network))) for rows in seen]
    beside = [rows.beside(list(rows.network)) for rows in unseen]
    network, curves = compared(fits, judge.motion, beside)
    size = typical(judge.motion.labels)
    stays = beaten(network, curves, size) if whole is None else not beaten(curves, network, size)
    if not stays:
        return None, (search.seen, search.unseen)
    if whole is not None:
        return best, (best.of(used),) * 2
    return best, (seen[1], best.of(search.unseen))


def _with(
    search: Search, key: str, product: sympy.Expr, whole: tuple[Motion, Motion] | None
) -> tuple[Curves, Rows, float]:
    """A curve along one direction with this product, the rows that it is of, and what of these it leaves."""
    motion = search.seen.motion if whole is None else whole[0]
    apart = motion.named["r"]
    splines = Splines(apart[apart > 0], COUNT, 0.002 if whole is None else ENDS)
    if whole is not None:
        digest = digested(*whole, product, splines, search.fields())
        rows = Rows(digest, {name: np.zeros((len(digest.labels), 1)) for name in search.seen.network})
        search = replace(search, seen=rows, unseen=rows)
    seen, unseen = (_free(rows, product, key, splines) for rows in (search.seen, search.unseen))
    own = together(*replace(search, seen=seen, unseen=unseen).own([key], ()))
    beside = seen.beside([key])
    fitted = fit(seen.motion, own, beside)
    curve = Curve(product, splines, fitted.extra[:COUNT], _told(seen.motion, fitted, beside))
    left = float(compared([fitted], unseen.motion, unseen.beside([key]))[0].losses.mean())
    left = left if whole is None else digest.left
    return Curves({key: curve}, replace(fitted, extra=np.zeros(0))), search.seen, left


def _free(rows: Rows, product: sympy.Expr, key: str, splines: Splines) -> Rows:
    """Rows with a product times each spline in the place of the network's part."""
    table = columns(rows.motion, product, key, COUNT, splines)
    return replace(rows, network={**rows.network, key: table})


def _told(motion: Motion, whole: Fit, beside: Array) -> Array:
    """What rows tell of the splines' factors, the others being unknown, shape [K, K]."""
    error = whole.predicted(motion, beside) - motion.labels
    others = np.concatenate([beside[:, COUNT:], whole.form.columns(motion, whole.constants)], axis=1)
    size = np.repeat(np.sqrt(motion.trust), motion.labels.shape[1], axis=0)
    size = size if motion.count else size / np.sqrt(np.mean(error**2))
    own, others = size * beside[:, :COUNT], size * others
    own = own - others @ np.linalg.lstsq(others, own, rcond=1e-12)[0]
    return np.asarray(own.T @ own)
