"""Laws that differ between known groups of pairs: kinds of particles, kinds of edges.

The control of each: one law for all pairs.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np

from particles.case import Case, Dice, Tracks, Truth
from particles.motion import follow, pairs, spread

Force = Callable[[np.ndarray], np.ndarray]
WALL = 5.0


def between(kinds: np.ndarray, forces: Mapping[str, Force], d: np.ndarray) -> np.ndarray:
    """Force [S, n, n] of each pair at distances d, by the kinds [n] of receiver and sender."""
    total = np.zeros_like(d)
    for pair, force in forces.items():
        one, two = pair.split("-")
        total += np.outer(kinds == one, kinds == two) * force(d)
    return total


def of_kinds(
    dice: Dice, kinds: np.ndarray, forces: Mapping[str, Force], trap: float, start: tuple, times: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Positions and velocities [S, T, n, D] of particles of these kinds in a trap."""

    def acceleration(x: np.ndarray, v: np.ndarray, _: slice) -> np.ndarray:
        u, d = pairs(x)
        return np.einsum("sij,sijk->sik", between(kinds, forces, d), u) - trap * x

    return follow(acceleration, *start, times)


def two_kinds(dice: Dice, obstacle: bool) -> tuple[Tracks, Truth]:
    """Four of A and four of B in a trap, forces of three shapes; the control: that of A and A for all."""
    A, reach, B, width, C, k = dice(2.0), dice(0.8), dice(1.5), dice(1.2), dice(0.9), dice(0.6)
    forces: dict[str, Force] = {"A-A": lambda d: A * np.exp(-d / reach)}
    forces["A-B"] = (lambda d: -B * d * np.exp(-((d / width) ** 2))) if obstacle else forces["A-A"]
    forces["B-A"] = forces["A-B"]
    forces["B-B"] = (lambda d: C / d**2) if obstacle else forces["A-A"]
    kinds, shape, times = np.array([*"AABBABAB"]), (60, 8, 2), 0.02 * np.arange(80)
    start = spread(dice.rng, shape, 1.4, 0.4), 0.7 * dice.rng.normal(size=shape)
    x, v = of_kinds(dice, kinds, forces, k, start, times)
    law = "a = Σ f Δ/d − k x₁; A-A: A e^(−d/λ)" + ("; A-B: −B d e^(−d²/σ²); B-B: C/d²" if obstacle else "")
    constants = {"A": A, "λ": reach, "k": k} | ({"B": B, "σ": width, "C": C} if obstacle else {})
    truth = Truth(2, law, constants, one_body=lambda x, v, own: -k * x, laws=forces)
    return Tracks(x, v, times, {"kind": np.tile(kinds, (shape[0], 1))}), truth


def strengths(dice: Dice, obstacle: bool) -> tuple[Tracks, Truth]:
    """Twelve Lennard-Jones atoms of two types; only the depth of the well depends on the types."""
    wells, sigma = (dice(0.8), dice(1.6), dice(0.4)), dice(1.0)
    wells = wells if obstacle else (wells[0],) * 3

    def force(well: float) -> Force:
        return lambda d: 24 * well * (2 * (sigma / d) ** 12 - (sigma / d) ** 6) / d

    forces = dict(zip(("1-1", "1-2", "2-2"), map(force, wells), strict=True))
    forces["2-1"] = forces["1-2"]
    kinds, rng = np.array([*"121221112212"]), dice.rng
    lattice = np.stack(np.indices((4, 3)), -1).reshape(-1, 2) * 1.15 * sigma
    x = lattice + 0.05 * sigma * rng.normal(size=(80, 12, 2))
    v = 0.4 * np.sqrt(wells[0]) * rng.normal(size=x.shape)
    times = 0.01 * np.arange(80)
    x, v = of_kinds(dice, kinds, forces, 0.0, (x, v - v.mean(1, keepdims=True)), times)
    constants = dict(zip(("ε₁₁", "ε₁₂", "ε₂₂"), wells, strict=True)) | {"σ": sigma}
    truth = Truth(2, "a = Σ 24 ε (2 σ¹²/d¹³ − σ⁶/d⁷) Δ/d", constants, laws=forces, bound=2.5 * sigma)
    return Tracks(x, v, times, {"type": np.tile(kinds, (80, 1))}), truth


def springs(dice: Dice, obstacle: bool) -> tuple[Tracks, Truth]:
    """Five balls in a box, springs of strength 0, ½ or 1 drawn for each run and pair; the control: all are 1.

    Positions and velocities of every hundredth step; walls at ±5 turn a velocity around within one step.
    """
    K, rng, runs, n = dice(0.1), dice.rng, 400, 5
    k = rng.choice([0.0, 0.5, 1.0], (runs, n, n)) if obstacle else np.ones((runs, n, n))
    k = np.triu(k, 1) + np.triu(k, 1).transpose(0, 2, 1)
    x = 0.5 * rng.normal(size=(runs, n, 2))
    v = rng.normal(size=x.shape)
    v *= 0.5 / np.linalg.norm(v, axis=-1, keepdims=True)
    every, frames, step, kept = 100, 49, 0.001, []

    def acceleration(x: np.ndarray) -> np.ndarray:
        return -K * np.einsum("sij,sijk->sik", k, x[:, :, None] - x[:, None])

    a = acceleration(x)
    for number in range(every * (frames - 1) + 1):
        if number % every == 0:
            kept.append((x.copy(), v.copy()))
        x = x + step * v + step**2 / 2 * a
        before, a = a, acceleration(x)
        v = v + step / 2 * (before + a)
        out = np.abs(x) > WALL
        x, v = np.where(out, np.sign(x) * 2 * WALL - x, x), np.where(out, -v, v)
    x, v = (np.stack(part, 1) for part in zip(*kept, strict=True))
    laws = {f"{value:g}": (lambda d, value=value: -K * value * d) for value in np.unique(k[k != 0])}
    truth = Truth(2, "a = −Σ K k₁₂ Δ", {"K": K}, laws=laws, bound=2 * WALL)
    return Tracks(x, v, every * step * np.arange(frames), edges=k), truth


def arrays(path: Path, tracks: Tracks, truth: Truth, rng: np.random.Generator) -> Path:
    """A folder of arrays."""
    tracks.save(path)
    return path


CASES = (
    Case("two_kinds", two_kinds, velocities=True),
    Case("strengths", strengths, velocities=True),
    Case("springs", springs, ("dataset.time_step=0.1",), velocities=True, form=arrays),
)
