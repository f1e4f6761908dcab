"""The arrays that all rooms speak of."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]
"""An array in double precision; its shape stands in each docstring."""
