"""Equations of motion of many runs at once, and four ways to follow them.

Arrays are [S, n, D]: runs, particles, space dimensions.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from scipy.integrate import solve_ivp

Acceleration = Callable[[np.ndarray, np.ndarray, slice], np.ndarray]  # of x, v and which runs
Velocity = Callable[[np.ndarray], np.ndarray]


def pairs(x: np.ndarray, box: float | None = None) -> tuple[np.ndarray, np.ndarray]:
    """Unit vectors [S, n, n, D] from sender (second) to receiver (first), and distances [S, n, n].

    A particle and itself: distance 1, and the vector is zero.
    """
    delta = x[:, :, None] - x[:, None]
    if box is not None:
        delta -= box * np.round(delta / box)
    d = np.sqrt((delta**2).sum(-1))
    own = np.arange(x.shape[1])
    d[:, own, own] = 1
    return delta / d[..., None], d


def summed(x: np.ndarray, force: Callable[[np.ndarray], np.ndarray], box: float | None = None) -> np.ndarray:
    """Σ_j f(d_ij) Δ_ij/d_ij, [S, n, D]."""
    u, d = pairs(x, box)
    return np.einsum("sij,sijk->sik", force(d), u)


def spread(rng: np.random.Generator, shape: tuple[int, ...], width: float, gap: float) -> np.ndarray:
    """Normal positions [S, n, D] of a width, no two of a run nearer than a gap."""
    x = width * rng.normal(size=shape)
    while True:
        close = (pairs(x)[1] + 1e9 * np.eye(shape[1]) < gap).any((1, 2))
        if not close.any():
            return x
        x[close] = width * rng.normal(size=(int(close.sum()), *shape[1:]))


def follow(
    acceleration: Acceleration, x: np.ndarray, v: np.ndarray, times: np.ndarray, together: int = 20
) -> tuple[np.ndarray, np.ndarray]:
    """Second order, exact to 1e-9: positions and velocities [S, T, n, D]; so many runs share their steps."""
    out = []
    for start in range(0, len(x), together):
        runs = slice(start, start + together)
        shape = (2, *x[runs].shape)

        def change(_: float, state: np.ndarray, runs: slice = runs, shape: tuple = shape) -> np.ndarray:
            at, speed = state.reshape(shape)
            return np.concatenate([speed.ravel(), acceleration(at, speed, runs).ravel()])

        begin = np.concatenate([x[runs].ravel(), v[runs].ravel()])
        solved = solve_ivp(change, times[[0, -1]], begin, "DOP853", times, rtol=1e-9, atol=1e-10)
        out.append(solved.y.T.reshape(-1, *shape).transpose(1, 2, 0, 3, 4))
    both = np.concatenate(out, 1)
    return both[0], both[1]


def flow(velocity: Velocity, x: np.ndarray, times: np.ndarray, inner: int) -> np.ndarray:
    """First order without noise, Runge-Kutta of order four with fixed steps: positions [S, T, n, D]."""
    h, every = (times[1] - times[0]) / inner, [x]
    for _ in range((len(times) - 1) * inner):
        v1 = velocity(x)
        v2 = velocity(x + h / 2 * v1)
        v3 = velocity(x + h / 2 * v2)
        v4 = velocity(x + h * v3)
        x = x + h / 6 * (v1 + 2 * v2 + 2 * v3 + v4)
        every.append(x)
    return np.stack(every[::inner], 1)


def steps(
    acceleration: Acceleration, x: np.ndarray, v: np.ndarray, times: np.ndarray, inner: int
) -> tuple[np.ndarray, np.ndarray]:
    """Second order by Runge-Kutta of order four with fixed steps: for laws that end at a distance."""
    h, every, runs = (times[1] - times[0]) / inner, [(x, v)], slice(None)
    for _ in range((len(times) - 1) * inner):
        a1 = acceleration(x, v, runs)
        v2 = v + h / 2 * a1
        a2 = acceleration(x + h / 2 * v, v2, runs)
        v3 = v + h / 2 * a2
        a3 = acceleration(x + h / 2 * v2, v3, runs)
        v4 = v + h * a3
        a4 = acceleration(x + h * v3, v4, runs)
        x = x + h / 6 * (v + 2 * v2 + 2 * v3 + v4)
        v = v + h / 6 * (a1 + 2 * a2 + 2 * a3 + a4)
        every.append((x, v))
    kept = every[::inner]
    return np.stack([x for x, _ in kept], 1), np.stack([v for _, v in kept], 1)


def diffuse(
    velocity: Velocity,
    x: np.ndarray,
    diffusion: float,
    times: np.ndarray,
    inner: int,
    rng: np.random.Generator,
) -> np.ndarray:
    """First order with noise √(2D) ξ, Euler and Maruyama: positions [S, T, n, D]."""
    h, kept = (times[1] - times[0]) / inner, [x]
    for _ in range(len(times) - 1):
        for _ in range(inner):
            x = x + h * velocity(x) + np.sqrt(2 * diffusion * h) * rng.normal(size=x.shape)
        kept.append(x)
    return np.stack(kept, 1)


def heated(
    acceleration: Velocity,
    x: np.ndarray,
    v: np.ndarray,
    drag: float,
    heat: float,
    times: np.ndarray,
    inner: int,
    rng: np.random.Generator,
) -> tuple[np.ndarray, np.ndarray]:
    """Second order, a = a(x) − γ v + √(2 γ heat) ξ, by half kicks around an exact step of drag and noise."""
    h, kept = (times[1] - times[0]) / inner, [(x, v)]
    fade = np.exp(-drag * h)
    a = acceleration(x)
    for _ in range(len(times) - 1):
        for _ in range(inner):
            v = v + h / 2 * a
            x = x + h / 2 * v
            v = fade * v + np.sqrt(heat * (1 - fade**2)) * rng.normal(size=x.shape)
            x = x + h / 2 * v
            a = acceleration(x)
            v = v + h / 2 * a
        kept.append((x, v))
    return np.stack([x for x, _ in kept], 1), np.stack([v for _, v in kept], 1)
