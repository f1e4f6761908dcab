"""Recordings without a pair law; the control of each has one."""

from __future__ import annotations

import numpy as np

from particles.case import Case, Dice, Tracks, Truth
from particles.motion import diffuse, follow, pairs, spread, steps, summed


def brownian(dice: Dice, obstacle: bool) -> tuple[Tracks, Truth]:
    """Particles that only diffuse; the control: they repel each other, too."""
    D, A, s = dice(0.05), dice(2.5) * (not obstacle), dice(1.0)
    rng, shape, times = dice.rng, (40, 6, 2), 0.01 * np.arange(300)

    def force(d: np.ndarray) -> np.ndarray:
        return A * d * np.exp(-(d**2) / (2 * s**2))

    x = diffuse(lambda x: summed(x, force), rng.normal(size=shape), D, times, 5, rng)
    if obstacle:
        return Tracks(x, None, times), Truth(1, "v = noise", {"D": D})
    return Tracks(x, None, times), Truth(
        1, "v = Σ A e^(−d²/(2 s²)) Δ + noise", {"A": A, "s": s, "D": D}, force
    )


def trap_alone(dice: Dice, obstacle: bool) -> tuple[Tracks, Truth]:
    """Oscillators that do not feel each other; the control: they repel each other, too."""
    k, A, s = dice(1.3), dice(2.0) * (not obstacle), dice(0.9)
    rng, shape, times = dice.rng, (40, 6, 2), 0.03 * np.arange(100)

    def force(d: np.ndarray) -> np.ndarray:
        return A * d * np.exp(-(d**2) / (2 * s**2))

    x, v = rng.normal(size=shape), rng.normal(size=shape)
    x, v = follow(lambda x, v, _: summed(x, force) - k * x, x, v, times)
    law = "a = −k x₁" if obstacle else "a = Σ A e^(−d²/(2 s²)) Δ − k x₁"
    constants = {"k": k} if obstacle else {"A": A, "s": s, "k": k}
    return Tracks(x, v, times), Truth(
        2, law, constants, None if obstacle else force, one_body=lambda x, v, _: -k * x
    )


def white_noise(dice: Dice, obstacle: bool) -> tuple[Tracks, Truth]:
    """Positions without a motion; the control: particles on springs, positions found to 0.001."""
    k, rest = dice(1.5), dice(1.2)
    rng, shape, times = dice.rng, (40, 5, 2), 0.02 * np.arange(100)
    if obstacle:
        x = rng.normal(size=(shape[0], len(times), *shape[1:]))
        return Tracks(x, None, times), Truth(2, "none: positions are independent from frame to frame", {})

    def force(d: np.ndarray) -> np.ndarray:
        return -k * (d - rest)

    x, v = follow(lambda x, v, _: summed(x, force), rng.normal(size=shape), rng.normal(size=shape), times)
    return Tracks(x, v, times, noise=1e-3), Truth(2, "a = −Σ k (d − r₀) Δ/d", {"k": k, "r₀": rest}, force)


def three_body(dice: Dice, obstacle: bool) -> tuple[Tracks, Truth]:
    """Each pair of others acts on a particle, as no sum over them can; the control: single ones act."""
    A, reach = dice(2.0), dice(1.2)
    rng, shape, times = dice.rng, (150, 5, 2), 0.02 * np.arange(80)
    apart = 1 - np.eye(shape[1])

    def force(d: np.ndarray) -> np.ndarray:
        return A * np.exp(-d / reach)

    def acceleration(x: np.ndarray, v: np.ndarray, _: slice) -> np.ndarray:
        u, d = pairs(x)
        near = np.exp(-d / reach) * apart
        # Σ_{j<k} g_j g_k (u_j + u_k) = Σ_j g_j u_j (Σ_k g_k − g_j)
        weight = A * near * (near.sum(2, keepdims=True) - near) if obstacle else A * near
        return np.einsum("sij,sijk->sik", weight, u)

    x, v = follow(acceleration, rng.normal(size=shape), rng.normal(size=shape), times, 50)
    if obstacle:
        law = "a = Σ_{j<k} A e^(−(d_j + d_k)/λ) (Δ_j/d_j + Δ_k/d_k): not a sum over pairs"
        return Tracks(x, v, times), Truth(2, law, {"A": A, "λ": reach})
    return Tracks(x, v, times), Truth(2, "a = Σ A e^(−d/λ) Δ/d", {"A": A, "λ": reach}, force)


def mean_align(dice: Dice, obstacle: bool) -> tuple[Tracks, Truth]:
    """Velocities approach the mean of those within a radius; the control: the sum instead of the mean."""
    K, radius = dice(1.2), dice(1.5)
    rng, shape, times = dice.rng, (120, 8, 2), 0.02 * np.arange(80)
    apart = 1 - np.eye(shape[1])

    def acceleration(x: np.ndarray, v: np.ndarray, _: slice) -> np.ndarray:
        near = (pairs(x)[1] < radius) * apart
        if obstacle:
            near = near / np.maximum(near.sum(2, keepdims=True), 1)
        return K * np.einsum("sij,sijk->sik", near, v[:, None] - v[:, :, None])

    x, v = steps(acceleration, 1.5 * spread(rng, shape, 1.0, 0.05), rng.normal(size=shape), times, 10)
    constants = {"K": K, "R": radius}
    if obstacle:
        return Tracks(x, v, times), Truth(
            2, "a = K (mean of v₂ with d < R − v₁): not a sum over pairs", constants
        )
    truth = Truth(
        2, "a = Σ K (v₂ − v₁), d < R", constants, lambda d: np.where(d < radius, -K, 0), direction="w"
    )
    return Tracks(x, v, times), truth


CASES = (
    Case("brownian", brownian),
    Case("trap_alone", trap_alone),
    Case("white_noise", white_noise),
    Case("three_body", three_body, velocities=True),
    Case("mean_align", mean_align, velocities=True),
)
