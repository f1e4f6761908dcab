"""Energy of particles under a law."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from gnn_distill.physics.laws import SOFTENING, ForceLaw

if TYPE_CHECKING:
    pass


def conserves_energy(law: ForceLaw) -> bool:
    """Whether the law has no drag and its potential changes by −∫F dr everywhere, so without jumps."""
    if law.drag or not hasattr(law, "potential"):
        return False
    r = np.geomspace(SOFTENING, 100.0, 20_001)
    v, f = (part(r, 1.3, 0.7, 1.1, 0.9, law.params) for part in (law.potential, law.magnitude))
    step, low, high = np.diff(r), f[:-1], f[1:]
    defect = np.abs(np.diff(v) + step * (low + high) / 2)
    return bool(
        (defect <= 2 * step * np.maximum(np.abs(low), np.abs(high)) + 1e-9 * (1 + np.abs(v[1:]))).all()
    )
