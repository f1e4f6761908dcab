"""Energy of particles under a law, and how well it is conserved.

Shapes: n particles, D space dims, P interacting pairs; any leading axes.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from gnn_distill.arrays import Array
from gnn_distill.physics.laws import SOFTENING, ForceLaw

Pairs = tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]
"""Both ends of the pairs that interact, each pair once, shape [P]."""


def conserves_energy(law: ForceLaw) -> bool:
    """Whether the law has no drag and its potential changes by −∫F dr everywhere, so without jumps."""
    if law.drag or not hasattr(law, "potential"):
        return False
    r = np.geomspace(SOFTENING, 100.0, 20_001)
    v, f = (part(r, 1.3, 0.7, 1.1, 0.9, law.params) for part in (law.potential, law.magnitude))
    step, low, high = np.diff(r), f[:-1], f[1:]
    defect = np.abs(np.diff(v) + step * (low + high) / 2)
    allowed = 2 * step * np.maximum(np.abs(low), np.abs(high)) + 1e-9 * (1 + np.abs(v[1:]))
    return bool((defect <= allowed).all())


def energy(law: ForceLaw, position: Array, velocity: Array, m: Array, q: Array, pairs: Pairs) -> Array:
    """Σ m v²/2 + Σ V over pairs + Σ m g y, shape [...].

    Args:
        law: one with a potential.
        position: shape [..., n, D].
        velocity: shape [..., n, D].
        m: masses [..., n].
        q: charges [..., n].
        pairs: which particles interact.
    """
    i, j = pairs
    r = np.linalg.norm(position[..., i, :] - position[..., j, :], axis=-1) + SOFTENING
    pair = law.potential(r, m[..., i], m[..., j], q[..., i], q[..., j], law.params).sum(-1)
    one = m * ((velocity**2).sum(-1) / 2 + law.gravity * position[..., 1])
    return np.asarray(one.sum(-1) + pair, dtype=np.float64)


def drift(energies: Array, start: Array) -> Array:
    """|E − E₀| / max(1, |E₀|)."""
    return np.asarray(np.abs(energies - start) / np.maximum(1.0, np.abs(start)), dtype=np.float64)
