"""How messages mix the components of the force: the fitted matrix, its condition and its rotation."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from gnn_distill.linear import Fit

Array = npt.NDArray[np.float64]


def mixing(fits: Sequence[Fit]) -> dict[str, Any]:
    """The matrix B of messages ≈ a + B·F, with K rows and D columns.

    Returns:
        `matrix`; its `condition` number; the `angle` in degrees of the rotation nearest to it (polar
        decomposition), and whether that includes a `reflection`; both None unless B is square.
    """
    matrix = np.stack([fit.slope for fit in fits])
    result: dict[str, Any] = {"matrix": matrix.tolist(), "condition": None, "angle": None, "reflection": None}
    if not np.isfinite(matrix).all():
        return result
    left, sizes, right = np.linalg.svd(matrix, full_matrices=False)
    result["condition"] = float(sizes[0] / sizes[-1]) if sizes[-1] > 0 else float("inf")
    if matrix.shape[0] == matrix.shape[1]:
        turn = left @ right
        flipped = bool(np.linalg.det(turn) < 0)
        result |= {"angle": rotation_angle(turn, flipped), "reflection": flipped}
    return result


def rotation_angle(turn: Array, flipped: bool) -> float:
    """Angle in degrees of an orthogonal matrix [D, D]; in 2D from −180 to 180, any reflection of y apart."""
    if len(turn) == 2:
        return float(np.degrees(np.arctan2(turn[1, 0], turn[0, 0])))
    proper = -turn if flipped else turn
    return float(np.degrees(np.arccos(np.clip((np.trace(proper) - 1) / 2, -1, 1))))
