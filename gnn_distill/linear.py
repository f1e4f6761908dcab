"""Linear fits of messages to forces: ordinary, and robust by least trimmed squares.

Shapes: E edges, P regressors, K message components.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]

TRIM = 0.10  # fraction of points left out of the robust fit and of its R² (PROTOCOL §6)


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


def fit_linear(x: Array, y: Array, trim: float = 0.0, starts: int = 8, seed: int = 0) -> Fit:
    """Least squares of y [E] on x [E, P] with an offset; trimmed if `trim` > 0.

    The trimmed fit minimises the mean squared residual of the best (1 − trim) E points: FAST-LTS
    (Rousseeuw & Van Driessen 2006), concentration steps from several starts on a subsample, then the
    best of them and the ordinary fit on all points until the kept set no longer changes.

    Args:
        x: regressors.
        y: response.
        trim: fraction of points to leave out, in [0, 0.5].
        starts: random starts beside the ordinary fit.
        seed: of the random starts.
    """
    design = np.column_stack([np.ones(len(y)), x])
    everything = np.ones(len(y), dtype=bool)
    ordinary = _solve(design, y)
    if trim == 0.0:
        return _fit(design, y, ordinary, everything)
    rng = np.random.default_rng(seed)
    part = rng.permutation(len(y))[:5000]
    tries = [ordinary]
    for _ in range(starts):
        few = rng.choice(part, size=min(len(part), 3 * design.shape[1]), replace=False)
        start = _solve(design[few], y[few])
        tries.append(_concentrate(design[part], y[part], start, trim, steps=5)[0])
    tries.sort(key=lambda beta: _objective(design[part], y[part], beta, trim))
    ends = [_concentrate(design, y, beta, trim, steps=100) for beta in (*tries[:2], ordinary)]
    beta, kept = min(ends, key=lambda end: _objective(design, y, end[0], trim))
    return _fit(design, y, beta, kept)


def r_squared(y: Array, predicted: Array, trim: float = 0.0) -> float:
    """R² of predictions as they stand (the line y = x), the worst fraction `trim` of points left out.

    NaN if the response does not vary.
    """
    kept = _smallest(np.abs(y - predicted), trim)
    return _determination(y[kept], predicted[kept])


def _fit(design: Array, y: Array, beta: Array, kept: npt.NDArray[np.bool_]) -> Fit:
    return Fit(beta[1:], float(beta[0]), _determination(y[kept], (design @ beta)[kept]), kept)


def _determination(y: Array, predicted: Array) -> float:
    spread = float(((y - y.mean()) ** 2).sum())
    if spread == 0.0:
        return float("nan")
    return 1.0 - float(((y - predicted) ** 2).sum()) / spread


def _solve(design: Array, y: Array) -> Array:
    """Least squares by the normal equations of the column-scaled design: P is small, E is large."""
    scale = np.sqrt((design**2).sum(0))
    scale[scale == 0] = 1.0
    scaled = design / scale
    return np.linalg.pinv(scaled.T @ scaled, rcond=1e-14, hermitian=True) @ (scaled.T @ y) / scale


def _smallest(residual: Array, trim: float) -> npt.NDArray[np.bool_]:
    keep = max(2, int(round((1 - trim) * len(residual))))
    kept = np.zeros(len(residual), dtype=bool)
    kept[np.argpartition(residual, keep - 1)[:keep]] = True
    return kept


def _objective(design: Array, y: Array, beta: Array, trim: float) -> float:
    residual = np.abs(y - design @ beta)
    return float((residual[_smallest(residual, trim)] ** 2).sum())


def _concentrate(
    design: Array, y: Array, beta: Array, trim: float, steps: int
) -> tuple[Array, npt.NDArray[np.bool_]]:
    kept = _smallest(np.abs(y - design @ beta), trim)
    for _ in range(steps):
        beta = _solve(design[kept], y[kept])
        new = _smallest(np.abs(y - design @ beta), trim)
        if (new == kept).all():
            break
        kept = new
    return beta, kept
