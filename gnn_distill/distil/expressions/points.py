"""The points that equations are fitted to, and which of them to leave out.

Shape letters: S points, K input columns.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from gnn_distill.arrays import Array


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


DROP_NEAREST, DROP_OUTLIERS = 0.02, 0.03
"""Shares of the points that do not count, see `trim`."""


LOUD, FEW, NEARLY_ALL, FEWEST = 10.0, 0.1, 0.9, 50
"""Points of a function are loud from so many times its median size. Where at most the first share of them
are, but so many, and hold the other share of it, the rest is thinned: contacts act on few pairs."""


def heard(points: Points) -> Points:
    """The points, where next to all of a function lies in few of them with no more others than these."""
    size = np.abs(points.y)
    loud = size > LOUD * np.median(size)
    usual = size <= np.quantile(size[loud], NEARLY_ALL) if loud.any() else ~loud  # a few may be outliers
    if not FEWEST / len(size) < loud.mean() < FEW:
        return points
    if size[loud & usual].sum() < NEARLY_ALL * size[usual].sum():
        return points
    others = np.flatnonzero(~loud)
    others = np.random.default_rng(0).choice(others, int(loud.sum()), replace=False)
    return points.take(np.sort(np.append(np.flatnonzero(loud), others)))


def trim(points: Points, nearest: float = DROP_NEAREST, outliers: float = DROP_OUTLIERS) -> Points:
    """Leave out what the singularity spoils.

    Where particles come close, a network is least accurate and forces are largest, so a few such points would
    decide which equation fits best. First what lies where next to nothing acts is thinned, see `heard`: else
    all of a short force would be left out as outliers.

    Args:
        points: all points.
        nearest: share of the points left out at the smallest r (where r is among the inputs).
        outliers: share of the rest left out at the largest |y − median(y)|.
    """
    points = heard(points) if nearest > 0 or outliers > 0 else points
    if "r" in points.names and nearest > 0:
        r = points.X[:, points.names.index("r")]
        points = points.take(np.flatnonzero(r >= np.quantile(r, nearest)))
    if outliers > 0:
        size = np.abs(points.y - np.median(points.y))
        points = points.take(np.flatnonzero(size <= np.quantile(size, 1.0 - outliers)))
    return points


Index = npt.NDArray[np.int64]

SAMPLES = ("random", "stratified")
WEIGHTS = ("equal", "decades")
STRATA = 4
"""Strata per decade of r."""
HEAVIEST = 10.0
"""Most that a point weighs, in units of the mean, where decades count equally."""


def strata(r: Array) -> Index:
    """Number of the stratum of each distance [E], equal widths in log r."""
    return np.floor(STRATA * np.log10(np.maximum(r, 1e-300))).astype(np.int64)


def draw(r: Array, count: int, how: str, rng: np.random.Generator) -> Index:
    """At most `count` of the edges with distances r [E], ascending.

    Args:
        r: distances.
        count: how many to draw.
        how: `random`; or `stratified`, the same number from every stratum of log r as far as it has that
            many, so that every decade of r is represented.
        rng: source of the draw.
    """
    order = rng.permutation(len(r))
    if how == "random" or len(r) <= count:
        return np.sort(order[:count])
    group = strata(r)[order]
    rank = pd.Series(group).groupby(group).cumcount().to_numpy()  # of each edge within its stratum
    return np.sort(order[np.argsort(rank, kind="stable")[:count]])


def weights(r: Array, how: str) -> Array | None:
    """Weights [S] of points at distances r [S]; None where all count the same.

    Args:
        r: distances.
        how: `equal`; or `decades`, every stratum of log r weighs the same, so that neither the many edges
            of middle length nor the few near r → 0 decide alone.
    """
    if how == "equal":
        return None
    _, group, count = np.unique(strata(r), return_inverse=True, return_counts=True)
    values = np.minimum(len(r) / len(count) / count[group], HEAVIEST)
    return np.asarray(values / values.mean(), dtype=np.float64)
