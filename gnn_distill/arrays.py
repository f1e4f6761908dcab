"""The arrays that all rooms speak of."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]
"""An array in double precision; its shape stands in each docstring."""


def spread(values: Array) -> Array:
    """Standard deviation of each column of [S, K], one where a column is constant: a unit to divide by."""
    found = np.asarray(np.std(values, axis=0))
    return np.where(found > 0, found, 1.0)
