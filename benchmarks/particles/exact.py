"""Recordings without noise in the motion: charges, animals, traps, fluids, walkers."""

from __future__ import annotations

import numpy as np

from particles.case import Case, Dice, Tracks, Truth
from particles.motion import follow, pairs, spread, steps, summed

NEAREST = 0.1


def charges(
    dice: Dice,
    *,
    coupling: float = 1.0,
    field: float = 0.0,
    drag: float = 0.0,
    per_mass: bool = True,
    runs: int = 300,
    frames: int = 100,
) -> tuple[Tracks, Truth]:
    """Four charges of both signs, unequal masses, in a magnetic field or with drag (a force, or per mass).

    Opposite charges fall into each other, and no frames are close enough in time for that: runs in which two
    come nearer than 0.1 are left out.
    """
    rng, shape = dice.rng, (2 * runs, 4, 2)
    q = rng.choice([-2, -1, -0.5, 0.5, 1, 2], shape[:2])
    m = rng.uniform(0.5, 2, shape[:2]).round(3)

    def one_body(x: np.ndarray, v: np.ndarray, own: dict) -> np.ndarray:
        turned = np.stack([v[..., 1], -v[..., 0]], -1)
        slowed = drag * v / own["m"][..., None] if per_mass else drag * v
        return field * (own["q"] / own["m"])[..., None] * turned - slowed

    def acceleration(x: np.ndarray, v: np.ndarray, some: slice) -> np.ndarray:
        u, d = pairs(x)
        weight = coupling * q[some, :, None] * q[some, None] / m[some, :, None] / d**2
        return np.einsum("sij,sijk->sik", weight, u) + one_body(x, v, {"q": q[some], "m": m[some]})

    x, v = spread(rng, shape, 1.5, 0.5), rng.normal(size=shape)
    times = 0.02 * np.arange(frames)
    rough, _ = steps(acceleration, x, v, 0.004 * np.arange(5 * frames), 1)
    nearest = pairs(rough.reshape(-1, *shape[1:]))[1].reshape(shape[0], -1).min(1)
    clear = np.flatnonzero(nearest > NEAREST)[:runs]
    q, m = q[clear], m[clear]
    x, v = follow(acceleration, x[clear], v[clear], times)
    slowed = " − γ v₁/m₁" if per_mass else " − γ v₁"
    law = "a = Σ C q₁ q₂/(m₁ d²) Δ/d" + (" + q₁ B (v_y, −v_x)/m₁" if field else "") + (slowed if drag else "")
    constants = {"C": coupling} | ({"B": field} if field else {}) | ({"γ": drag} if drag else {})
    truth = Truth(
        2,
        law,
        constants,
        lambda d: coupling / d**2,
        weight="q1 q2 / m1",
        one_body=one_body if field or drag else None,
    )
    return Tracks(x, v, times, {"q": q, "m": m}), truth


def magnet(dice: Dice, obstacle: bool) -> tuple[Tracks, Truth]:
    coupling, field = dice(1.4), dice(1.1)
    return charges(dice, coupling=coupling, field=field * obstacle, frames=60)


def drag(dice: Dice, obstacle: bool) -> tuple[Tracks, Truth]:
    coupling, gamma = dice(0.8), dice(0.6)
    return charges(dice, coupling=coupling, drag=gamma * obstacle, per_mass=False, frames=60)


def charges_field(dice: Dice, obstacle: bool) -> tuple[Tracks, Truth]:
    return charges(dice, field=dice(1.5) * obstacle)


def charges_drag(dice: Dice, obstacle: bool) -> tuple[Tracks, Truth]:
    return charges(dice, drag=dice(0.8) * obstacle)


def aligning(
    dice: Dice, power: float, strength: float, n: int, runs: int, obstacle: bool
) -> tuple[Tracks, Truth]:
    """Velocities that approach each other; the control attracts with the same strength instead."""
    K = dice(strength)
    rng, shape, times = dice.rng, (runs, n, 2), 0.02 * np.arange(80)

    def strength_at(d: np.ndarray) -> np.ndarray:
        return K / (1 + d**2) ** power

    def acceleration(x: np.ndarray, v: np.ndarray, _: slice) -> np.ndarray:
        d = pairs(x)[1]
        along = v if obstacle else x
        return np.einsum("sij,sijk->sik", strength_at(d), along[:, None] - along[:, :, None])

    x, v = follow(acceleration, 1.5 * rng.normal(size=shape), rng.normal(size=shape), times, 50)
    law = f"a = Σ K {'(v₂ − v₁)' if obstacle else '(x₂ − x₁)'}/(1 + d²)^{power:g}"
    if obstacle:
        return Tracks(x, v, times), Truth(2, law, {"K": K}, lambda d: -strength_at(d), direction="w")
    return Tracks(x, v, times), Truth(2, law, {"K": K}, lambda d: -d * strength_at(d))


def align(dice: Dice, obstacle: bool) -> tuple[Tracks, Truth]:
    return aligning(dice, 1.0, 0.6, 6, 150, obstacle)


def flock(dice: Dice, obstacle: bool) -> tuple[Tracks, Truth]:
    return aligning(dice, 0.5, 1.0, 8, 120, obstacle)


def trap(dice: Dice, obstacle: bool) -> tuple[Tracks, Truth]:
    """One recording of twelve in a trap; the control: many short ones without it."""
    A, reach, k = dice(3.0), dice(0.7), dice(0.8) * obstacle
    rng, shape = dice.rng, (1 if obstacle else 40, 12, 2)

    def force(d: np.ndarray) -> np.ndarray:
        return A * np.exp(-d / reach)

    times = 0.02 * np.arange(2000 if obstacle else 80)
    x, v = 1.5 * rng.normal(size=shape), 0.5 * rng.normal(size=shape)
    x, v = follow(lambda x, v, _: summed(x, force) - k * x, x, v, times)
    law = "a = Σ A e^(−d/λ) Δ/d" + (" − k x₁" if obstacle else "")
    constants = {"A": A, "λ": reach} | ({"k": k} if obstacle else {})
    truth = Truth(2, law, constants, force, one_body=(lambda x, v, own: -k * x) if obstacle else None)
    return Tracks(x, v, times, headings=("run", "t", "id") if not obstacle else (None, "t", "id")), truth


def yukawa(strength: float, reach: float):
    return lambda d: strength * np.exp(-d / reach) * (1 / d**2 + 1 / (reach * d))


def dust(dice: Dice, obstacle: bool) -> tuple[Tracks, Truth]:
    """Screened charges; obstacle: a trap, drag and noise of the positions."""
    Q, reach, k, gamma = dice(1.5), dice(1.6), dice(0.7) * obstacle, dice(0.3) * obstacle
    rng, shape, times = dice.rng, (40, 6, 2), 0.02 * np.arange(150)
    force = yukawa(Q, reach)
    x, v = spread(rng, shape, 1.5, 0.4), rng.normal(size=shape)
    x, v = follow(lambda x, v, _: summed(x, force) - k * x - gamma * v, x, v, times)
    law = "a = Σ Q e^(−d/λ) (1/d² + 1/(λ d)) Δ/d" + (" − k x₁ − γ v₁" if obstacle else "")
    constants = {"Q": Q, "λ": reach} | ({"k": k, "γ": gamma} if obstacle else {})
    one_body = (lambda x, v, own: -k * x - gamma * v) if obstacle else None
    return Tracks(x, v, times, noise=1e-4 * obstacle), Truth(2, law, constants, force, one_body=one_body)


def fluid(dice: Dice, obstacle: bool) -> tuple[Tracks, Truth]:
    """Lennard-Jones, cut off at 2.5 σ, in a periodic box; the control: free clusters without a cut-off."""
    eps, sigma = dice(1.2), dice(0.9)
    rng, cut = dice.rng, 2.5 * sigma if obstacle else np.inf
    side = 6 * 1.35 * sigma
    box = side if obstacle else None

    def force(d: np.ndarray) -> np.ndarray:
        return np.where(d < cut, 24 * eps * (2 * (sigma / d) ** 12 - (sigma / d) ** 6) / d, 0)

    rows = 6 if obstacle else 2
    lattice = np.stack(np.indices((rows, rows)), -1).reshape(-1, 2) * side / 6
    shape = (8 if obstacle else 200, rows**2, 2)
    x = lattice + 0.05 * sigma * rng.normal(size=shape)
    v = np.sqrt(eps if obstacle else 0.1 * eps) * rng.normal(size=shape)
    v -= v.mean(1, keepdims=True)

    def acceleration(x: np.ndarray, v: np.ndarray, _: slice) -> np.ndarray:
        return summed(x, force, box)

    warm = 0.02 * np.arange(51)
    x, v = (values[:, -1] for values in steps(acceleration, x, v, warm, 10))
    times = 0.01 * np.arange(80)
    x, v = steps(acceleration, x, v, times, 5)
    law = "a = Σ 24 ε (2 σ¹²/d¹³ − σ⁶/d⁷) Δ/d" + (f", d < {cut:.4g}" if obstacle else "")
    truth = Truth(2, law, {"ε": eps, "σ": sigma}, force, bound=min(cut, 4 * sigma), box=box)
    return Tracks(x % side if obstacle else x, v, times), truth


def people(dice: Dice, obstacle: bool) -> tuple[Tracks, Truth]:
    """Walkers in two directions who keep their distance; the control has nowhere to go."""
    A, B, tau, pace = dice(2.0), dice(0.3), dice(0.5), dice(1.3) * obstacle
    rng, shape, times = dice.rng, (40, 16, 2), 0.05 * np.arange(100)
    ex = np.sign(rng.uniform(-1, 1, shape[:2]))

    def force(d: np.ndarray) -> np.ndarray:
        return A * np.exp(-d / B)

    def one_body(x: np.ndarray, v: np.ndarray, own: dict) -> np.ndarray:
        return (pace * np.stack([own["ex"], 0 * own["ex"]], -1) - v) / tau

    x = spread(rng, shape, 1.0, 0.2) * [1.0, 0.7]
    x[..., 0] -= 2.5 * ex * obstacle
    v = 0.5 * rng.normal(size=shape) + pace * np.stack([ex, 0 * ex], -1)
    x, v = follow(lambda x, v, some: summed(x, force) + one_body(x, v, {"ex": ex[some]}), x, v, times)
    law = ("a = (v₀ (ex, 0) − v₁)/τ" if obstacle else "a = −v₁/τ") + " + Σ A e^(−d/B) Δ/d"
    constants = {"A": A, "B": B, "τ": tau} | ({"v₀": pace} if obstacle else {})
    return Tracks(x, v, times, {"ex": ex}), Truth(2, law, constants, force, one_body=one_body, bound=5 * B)


CASES = (
    Case("magnet", magnet, velocities=True),
    Case("drag", drag, velocities=True),
    Case("align", align, velocities=True),
    Case("trap", trap),
    Case("dust", dust),
    Case("fluid", fluid, velocities=True),
    Case("charges_field", charges_field, velocities=True),
    Case("charges_drag", charges_drag, velocities=True),
    Case("flock", flock, velocities=True),
    Case("people", people),
)
