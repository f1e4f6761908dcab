"""What may explain a motion: free functions of distance for pairs, and what acts on one particle.

Shape letters: F frames, n particles, R receivers among them, D space dims, K further columns, P features.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import combinations_with_replacement

import numpy as np
import numpy.typing as npt

from gnn_distill.arrays import Array
from gnn_distill.data.own.box import shortest
from gnn_distill.data.own.tracks import Box

PLACES = 12
"""Functions of the place along an axis."""
SENDERS = 2
"""Further columns that may multiply what a pair does."""
NEAR = 1e-3
"""Quantile of distances and places where functions of them begin."""

Index = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Pairs:
    """Vectors [F, R, n, D] and weights [F, R, n] of R receivers and n senders, and where distances lie.

    The last `spare` weights may be left out where data are few.
    """

    height: Array
    ends: tuple[float, float]
    vectors: tuple[Array, ...]
    weights: tuple[Array, ...]
    spare: int = 0

    @classmethod
    def of(
        cls,
        x: Array,
        v: Array,
        q: Array,
        m: Array,
        f: Array,
        receivers: Index,
        box: Box | None,
        moving: bool,
        present: npt.NDArray[np.bool_],
    ) -> Pairs:
        """Pairs of positions [F, n, D] with velocities, charges, masses [F, n], further values [F, n, K]."""
        delta = shortest(x[:, receivers, None] - x[:, None], box)
        distance = np.linalg.norm(delta, axis=-1)
        others = (receivers[:, None] != np.arange(x.shape[1])) & present[:, None]
        distance = np.where(others & (distance > 0), distance, 1.0)
        height = np.log(distance)
        ends = (float(np.quantile(height[others], NEAR)), float(height[others].max()))
        unit = delta / distance[..., None]
        vectors = [unit]
        if x.shape[-1] == 2:
            vectors.append(np.stack([-unit[..., 1], unit[..., 0]], -1))
        if moving:
            vectors.append(v[:, receivers, None] - v[:, None])
        weights = [others * np.ones_like(distance)]
        if np.ptp(m) > 0:
            weights += [weights[0] / m[:, receivers, None], weights[0] * m[:, None]]
        if q.any():
            weights += [w * (q[:, receivers, None] * q[:, None]) for w in weights[:2]]
        known = range(min(f.shape[-1], SENDERS))  # of kinds, say: of the sender, of the receiver, of both
        weights += [weights[0] * f[:, None, :, k] for k in known]
        for k in known:
            ours = weights[0] * f[:, receivers, k][..., None]
            weights += [ours, ours * f[:, None, :, k]]
        return cls(height, ends, tuple(vectors), tuple(weights), 2 * len(known))

    def _hats(self, count: int) -> list[Array]:
        """Functions of ln d that rise from 0 to 1 and fall again, one after the other."""
        places, width = np.linspace(*self.ends, count, retstep=True)
        height = np.clip(self.height, *self.ends)
        return [np.clip(1 - np.abs(height - place) / max(float(width), 1e-12), 0, 1) for place in places]

    @property
    def fewer(self) -> Pairs:
        """The same without what may be left out."""
        return replace(self, weights=self.weights[: len(self.weights) - self.spare], spare=0)

    def summed(self, count: int) -> Array:
        """Every pair term, summed over senders: [F, R, D, P]."""
        terms = (
            (hat * weight, vector)
            for hat in self._hats(count)
            for weight in self.weights
            for vector in self.vectors
        )
        return np.stack([np.einsum("fij,fijd->fid", scalar, vector) for scalar, vector in terms], -1)

    def central(self, count: int) -> Array:
        """The central pair terms, summed over senders: [F, R, D, P]."""
        each = [hat * self.weights[0] for hat in self._hats(count)]
        return np.stack([np.einsum("fij,fijd->fid", scalar, self.vectors[0]) for scalar in each], -1)

    def by_sender(self, count: int) -> Array:
        """The central pair terms, each sender's for itself: [F, R, D, P]."""
        each = [(hat * self.weights[0])[..., None] * self.vectors[0] for hat in self._hats(count)]
        return np.concatenate([np.moveaxis(term, 2, 3) for term in each], -1)


def own_features(x: Array, v: Array, q: Array, m: Array, f: Array, box: Box | None, moving: bool) -> Array:
    """One-body terms [F, n, D, P]: polynomials of the place, what is linear in velocity, further values."""
    dim = x.shape[-1]
    scalars = [np.ones(x.shape[:2])]
    axes = [x[..., k] / max(float(x[..., k].std()), 1e-300) for k in range(dim) if not (box and box[k])]
    for degree in (1, 2, 3):
        scalars += [np.prod(some, axis=0) for some in combinations_with_replacement(axes, degree)]
    if moving:
        factors = [np.ones_like(m)] + [1 / m] * bool(np.ptp(m) > 0) + [q / m] * bool(q.any())
        scalars += [f * v[..., k] for f in factors for k in range(dim)]
        scalars += [np.linalg.norm(v, axis=-1) * v[..., k] for k in range(dim)]
    scalars += [f[..., k] for k in range(f.shape[-1])]
    found = np.zeros((*x.shape, dim * len(scalars)))
    for k in range(dim):
        found[..., k, k * len(scalars) : (k + 1) * len(scalars)] = np.stack(scalars, -1)
    return found


def places(x: Array, box: Box | None) -> Array:
    """Free functions of the place along each open axis for each component, [F, n, D, P]: a well, say."""
    dim, hats = x.shape[-1], []
    for axis in (x[..., k] for k in range(dim) if not (box and box[k])):
        low, high = np.quantile(axis, [NEAR, 1 - NEAR])
        ends, width = np.linspace(low, high, PLACES, retstep=True)
        height = np.clip(axis, low, high)
        hats += [np.clip(1 - np.abs(height - p) / max(float(width), 1e-12), 0, 1) for p in ends]
    values = np.stack(hats, -1) if hats else np.zeros((*x.shape[:2], 0))
    return np.concatenate([values[..., None, :] * row[:, None] for row in np.eye(dim)], -1)
