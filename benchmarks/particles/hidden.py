"""Individuals whose masses and charges the file does not hold; the control of each: all of them are equal.

Planets are those of the ephemeris DE421 (packages `de421` and `jplephem`), between 1970 and 2000.
"""

from __future__ import annotations

import numpy as np

from particles.case import Case, Dice, Tracks, Truth
from particles.exact import yukawa
from particles.motion import follow, heated, pairs, spread, steps

BODIES = ("sun", "mercury", "venus", "earthmoon", "mars", "jupiter", "saturn", "uranus", "neptune")
GM = ("GMS", "GM1", "GM2", "GMB", "GM4", "GM5", "GM6", "GM7", "GM8")  # their constants in DE421, AU³/day²
YEAR, START, EVERY, FRAMES = 365.25, 2440600.5, 0.5, 21915


def inverse_square(d: np.ndarray) -> np.ndarray:
    """Repulsion of unit charges."""
    return 1 / d**2


def central(
    dice: Dice,
    shape: tuple[int, int, int],
    frames: int,
    source: np.ndarray,
    response: np.ndarray,
    trap: float = 0.0,
    drag: float = 0.0,
    reach: float | None = None,
) -> tuple[Tracks, Truth]:
    """Runs of particles with a_i = t_i Σ s_j f(d) Δ/d − k x − γ v, f = 1/d² or Yukawa's."""

    def force(d: np.ndarray) -> np.ndarray:
        if reach is None:
            return inverse_square(d)
        return np.exp(-d / reach) * (1 / d**2 + 1 / (reach * d))

    def acceleration(x: np.ndarray, v: np.ndarray, _: slice) -> np.ndarray:
        u, d = pairs(x)
        total = np.einsum("sij,j,sijk->sik", force(d), source, u)
        return response[:, None] * total - trap * x - drag * v

    times = (0.02 if trap else 0.01) * np.arange(frames)
    x = spread(dice.rng, shape, 2.0 if shape[1] < 20 else 3.0, 0.6)
    x, v = follow(acceleration, x, dice.rng.normal(size=shape), times)
    constants = {"k": trap, "γ": drag} | ({} if reach is None else {"λ": reach})
    law = "a = t₁ Σ s₂ f(d) Δ/d" + (" − k x₁ − γ v₁" if trap else "")
    labels = tuple(map(str, range(shape[1])))
    truth = Truth(
        2,
        law,
        constants,
        force,
        one_body=(lambda x, v, own: -trap * x - drag * v) if trap else None,
        source=dict(zip(labels, source.tolist(), strict=True)),
        response=dict(zip(labels, response.tolist(), strict=True)),
    )
    return Tracks(x, v, times), truth


def few_masses(dice: Dice, obstacle: bool) -> tuple[Tracks, Truth]:
    """Gravity of five bodies."""
    m = np.array([3.1, 0.7, 1.3, 0.35, 2.2]) if dice.pilot else dice.rng.uniform(0.3, 4.0, 5)
    m = m if obstacle else np.full(5, 1.5)
    return central(dice, (150, 5, 2), 80, -m, np.ones(5))


def many_masses(dice: Dice, obstacle: bool) -> tuple[Tracks, Truth]:
    """Gravity of thirty bodies."""
    m = np.exp(dice.rng.normal(size=30)) if obstacle else np.ones(30)
    return central(dice, (40, 30, 3), 40, -m, np.ones(30))


def masses_of_runs(dice: Dice, obstacle: bool) -> tuple[Tracks, Truth]:
    """Gravity of five bodies in a trap, others in each run; the control: of equal mass."""
    rng, trap, shape = dice.rng, dice(0.5), (300, 5, 2)
    m = rng.uniform(0.4, 3.0, shape[:2]) if obstacle else np.full(shape[:2], 1.5)

    def acceleration(x: np.ndarray, v: np.ndarray, some: slice) -> np.ndarray:
        u, d = pairs(x)
        return -np.einsum("sij,sj,sijk->sik", 1 / d**2, m[some], u) - trap * x

    times = 0.01 * np.arange(160)
    x, v = spread(rng, shape, 3.0, 1.0), 0.8 * rng.normal(size=shape)
    rough, _ = steps(acceleration, x, v, times, 4)
    nearest = pairs(rough.reshape(-1, *shape[1:]))[1].reshape(shape[0], -1).min(1)
    some = np.flatnonzero(nearest > 0.2)[:40]  # else frames are too few for the closest encounters
    m = m[some]
    x, v = follow(acceleration, x[some], v[some], times)
    labels = [f"{k} of run {run}" for run in range(len(some)) for k in range(5)]
    truth = Truth(
        2,
        "a = −Σ s₂ Δ/d³ − k x₁, s₂ = m₂",
        {"k": trap},
        inverse_square,
        one_body=lambda x, v, own: -trap * x,
        source=dict(zip(labels, (-m).ravel().tolist(), strict=True)),
        response=dict.fromkeys(labels, 1.0),
    )
    return Tracks(x, v, times), truth


def both_signs(dice: Dice, obstacle: bool) -> tuple[Tracks, Truth]:
    """Coulomb forces of charges of both signs, equal masses."""
    q = np.array([1.3, -0.8, 0.6, -1.7, 2.1, -0.5]) if dice.pilot else dice.rng.uniform(0.4, 2.2, 6)
    q = q * [1, -1, 1, -1, 1, -1] if obstacle and not dice.pilot else q if obstacle else np.ones(6)
    return central(dice, (150, 6, 2), 60, q, q)


def dust(dice: Dice, obstacle: bool) -> tuple[Tracks, Truth]:
    """Grains of dust of unlike charge and mass: Yukawa, trap, drag."""
    q = dice.rng.uniform(1.0, 3.0, 8) if obstacle else np.full(8, 2.0)
    m = dice.rng.uniform(0.5, 2.0, 8) if obstacle else np.ones(8)
    return central(dice, (60, 8, 2), 100, q, q / m, dice(1.2), dice(0.4), dice(0.9))


def grains_unlike(dice: Dice, obstacle: bool) -> tuple[Tracks, Truth]:
    """Ten grains of dust of unlike charge and mass, one recording kept moving by heat; the control: alike."""
    q = np.exp(0.35 * dice.rng.normal(size=10)) if obstacle else np.ones(10)
    m = np.exp(0.35 * dice.rng.normal(size=10)) if obstacle else np.ones(10)
    source, response = dice(3.0) * q, q / m
    reach, trap, drag, heat = dice(1.0), dice(4.0), dice(0.5), 0.15 / m[:, None]
    rng, force = dice.rng, yukawa(1.0, reach)

    def acceleration(x: np.ndarray) -> np.ndarray:
        u, d = pairs(x)
        return response[:, None] * np.einsum("sij,j,sijk->sik", force(d), source, u) - trap * x

    x, v = spread(rng, (1, 10, 3), 0.8, 0.5), 0.4 * rng.normal(size=(1, 10, 3))
    x, v = (
        values[:, -1] for values in heated(acceleration, x, v, drag, heat, np.array([0, 20.0]), 5000, rng)
    )
    times = 0.02 * np.arange(10_000)
    x, v = heated(acceleration, x, v, drag, heat, times, 5, rng)
    labels = tuple(map(str, range(10)))
    truth = Truth(
        2,
        "a = t₁ Σ s₂ e^(−d/λ) (1/d² + 1/(λ d)) Δ/d − k x₁ − γ v₁ + heat; s = q, t = q/m",
        {"λ": reach, "k": trap, "γ": drag},
        force,
        one_body=lambda x, v, own: -trap * x - drag * v,
        source=dict(zip(labels, source.tolist(), strict=True)),
        response=dict(zip(labels, response.tolist(), strict=True)),
    )
    return Tracks(x, v, times, headings=(None, "frame", "particle"), noise=1e-3, digits="%.6f"), truth


def charges_unlike(dice: Dice, obstacle: bool) -> tuple[Tracks, Truth]:
    """Charges of both signs and unlike masses in a magnet, with a drag; the control: these are written."""
    q = dice.rng.uniform(0.5, 2.0, 6) * [1, -1, 1, 1, -1, 1]
    m = dice.rng.uniform(0.6, 1.8, 6)
    coupling, field, drag = dice(0.6), dice(1.2), dice(0.3)

    def one_body(x: np.ndarray, v: np.ndarray, own: dict) -> np.ndarray:
        charge, mass = (own[name][..., None] for name in ("q", "m"))
        turned = np.stack([v[..., 1], -v[..., 0]], -1)
        return (field * charge * turned - drag * v) / mass

    def acceleration(x: np.ndarray, v: np.ndarray, _: slice) -> np.ndarray:
        u, d = pairs(x)
        total = np.einsum("sij,j,sijk->sik", coupling * inverse_square(d), q, u)
        return (q / m)[:, None] * total + one_body(x, v, {"q": q, "m": m})

    times = 0.01 * np.arange(60)
    x = spread(dice.rng, (150, 6, 2), 2.0, 0.6)
    x, v = follow(acceleration, x, dice.rng.normal(size=x.shape), times)
    labels = tuple(map(str, range(6)))
    shape = {name: np.broadcast_to(values, x.shape[:1] + (6,)) for name, values in (("q", q), ("m", m))}
    truth = Truth(
        2,
        "a = t₁ Σ s₂ Δ/d³ + B t₁ (v_y, −v_x) − γ v₁/m₁; s = q, t = q/m",
        {"C": coupling, "B": field, "γ": drag},
        lambda d: coupling * inverse_square(d),
        one_body=None if obstacle else one_body,  # which reads what the file does not hold
        weight="1" if obstacle else "q1 q2 / m1",
        source=dict(zip(labels, q.tolist(), strict=True)),
        response=dict(zip(labels, (q / m).tolist(), strict=True)),
    )
    return Tracks(x, v, times, {} if obstacle else shape), truth


def hidden_edges(dice: Dice, obstacle: bool) -> tuple[Tracks, Truth]:
    """Balls some of which springs join, drawn anew for each run, between walls; the control: all are."""
    rng, shape, strength, half, every = dice.rng, (250, 5, 2), dice(0.1), 5.0, 20
    k = rng.choice([0.0, 0.5, 1.0], size=(250, 5, 5)) if obstacle else np.ones((250, 5, 5))
    k = np.triu(k, 1) + np.triu(k, 1).transpose(0, 2, 1)
    times = 0.1 * np.arange(49)
    h = times[1] / every

    def acceleration(x: np.ndarray) -> np.ndarray:
        return -strength * np.einsum("sij,sijk->sik", k, x[:, :, None] - x[:, None])

    x, v = 0.5 * rng.normal(size=shape), rng.normal(size=shape)
    v *= 0.5 / np.linalg.norm(v, axis=-1, keepdims=True)
    kept, a = [(x, v)], acceleration(x)
    for _ in times[1:]:
        for _ in range(every):
            x = x + h * v + h**2 / 2 * a
            v, a = v + h / 2 * (a + acceleration(x)), acceleration(x)
            beyond = np.abs(x) > half
            x, v = np.where(beyond, np.sign(x) * 2 * half - x, x), np.where(beyond, -v, v)
        kept.append((x, v))
    x, v = (np.stack(part, axis=1) for part in zip(*kept, strict=True))
    law = "a = −Σ K k₁₂ Δ, k₁₂ of 0, ½, 1 for each pair and run" if obstacle else "a = −Σ K Δ"
    return Tracks(x, v, times), Truth(2, law, {"K": strength}, lambda d: -strength * d)


def planets(dice: Dice, obstacle: bool) -> tuple[Tracks, Truth]:
    """Sun and planets, positions alone; the control is the same with the masses beside them."""
    import de421
    from jplephem.ephem import Ephemeris

    ephemeris = Ephemeris(de421)
    days = START + EVERY * np.arange(FRAMES)
    x = np.stack([ephemeris.position(body, days) for body in BODIES], axis=0) / ephemeris.AU
    mass = np.array([getattr(ephemeris, name) for name in GM]) / ephemeris.GMS
    solar = ephemeris.GMS * YEAR**2
    tracks = Tracks(
        x.transpose(2, 0, 1)[None],
        None,
        EVERY / YEAR * np.arange(FRAMES),
        {} if obstacle else {"mass": mass[None]},
        (None, "t", "particle"),
        digits="%.16g",
        labels=BODIES,
    )
    source = dict(zip(BODIES, (-solar * mass).tolist(), strict=True))
    response = dict.fromkeys(BODIES, 1.0)
    law = "a = −Σ G m₂ Δ/d³"
    if not obstacle:
        return tracks, Truth(2, law, {"G": solar}, lambda d: -solar * inverse_square(d), weight="m2")
    return tracks, Truth(2, law, {}, inverse_square, source=source, response=response)


CASES = (
    Case("few_masses", few_masses, velocities=True),
    Case("many_masses", many_masses, ("dataset.dim=3",), velocities=True),
    Case("masses_of_runs", masses_of_runs, ("dataset.identity=run",), velocities=True),
    Case("both_signs", both_signs, velocities=True),
    Case("unlike_dust", dust, velocities=True),
    Case("grains_unlike", grains_unlike, ("dataset.dim=3", "dataset.time_step=0.02")),
    Case("charges_unlike", charges_unlike, velocities=True),
    Case("hidden_edges", hidden_edges, velocities=True),
    Case("planets", planets, ("dataset.dim=3",)),
)
