"""The points that equations are fitted to, and which of them to leave out.

Shape letters: S points, K input columns.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Points:
    """Points that equations are fitted to: X [S, K], y [S], weights [S] with mean 1."""

    X: Array
    y: Array
    weights: Array
    names: tuple[str, ...]

    def take(self, index: npt.NDArray[np.intp]) -> Points:
        """The points at `index`."""
        weights = self.weights[index]
        return Points(self.X[index], self.y[index], weights / max(weights.mean(), 1e-300), self.names)

    def sample(self, count: int, rng: np.random.Generator) -> Points:
        """At most `count` points, without repetition."""
        if len(self.y) <= count:
            return self
        return self.take(np.sort(rng.choice(len(self.y), count, replace=False)))

    def loss(self, prediction: Array, target: Array) -> float:
        """Weighted mean absolute error; infinite where the prediction is not finite."""
        if not np.isfinite(prediction).all():
            return float("inf")
        return float(np.mean(self.weights * np.abs(prediction - target)))


def trim(points: Points, near: float, tail: float) -> Points:
    """Drop what the singularity spoils.

    Args:
        points: all points.
        near: share of the points dropped at the smallest r (where r is among the inputs).
        tail: share of the rest dropped at the largest |y − median(y)|.
    """
    if "r" in points.names and near > 0:
        r = points.X[:, points.names.index("r")]
        points = points.take(np.flatnonzero(r >= np.quantile(r, near)))
    if tail > 0:
        size = np.abs(points.y - np.median(points.y))
        points = points.take(np.flatnonzero(size <= np.quantile(size, 1.0 - tail)))
    return points
