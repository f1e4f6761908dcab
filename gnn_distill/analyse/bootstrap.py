"""Bootstrap confidence intervals: whole trajectories are drawn, for frames of one are not independent.

A fit's R² on a set of trajectories follows from the sums of products over the edges of each, so a draw costs
as much as the number of trajectories, not of edges. Robust fits keep the points that they keep on all
data. Shapes: E edges, P regressors, T trajectories, W draws.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from gnn_distill.arrays import Array

DRAWS = 400
LEVEL = 0.95


@dataclass(frozen=True)
class Resamples:
    """Draws of trajectories with replacement.

    Attributes:
        group: number of each edge's trajectory, 0 … T − 1, shape [E].
        weights: how often each draw holds each trajectory, shape [W, T].
    """

    group: npt.NDArray[np.int64]
    weights: Array

    @staticmethod
    def of(trajectory: npt.NDArray[np.int64], draws: int = DRAWS, seed: int = 0) -> Resamples:
        """Draws for edges [E] that belong to these trajectories."""
        numbers, group = np.unique(trajectory, return_inverse=True)
        count = len(numbers)
        drawn = np.random.default_rng(seed).multinomial(count, np.full(count, 1.0 / count), size=draws)
        return Resamples(group, drawn.astype(np.float64))

    @staticmethod
    def once(edges: int) -> Resamples:
        """The data as they are."""
        return Resamples(np.zeros(edges, dtype=np.int64), np.ones((1, 1)))

    def moments(self, columns: Array, kept: npt.NDArray[np.bool_] | None = None) -> Array:
        """Sums of products of columns [Q, E] over the edges of each draw, shape [W, Q, Q]."""
        part, group = (columns, self.group) if kept is None else (columns[:, kept], self.group[kept])
        size = len(part)
        sums = np.zeros((self.weights.shape[1], size, size))
        for i in range(size):
            for j in range(i, size):
                sums[:, i, j] = np.bincount(group, part[i] * part[j], minlength=len(sums))
                sums[:, j, i] = sums[:, i, j]
        return np.tensordot(self.weights, sums, axes=1)

    def fitted_r2(self, x: Array, y: Array, kept: npt.NDArray[np.bool_]) -> Array:
        """R² of the least-squares fit of y [E] to x [E, P], refitted on the kept edges of each draw [W]."""
        centred = np.vstack([np.ones(len(y)), (x - x[kept].mean(0)).T, y - y[kept].mean()])
        m = self.moments(centred, kept)
        n, sums = m[:, 0, 0], m[:, 0]
        m = m[:, 1:, 1:] - sums[:, 1:, None] * sums[:, None, 1:] / n[:, None, None]
        scale = np.sqrt(np.maximum(np.einsum("wii->wi", m), 1e-300))
        m = m / scale[:, :, None] / scale[:, None, :]
        inverse = np.linalg.pinv(m[:, :-1, :-1], rcond=1e-12, hermitian=True)
        return np.einsum("wi,wij,wj->w", m[:, :-1, -1], inverse, m[:, :-1, -1])

    def plain_r2(self, y: Array, predicted: Array, kept: npt.NDArray[np.bool_]) -> Array:
        """R² of predictions [E] as they stand on the kept edges of each draw, shape [W]."""
        m = self.moments(np.stack([np.ones(len(y)), y - y[kept].mean(), y - predicted]), kept)
        total = m[:, 1, 1] - m[:, 0, 1] ** 2 / m[:, 0, 0]
        return 1.0 - m[:, 2, 2] / np.where(total > 0, total, np.nan)


def interval(values: Array, level: float = LEVEL) -> list[float]:
    """Percentile interval of draws [W]; NaN where a draw is undefined."""
    tail = 0.5 * (1.0 - level)
    return [float(q) for q in np.quantile(values, [tail, 1.0 - tail])]
