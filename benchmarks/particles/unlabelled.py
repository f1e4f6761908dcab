"""Kinds of particles that nobody labelled, positions only; the control of each: all are of one kind.

Laws of receivers of two kinds as in arXiv 2407.19160, and laws of pairs of kinds.
"""

from __future__ import annotations

import numpy as np

from particles.case import Case, Dice, Tracks, Truth
from particles.motion import flow, follow, pairs, spread

SIGMA, CUT, NEAR = 0.05, 0.3, 0.1  # NEAR: constants are drawn within 10 %, so that both laws stay different
FIRST, SECOND = (1.6233, 1.0413, 1.6012, 1.5615), (1.7667, 1.8308, 1.0855, 1.9055)


def labels(dice: Dice, count: int, obstacle: bool) -> np.ndarray:
    """A or B, half of each, in an order drawn by chance."""
    return dice.rng.permutation(np.array(["A", "B"] * (count // 2))) if obstacle else np.full(count, "A")


def difference(d: np.ndarray, p: np.ndarray) -> np.ndarray:
    """Difference of two stretched exponentials."""
    first, second = (np.exp(-(d ** (2 * n)) / (2 * SIGMA**2)) for n in (p[1], p[3]))
    return p[0] * first - p[2] * second


def receivers(dice: Dice, obstacle: bool, runs: int = 5, frames: int = 50) -> tuple[Tracks, Truth]:
    """First order, 200 particles in a periodic box; the receiver's kind decides."""
    drawn = 1 + (0.0 if dice.pilot else NEAR) * dice.rng.uniform(-1, 1, (2, 4))
    laws = dict(zip("AB", drawn * [FIRST, SECOND], strict=True))
    kind, times = labels(dice, 200, obstacle), 0.002 * np.arange(frames)
    own = np.stack([laws[k] for k in kind], axis=1)

    def velocity(x: np.ndarray) -> np.ndarray:
        u, d = pairs(x, 1.0)
        run, i, j = np.nonzero(d < CUT)
        f = np.zeros_like(d)
        f[run, i, j] = d[run, i, j] * difference(d[run, i, j], own[:, i])
        return -np.einsum("sij,sijk->sik", f, u)

    x = flow(velocity, dice.rng.uniform(size=(runs, 200, 2)), times, 2)
    constants = {f"p{i}{k}": float(p) for k in "AB" for i, p in enumerate(laws[k])}
    names = [f"{a}-{b}" for a in "AB" for b in "AB"]
    forces = {name: (lambda d, p=laws[name[0]]: -d * difference(d, p)) for name in names}
    told = dict(zip(map(str, range(200)), kind.tolist(), strict=True))
    law = "v = Σ (p₀ e^(−d^(2p₁)/2σ²) − p₂ e^(−d^(2p₃)/2σ²)) (x₂ − x₁), p by the receiver's kind"
    truth = Truth(1, law, constants, bound=CUT, box=1.0, laws=forces, kinds=told)
    return Tracks(x % 1.0, None, times), truth


def couples(dice: Dice, obstacle: bool) -> tuple[Tracks, Truth]:
    """Second order, twelve particles in a trap: A-A, A-B and B-B repel and attract by laws of their own."""
    A, reach, B, width, C, k = dice(2.0), dice(0.8), dice(1.5), dice(1.2), dice(0.9), dice(0.6)
    forces = {"A-A": lambda d: A * np.exp(-d / reach), "B-B": lambda d: C / d**2}
    forces["A-B"] = forces["B-A"] = lambda d: -B * d * np.exp(-((d / width) ** 2))
    kind, times, shape = labels(dice, 12, obstacle), 0.02 * np.arange(80), (40, 12, 2)
    which = {name: np.outer(kind == name[0], kind == name[2]) for name in forces}

    def acceleration(x: np.ndarray, v: np.ndarray, _: slice) -> np.ndarray:
        u, d = pairs(x)
        total = np.add.reduce([which[name] * f(d) for name, f in forces.items()])
        return np.einsum("sij,sijk->sik", total, u) - k * x

    x, v = follow(acceleration, spread(dice.rng, shape, 1.7, 0.4), 0.7 * dice.rng.normal(size=shape), times)
    told = dict(zip(map(str, range(12)), kind.tolist(), strict=True))
    law = "a = Σ f Δ/d − k x₁; A-A: A e^(−d/λ); A-B: −B d e^(−d²/σ²); B-B: C/d²"
    constants = {"A": A, "λ": reach, "B": B, "σ": width, "C": C, "k": k}
    truth = Truth(2, law, constants, one_body=lambda x, v, own: -k * x, laws=forces, kinds=told)
    return Tracks(x, v, times), truth


CASES = (
    Case("hidden_receivers", receivers, (f"dataset.radius={CUT}",)),
    Case("hidden_couples", couples, velocities=True),
)
