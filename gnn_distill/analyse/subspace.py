"""What all messages know together: the best linear map from them to the force, and how many they are.

Neither depends on which components were picked, nor on how they are rotated. Shapes: E edges, M message dims,
D space dims.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from gnn_distill.analyse.linear import TRIM, fit_column, r_squared
from gnn_distill.arrays import Array, spread

FOLDS = 5
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

    Whole trajectories are held out, a fifth of them at a time: frames of one are alike, so a map that had
    seen some of them would be flattered.

    Args:
        messages: all unpruned message dimensions.
        target: force, acceleration, or force in a gauge.
        trajectory: number of the trajectory of each edge, shape [E].
    """
    z = (messages - messages.mean(0)) / spread(messages)
    fold = np.unique(trajectory, return_inverse=True)[1] % FOLDS
    robust, ordinary = np.zeros_like(target), np.zeros_like(target)
    for d, y in enumerate(target.T):
        whole = fit_column(z, y, TRIM)
        for k in np.unique(fold):
            held = fold == k
            seen = held if held.all() else ~held  # a single trajectory leaves nothing else to learn from
            ordinary[held, d] = fit_column(z[seen], y[seen]).predict(z[held])
            robust[held, d] = fit_column(z[seen], y[seen], TRIM, near=whole).predict(z[held])
    columns = range(target.shape[1])
    return Subspace(
        robust=[r_squared(target[:, d], robust[:, d], TRIM) for d in columns],
        ols=[r_squared(target[:, d], ordinary[:, d]) for d in columns],
        predicted=robust,
    )


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
