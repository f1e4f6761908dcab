"""How little is enough: one recording of twelve in a trap, of fewer frames, or with noise of positions."""

from __future__ import annotations

import functools

import numpy as np

from particles.case import Case, Dice, Tracks, Truth
from particles.motion import follow, summed

FRAMES = (30, 100, 300, 1000, 3000)
NOISE = (1e-4, 1e-3, 1e-2)
"""In typical distances of neighbours, with 1,000 frames."""


def recording(dice: Dice, obstacle: bool, *, frames: int = 1000, noise: float = 0.0) -> tuple[Tracks, Truth]:
    """Twelve particles that repel each other in a trap; the control: 3,000 frames without noise."""
    A, reach, k = dice(2.4), dice(0.9), dice(1.1)
    times, shape = 0.02 * np.arange(frames if obstacle else max(FRAMES)), (1, 12, 2)

    def force(d: np.ndarray) -> np.ndarray:
        return A * np.exp(-d / reach)

    x, v = 1.5 * dice.rng.normal(size=shape), 0.5 * dice.rng.normal(size=shape)
    x, v = follow(lambda x, v, _: summed(x, force) - k * x, x, v, times)
    apart = np.linalg.norm(x[:, ::10, :, None] - x[:, ::10, None], axis=-1) + 1e9 * np.eye(12)
    truth = Truth(
        2,
        "a = Σ A e^(−d/λ) Δ/d − k x₁",
        {"A": A, "λ": reach, "k": k},
        force,
        one_body=lambda x, v, own: -k * x,
    )
    spacing = float(np.median(apart.min(-1)))
    return Tracks(x, v, times, headings=(None, "t", "id"), noise=noise * spacing * obstacle), truth


CASES = (
    *(Case(f"frames_{f}", functools.partial(recording, frames=f)) for f in FRAMES),
    *(Case(f"noise_{s:g}", functools.partial(recording, noise=s)) for s in NOISE),
)
