"""Compiled integrators of equations of motion: adaptive Dormand–Prince 5(4), and small steps with kicks.

The kernels know scalars and elements of flat arrays only: slices of arrays take the compiler far longer than
the particles take afterwards. Threads share out the simulations, each of which depends on nothing else.

Shapes: S simulations, T kept frames, n particles, D space dimensions, Y = 2 n D: all positions, then all
velocities.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numba
import numpy as np
import numpy.typing as npt

from gnn_distill.arrays import Array
from gnn_distill.physics.variables import SOFTENING

_MAX_STEPS = 200_000  # per kept frame; beyond it the trajectory counts as failed

# Dormand & Prince (1980), J. Comput. Appl. Math. 6, 19: the 5(4) pair with first-same-as-last.
_A = np.array(
    [
        [0, 0, 0, 0, 0, 0],
        [1 / 5, 0, 0, 0, 0, 0],
        [3 / 40, 9 / 40, 0, 0, 0, 0],
        [44 / 45, -56 / 15, 32 / 9, 0, 0, 0],
        [19372 / 6561, -25360 / 2187, 64448 / 6561, -212 / 729, 0, 0],
        [9017 / 3168, -355 / 33, 46732 / 5247, 49 / 176, -5103 / 18656, 0],
        [35 / 384, 0, 500 / 1113, 125 / 192, -2187 / 6784, 11 / 84],
    ]
)
_ERROR = np.array([71 / 57600, 0, -71 / 16695, 71 / 1920, -17253 / 339200, 22 / 525, -1 / 40])


@numba.njit(cache=True)
def _derivative(y, fixed, params, magnitude, body, pair, alone, k, row, f):
    """Write d/dt of the state y [Y] to `k[row]`; f [9] is for work.

    `fixed` [3, n] holds masses, what divides forces, and charges; `body` holds drag, gravity and 1 or 0 for a
    chain, a law of a class, pair terms in text, one-body terms in text, first order; then ε.
    """
    n, half = fixed.shape[1], y.size // 2
    dim = half // n
    for e in range(half):
        k[row, e] = y[half + e]
        k[row, half + e] = -body[0] * y[half + e] / fixed[1, e // dim]
    for i in range(n):
        k[row, half + i * dim + 1] -= body[1]
    for i in range(n if body[3] else 0):
        for j in range(max(0, i - 1) if body[2] else 0, i):
            d2 = 0.0
            for c in range(dim):
                d2 += (y[i * dim + c] - y[j * dim + c]) ** 2
            d = math.sqrt(d2)
            if d == 0.0:
                continue
            size = magnitude(d + SOFTENING, fixed[0, i], fixed[0, j], fixed[2, i], fixed[2, j], params) / d
            for c in range(dim):
                delta = y[i * dim + c] - y[j * dim + c]
                k[row, half + i * dim + c] += size * delta / fixed[1, i]
                k[row, half + j * dim + c] -= size * delta / fixed[1, j]
    if body[4] or body[5]:
        _add_terms(y, fixed, body, pair, alone, k, row, f)
    if body[6]:
        for e in range(half):
            k[row, e] = k[row, half + e]
            k[row, half + e] = 0.0


@numba.njit(cache=True)
def _add_terms(y, fixed, body, pair, alone, k, row, f):
    """Add the terms in text to the accelerations in `k[row]`; a pair's two forces need not be opposite."""
    n, half = fixed.shape[1], y.size // 2
    dim = half // n
    for i in range(n):
        for j in range(n if body[4] else 0):
            if i == j or (body[2] and abs(i - j) != 1):
                continue
            d2, w2, along = 0.0, 0.0, 0.0
            for c in range(dim):
                delta = y[i * dim + c] - y[j * dim + c]
                w = y[half + i * dim + c] - y[half + j * dim + c]
                d2, w2, along = d2 + delta * delta, w2 + w * w, along + delta * w
            d = math.sqrt(d2)
            if d == 0.0:
                continue
            m1, m2, q1, q2 = fixed[0, i], fixed[0, j], fixed[2, i], fixed[2, j]
            pair(d, d + body[7], math.sqrt(w2), along / d, m1, m2, q1, q2, f)
            for c in range(dim):
                delta = y[i * dim + c] - y[j * dim + c]
                w = y[half + i * dim + c] - y[half + j * dim + c]
                k[row, half + i * dim + c] += (f[0] * delta / d + f[1] * w) / fixed[1, i]
        if body[5]:
            for c in range(dim):
                f[3 + c], f[6 + c] = y[i * dim + c], y[half + i * dim + c]
            alone(f[3], f[4], f[5], f[6], f[7], f[8], fixed[0, i], fixed[2, i], f)
            for c in range(dim):
                k[row, half + i * dim + c] += f[c]


@numba.njit(cache=True)
def _advance(y, k, fixed, params, magnitude, body, pair, alone, span, h, rtol, atol, trial, f, err_prev):
    """Integrate y over `span` in place with k[0] its derivative; return the next step, or -1 on failure."""
    size = y.size
    t = 0.0
    for _ in range(_MAX_STEPS):
        last = t + h >= span * (1 - 1e-12)
        step = span - t if last else h
        for s in range(1, 7):
            for e in range(size):
                acc = 0.0
                for p in range(s):
                    acc += _A[s, p] * k[p, e]
                trial[e] = y[e] + step * acc
            _derivative(trial, fixed, params, magnitude, body, pair, alone, k, s, f)
        norm = 0.0
        for e in range(size):
            err = 0.0
            for p in range(7):
                err += _ERROR[p] * k[p, e]
            scale = atol + rtol * max(abs(y[e]), abs(trial[e]))
            norm += (step * err / scale) ** 2
        norm = math.sqrt(norm / size)
        if not norm < np.inf:
            norm = 1e10
        if norm <= 1.0:
            for e in range(size):
                y[e] = trial[e]
                k[0, e] = k[6, e]
            grow = 0.9 * max(norm, 1e-10) ** -0.14 * err_prev[0] ** 0.08  # PI control, Hairer II.4
            err_prev[0] = max(norm, 1e-4)
            if last:
                return max(h, step * min(5.0, grow))
            t += step
            h = step * min(5.0, max(0.2, grow))
        else:
            h = step * max(0.1, 0.9 * norm**-0.2)
            if h < 1e-13 * span:
                return -1.0
    return -1.0


@numba.njit(cache=True, nogil=True)
def _adaptive(states, slopes, fixed, params, magnitude, body, pair, alone, spacing, rtol, atol, work):
    """Fill states [S, T, Y] from the first frame on, and slopes [S, T, Y] with d/dt of them."""
    k, y, trial, f, err_prev = work
    for s in range(states.shape[0]):
        for e in range(y.size):
            y[e] = states[s, 0, e]
        _derivative(y, fixed[s], params, magnitude, body, pair, alone, k, 0, f)
        h = 0.1 * spacing
        err_prev[0] = 1.0
        for t in range(states.shape[1]):
            if t > 0:
                args = (fixed[s], params, magnitude, body, pair, alone, spacing, h, rtol, atol)
                h = _advance(y, k, *args, trial, f, err_prev)
                if h < 0:
                    break
            for e in range(y.size):
                states[s, t, e] = y[e]
                slopes[s, t, e] = k[0, e]


@numba.njit(cache=True)
def _heun(y, k, fixed, params, magnitude, body, pair, alone, dt, size, kick, trial, f):
    """One step of y in place, k[0] its derivative before and after, k[1] for work; kicks of `size`."""
    half = y.size // 2
    for e in range(half):
        kick[e if body[6] else half + e] = size * np.random.normal()
    for e in range(y.size):
        trial[e] = y[e] + dt * k[0, e] + kick[e]
    _derivative(trial, fixed, params, magnitude, body, pair, alone, k, 1, f)
    for e in range(y.size):
        y[e] += 0.5 * dt * (k[0, e] + k[1, e]) + kick[e]
    _derivative(y, fixed, params, magnitude, body, pair, alone, k, 0, f)


@numba.njit(cache=True, nogil=True)
def _kicked(states, slopes, fixed, params, magnitude, body, pair, alone, dt, steps, size, seeds, work):
    """The same in `steps` steps to a frame, with a kick of standard deviation `size` in each.

    Heun's method, of second weak order where noise does not depend on the state (Kloeden and Platen 1992).
    """
    k, y, trial, f, kick = work
    for s in range(states.shape[0]):
        np.random.seed(seeds[s])
        for e in range(y.size):
            y[e], kick[e] = states[s, 0, e], 0.0
        _derivative(y, fixed[s], params, magnitude, body, pair, alone, k, 0, f)
        for t in range(states.shape[1]):
            for _ in range(steps if t > 0 else 0):
                _heun(y, k, fixed[s], params, magnitude, body, pair, alone, dt, size, kick, trial, f)
            for e in range(y.size):
                states[s, t, e] = y[e]
                slopes[s, t, e] = k[0, e]


def adaptive(
    x0: Array,
    v0: Array,
    fixed: Array,
    params: Array,
    magnitude: Any,
    body: Array,
    pair: Any,
    alone: Any,
    frames: int,
    spacing: float,
    rtol: float,
    atol: float,
) -> tuple[Array, Array, Array, npt.NDArray[np.bool_]]:
    """Positions, velocities, accelerations [S, T, n, D] from the initial states, and which succeeded [S].

    The arguments from `fixed` [S, 3, n] to `alone` are those of `_derivative`.
    """

    def run(part: slice, states: Array, slopes: Array, work: tuple[Array, ...]) -> None:
        system = (fixed[part], params, magnitude, body, pair, alone)
        _adaptive(states, slopes, *system, spacing, rtol, atol, work)

    return _shared(run, x0, v0, frames, bool(body[6]))


def kicked(
    x0: Array,
    v0: Array,
    fixed: Array,
    params: Array,
    magnitude: Any,
    body: Array,
    pair: Any,
    alone: Any,
    frames: int,
    spacing: float,
    steps: int,
    size: float,
    seeds: npt.NDArray[np.uint32],
) -> tuple[Array, Array, Array, npt.NDArray[np.bool_]]:
    """The same with kicks of standard deviation `size` in each of `steps` steps to a frame; `seeds` [S]."""

    def run(part: slice, states: Array, slopes: Array, work: tuple[Array, ...]) -> None:
        system = (fixed[part], params, magnitude, body, pair, alone)
        _kicked(states, slopes, *system, spacing / steps, steps, size, seeds[part], work)

    return _shared(run, x0, v0, frames, bool(body[6]))


def _shared(
    run: Callable[[slice, Array, Array, tuple[Array, ...]], None],
    x0: Array,
    v0: Array,
    frames: int,
    first_order: bool,
) -> tuple[Array, Array, Array, npt.NDArray[np.bool_]]:
    """Share out the simulations to threads, and take the states apart."""
    sims, n, dim = x0.shape
    size = 2 * n * dim
    states = np.full((sims, frames, size), np.nan)
    states[:, 0] = np.concatenate([x0.reshape(sims, -1), v0.reshape(sims, -1)], axis=1)
    slopes = np.full_like(states, np.nan)
    threads = max(1, min(sims, numba.get_num_threads()))
    ends = np.linspace(0, sims, threads + 1).astype(int)

    def one(low: int, high: int) -> None:
        work = (np.zeros((7, size)), np.zeros(size), np.zeros(size), np.zeros(9), np.zeros(size))
        run(slice(low, high), states[low:high], slopes[low:high], work)

    one(0, 0)  # compiles, which threads do one after another anyway
    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(one, ends[:-1].tolist(), ends[1:].tolist()))
    x, v = (states.reshape(sims, frames, 2, n, dim)[:, :, k].copy() for k in (0, 1))
    a = slopes.reshape(sims, frames, 2, n, dim)[:, :, 0 if first_order else 1].copy()
    found = np.concatenate([states, slopes], axis=2).reshape(sims, -1)
    return x, v, a, np.asarray(np.isfinite(found).all(axis=1))
