"""Recordings of particles that heat kicks: colloids, a trap, grains of dust."""

from __future__ import annotations

import numpy as np

from particles.case import Case, Dice, Tracks, Truth
from particles.exact import yukawa
from particles.motion import diffuse, flow, follow, heated, spread, summed


def overdamped(dice: Dice, obstacle: bool) -> tuple[Tracks, Truth]:
    """First order in a trap; the control has no noise."""
    A, reach, k, D = dice(2.2), dice(0.8), dice(0.7), dice(0.015) * obstacle
    rng, shape, times = dice.rng, (60, 6, 2), 0.01 * np.arange(400)

    def force(d: np.ndarray) -> np.ndarray:
        return A * np.exp(-d / reach)

    def velocity(x: np.ndarray) -> np.ndarray:
        return summed(x, force) - k * x

    x = 1.2 * rng.normal(size=shape)
    x = diffuse(velocity, x, D, times, 5, rng) if obstacle else flow(velocity, x, times, 4)
    constants = {"A": A, "λ": reach, "k": k, "D": D}
    truth = Truth(1, "v = Σ A e^(−d/λ) Δ/d − k x₁", constants, force, one_body=lambda x, v, own: -k * x)
    return Tracks(x, None, times), truth


def colloids(dice: Dice, obstacle: bool) -> tuple[Tracks, Truth]:
    """Twenty colloids between soft walls, positions found to 0.005; the control: short runs without noise."""
    A, reach, D, wall, half = dice(5.0), dice(1.0), dice(1.0) * obstacle, 50.0, 4.0
    rng, shape = dice.rng, (1 if obstacle else 60, 20, 2)
    times = 1e-3 * np.arange(20_000 if obstacle else 200)

    def force(d: np.ndarray) -> np.ndarray:
        return A * np.exp(-(d - 1) / reach)

    def one_body(x: np.ndarray, v: np.ndarray, own: dict) -> np.ndarray:
        return wall * (np.clip(x, 0, 2 * half) - x)

    def velocity(x: np.ndarray) -> np.ndarray:
        return summed(x, force) + one_body(x, x, {})

    x = rng.uniform(0.5, 2 * half - 0.5, shape)
    if obstacle:
        x = diffuse(velocity, x, D, np.array([0, 2e-3]), 1, rng)[:, -1]
        x = diffuse(velocity, x, D, times, 2, rng)
    else:
        x = flow(velocity, x, times, 4)
    law = "v = Σ A e^(−(d − 1)/λ) Δ/d + walls: −50 times the depth behind 0 or 8, in x and y each"
    truth = Truth(1, law, {"A": A, "λ": reach, "D": D}, force, one_body=one_body)
    headings = (None if obstacle else "run", "frame", "particle")
    digits = "%.4f" if obstacle else "%.9g"
    return Tracks(x, None, times, headings=headings, noise=0.005 * obstacle, digits=digits), truth


def grains(dice: Dice, obstacle: bool) -> tuple[Tracks, Truth]:
    """Ten equal grains of dust in 3-D, one recording kept moving by heat; the control: short runs without."""
    Q, reach, trap, gamma, heat = dice(3.0), dice(1.0), dice(4.0), dice(0.5), 0.15
    rng, shape = dice.rng, (1 if obstacle else 40, 10, 3)
    force = yukawa(Q, reach)

    def acceleration(x: np.ndarray) -> np.ndarray:
        return summed(x, force) - trap * x

    x, v = spread(rng, shape, 0.8, 0.5), 0.4 * rng.normal(size=shape)
    if obstacle:
        x, v = (
            values[:, -1]
            for values in heated(acceleration, x, v, gamma, heat, np.array([0, 20.0]), 5000, rng)
        )
        times = 0.02 * np.arange(10_000)
        x, v = heated(acceleration, x, v, gamma, heat, times, 5, rng)
    else:
        times = 0.02 * np.arange(100)
        x, v = follow(lambda x, v, _: acceleration(x) - gamma * v, x, v, times)
    law = "a = Σ Q e^(−d/λ) (1/d² + 1/(λ d)) Δ/d − k x₁ − γ v₁" + (" + heat" if obstacle else "")
    constants = {"Q": Q, "λ": reach, "k": trap, "γ": gamma, "heat": heat * obstacle}
    truth = Truth(2, law, constants, force, one_body=lambda x, v, own: -trap * x - gamma * v)
    headings = (None if obstacle else "run", "frame", "particle")
    digits = "%.6f" if obstacle else "%.9g"
    return Tracks(x, v, times, headings=headings, noise=1e-3 * obstacle, digits=digits), truth


CASES = (
    Case("overdamped", overdamped),
    Case("grains", grains, ("dataset.dim=3", "dataset.time_step=0.02")),
)
