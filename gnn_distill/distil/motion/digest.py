"""All rows in some hundred numbers, where noise is nearly all of each row.

What acts is nearly a sum of curves of the distance, of curves of each coordinate and of the fields that may
act on a particle. Of normal noise, the scalar products of the labels with such columns are all that rows tell
about their factors (sufficient statistics). So each form is fitted to these products instead of to hundreds
of thousands of rows: all of these count, in a fraction of the time.

Shapes: R rows, S rows of a sample, D space dims, C columns, M numbers of the digest, K splines, U units.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np
import sympy
from scipy.interpolate import BSpline

from gnn_distill.arrays import Array
from gnn_distill.distil.motion.fit import Form
from gnn_distill.distil.motion.kicks import innovations
from gnn_distill.distil.motion.samples import Motion
from gnn_distill.distil.motion.target import Splines, columns
from gnn_distill.physics.variables import AXES

KNOTS = (0.0, 5e-4, 2e-3, 5e-3, 0.01, 0.02, 0.04, 0.08, 0.15, 0.3, 0.5)
"""Shares of the positions below and above which curves of a coordinate bend: dense where walls may be."""
ALIKE = 1e-10
"""Columns are one where they differ by less than this share of their squares."""


@dataclass(frozen=True, kw_only=True)
class Digest(Motion):
    """Rows of a sample, seen through the products of their columns with those of all rows.

    Labels are products with orthogonal columns, in units of their errors.

    Attributes:
        sample: the rows on which columns are looked at.
        inward: what makes products out of a column there, shape [M, S D].
        products: of the labels of all rows, shape [M].
        left: mean square of what no column explains.
    """

    sample: Motion
    inward: Array
    products: Array
    left: float

    @functools.cached_property
    def labels(self) -> Array:
        """Products of the labels, shape [M, 1]."""
        return self.products[:, None]

    @functools.cached_property
    def trust(self) -> Array:
        """The same for all, shape [M, 1]."""
        return np.ones((len(self.products), 1))

    def averaged(self, values: Array) -> Array:
        """Products of what the particles have at their own instants [N, D], shape [M, 1]."""
        return np.asarray(self.inward @ self.sample.averaged(values).reshape(-1, 1))

    def _as(self, found: Motion) -> Motion:
        return found


def digested(
    rows: Motion, sample: Motion, product: sympy.Expr, splines: Splines, known: Sequence[Form]
) -> Digest:
    """The digest of rows.

    Args:
        rows: all of them, of one particle and time each.
        sample: some of them.
        product: of properties that multiplies the pair force.
        splines: of the distance.
        known: fields that may act on a particle, without constants but factors.
    """
    ends = _knots(rows)
    whole, part = (_columns(motion, product, splines, known, ends) for motion in (rows, sample))
    kicks = innovations(rows, whole[:, : splines.count])
    weight = np.repeat(np.sqrt(rows.trust), rows.labels.shape[1], axis=0)
    whole, y = (_without(weight * column, weight * kicks) for column in (whole, rows.labels.reshape(-1, 1)))
    size = np.maximum(np.linalg.norm(whole, axis=0), 1e-300)
    whole /= size
    part /= size
    values, vectors = np.linalg.eigh(whole.T @ whole)
    kept = values > ALIKE * values[-1]
    scale, vectors = np.sqrt(values[kept]), vectors[:, kept]
    products = vectors.T @ (whole.T @ y[:, 0]) / scale
    rest = y[:, 0] - whole @ (vectors @ (products / scale))
    error = np.sqrt(np.mean(rest**2) * _together(rows, whole @ (vectors / scale), rest))
    inward = scale[:, None] * vectors.T @ np.linalg.pinv(part, rcond=ALIKE**0.5) / error
    taken = {f.name: getattr(sample, f.name) for f in fields(Motion)}
    taken |= {"unit": np.arange(len(products)), "count": rows.labels.size, "lag": 0}
    return Digest(
        **taken, sample=sample, inward=inward, products=products / error, left=float(np.mean(rest**2))
    )


def _columns(
    motion: Motion, product: sympy.Expr, splines: Splines, known: Sequence[Form], ends: Sequence[Array]
) -> Array:
    """Columns [R D, C] in which all that may act is nearly contained."""
    count, dim = len(motion.nodes), motion.nodes.acceleration.shape[1]
    parts = [columns(motion, product, "u", splines.count, splines)]
    parts += [form.columns(motion, ()) for form in known if not form.symbols]
    for k, knots in enumerate(ends):
        if len(knots) < 2:
            continue
        x = np.clip(motion.nodes.named[AXES[k]], knots[0], knots[-1])
        hats = BSpline.design_matrix(x, np.r_[knots[0], knots, knots[-1]], 1).toarray()
        for hat in hats.T:
            field = np.zeros((count, dim))
            field[:, k] = hat
            parts.append(motion.averaged(field).reshape(-1, 1))
    return np.concatenate(parts, axis=1)


def _without(columns: Array, kicks: Array) -> Array:
    """Columns [R D, C] without what random forces add to them."""
    if not kicks.any():
        return columns
    return np.asarray(columns - kicks @ np.linalg.lstsq(kicks, columns, rcond=None)[0])


def _knots(motion: Motion) -> list[Array]:
    """Where curves of each coordinate bend."""
    shares = np.unique([*KNOTS, *(1.0 - np.array(KNOTS))])
    dim = motion.nodes.acceleration.shape[1]
    return [np.unique(np.quantile(motion.nodes.named[a], shares)) for a in AXES[:dim]]


def _together(motion: Motion, orthogonal: Array, rest: Array) -> float:
    """How much more products vary from unit to unit than independent errors make them.

    Quasi-likelihood: D. R. Anderson, K. P. Burnham and G. C. White 1994, Ecology 75, 1780.
    """
    dim = motion.labels.shape[1]
    _, of = np.unique(motion.pieces, return_inverse=True)
    score = (orthogonal * rest[:, None]).reshape(-1, dim, orthogonal.shape[1]).sum(axis=1)
    sums = np.stack([np.bincount(of, column) for column in score.T])
    return max(1.0, float((sums**2).sum() / (len(sums) * np.mean(rest**2))))
