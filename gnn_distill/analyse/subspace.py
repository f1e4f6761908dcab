"""What all messages know together: the best linear map from them to the force, and how many they are.

Neither depends on which components were picked, nor on how they are rotated. Shapes: E edges, M message dims,
D space dims, T trajectories.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from gnn_distill.analyse.linear import TRIM, r_squared
from gnn_distill.analyse.trimmed import smallest
from gnn_distill.arrays import Array

FOLDS = 5
STEPS = 10
VARIANCE = 0.99


@dataclass(frozen=True)
class Subspace:
    """Force components predicted from all messages by linear maps that never saw the trajectory.

    Attributes:
        robust: R² per force component [D] with the worst tenth left out of the fit and of R².
        ols: R² per force component [D] with all edges.
        predicted: robust predictions [E, D].
    """

    robust: list[float]
    ols: list[float]
    predicted: Array


def subspace(messages: Array, target: Array, trajectory: npt.NDArray[np.int64]) -> Subspace:
    """Cross-validate the best linear map from messages [E, M] to a target [E, D].

    Whole trajectories are held out, a fifth of them at a time. The robust fit concentrates from the ordinary
    one and from one to the half of the messages nearest to their mean (Mahalanobis); with M regressors that
    need not be the global minimum.

    Args:
        messages: all unpruned message dimensions.
        target: force, acceleration, or force in a gauge.
        trajectory: number of the trajectory of each edge, shape [E].
    """
    used = messages.std(0) > 0
    z = (messages[:, used] - messages[:, used].mean(0)) / messages[:, used].std(0)
    design = np.column_stack([np.ones(len(z)), z]).astype(np.float64)
    distance = (z @ np.linalg.pinv(z.T @ z, rcond=1e-12, hermitian=True) * z).sum(1)
    central = distance <= np.median(distance)
    fold = np.unique(trajectory, return_inverse=True)[1] % FOLDS
    robust, ordinary = np.zeros_like(target), np.zeros_like(target)
    whole = [_trimmed(design, y, central) for y in target.T]
    for k in np.unique(fold):
        train, held = fold != k, fold == k
        if not train.any():
            train = held
        for d, y in enumerate(target.T):
            ordinary[held, d] = design[held] @ _solve(design[train], y[train])
            beta = _concentrate(design[train], y[train], whole[d], steps=3)
            robust[held, d] = design[held] @ beta
    scores = [
        [r_squared(y, p, t) for y, p in zip(target.T, q.T, strict=True)]
        for q, t in ((robust, TRIM), (ordinary, 0.0))
    ]
    return Subspace(scores[0], scores[1], robust)


def effective_dimension(spectrum: Array) -> dict[str, float | int]:
    """Effective dimension of messages whose covariance has these eigenvalues [M], largest first.

    Returns:
        `participation_ratio` (Σλ)² / Σλ², and `components_99`, how many hold 99 % of the variance.
    """
    total = float(spectrum.sum())
    if total <= 0:
        return {"participation_ratio": 0.0, "components_99": 0}
    share = np.cumsum(spectrum) / total
    count = int(np.searchsorted(share, VARIANCE - 1e-12) + 1)
    return {"participation_ratio": total**2 / float((spectrum**2).sum()), "components_99": count}


def _trimmed(design: Array, y: Array, central: npt.NDArray[np.bool_]) -> Array:
    """Trimmed least squares, from the ordinary fit and from one to central points: the better end."""
    starts = (_solve(design, y), _solve(design[central], y[central]))
    ends = [_concentrate(design, y, beta, STEPS) for beta in starts]

    def objective(beta: Array) -> float:
        residual = np.abs(y - design @ beta)
        return float((residual[smallest(residual, TRIM)] ** 2).sum())

    return min(ends, key=objective)


def _concentrate(design: Array, y: Array, beta: Array, steps: int) -> Array:
    for _ in range(steps):
        kept = smallest(np.abs(y - design @ beta), TRIM)
        beta = _solve(design[kept], y[kept])
    return beta


def _solve(design: Array, y: Array) -> Array:
    gram = design.T @ design
    inverse = np.linalg.pinv(gram, rcond=1e-12, hermitian=True)
    return np.asarray(inverse @ (design.T @ y), dtype=np.float64)
