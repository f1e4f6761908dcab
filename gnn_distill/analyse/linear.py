"""Linear fits of messages to forces: ordinary, and robust by least trimmed squares.

Shapes: E edges, P regressors, K message components.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from gnn_distill.analyse.trimmed import concentrate, search, smallest, solve
from gnn_distill.arrays import Array

TRIM = 0.10  # fraction of points left out of the robust fit and of its R², as in the 2025 report


@dataclass(frozen=True)
class Fit:
    """y ≈ offset + X·slope.

    Attributes:
        slope: shape [P].
        offset: scalar.
        r2: coefficient of determination over the kept points.
        kept: which points counted, shape [E].
    """

    slope: Array
    offset: float
    r2: float
    kept: npt.NDArray[np.bool_]

    def predict(self, x: Array) -> Array:
        """Fitted values [E] at regressors [E, P]."""
        return x @ self.slope + self.offset


def fit_column(x: Array, y: Array, trim: float = 0.0, near: Fit | None = None) -> Fit:
    """Least squares of y [E] on x [E, P] with an offset; trimmed if `trim` > 0.

    The trimmed fit minimises the mean squared residual of the best (1 − trim) E points, see
    `gnn_distill.analyse.trimmed`.

    Args:
        x: regressors.
        y: response, such as one message component.
        trim: fraction of points to leave out, in [0, 0.5].
        near: a fit to start from instead, where the solution is known to lie close.

    Returns:
        The fit; NaN throughout if the data are not finite.
    """
    data = np.vstack([np.ones(len(y)), x.T, y])
    gram, kept = data @ data.T, np.ones(len(y), dtype=bool)
    if not np.isfinite(gram).all():
        return Fit(np.full(x.shape[1], np.nan), np.nan, np.nan, kept)
    if trim > 0.0:
        start = search(data, trim) if near is None else np.array([near.offset, *near.slope])
        end = concentrate(data, start, trim)
        beta, kept = end.beta, end.kept
    else:
        beta = solve(gram)
    r2 = _determination(y[kept], (beta @ data[:-1])[kept])
    return Fit(beta[1:], float(beta[0]), r2, kept)


def r_squared(y: Array, predicted: Array, trim: float = 0.0) -> float:
    """R² of predictions as they stand (the line y = x), the worst fraction `trim` of points left out.

    NaN if the response does not vary.
    """
    kept = smallest(np.abs(y - predicted), trim)
    return _determination(y[kept], predicted[kept])


def _determination(y: Array, predicted: Array) -> float:
    spread = float(((y - y.mean()) ** 2).sum())
    if spread == 0.0:
        return float("nan")
    return 1.0 - float(((y - predicted) ** 2).sum()) / spread
