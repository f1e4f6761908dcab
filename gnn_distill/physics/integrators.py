"""Compiled integrators of equations of motion: adaptive Dormand–Prince 5(4), and small steps with kicks.

Shapes: S simulations, T kept frames, n particles, D space dimensions.
"""

from __future__ import annotations

import math

import numba
import numpy as np

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
def _derivative(y, fixed, params, magnitude, body, pair, alone, out):
    """Write d/dt of the state y [2, n, D] = (x, v) to `out`.

    `fixed` [3, n] holds masses, what divides forces, and charges; `body` holds drag, gravity and 1 or 0 for a
    chain, a law of a class, pair terms in text, one-body terms in text, first order; then ε.
    """
    n, dim = y.shape[1], y.shape[2]
    m, inertia, q = fixed[0], fixed[1], fixed[2]
    for i in range(n):
        for c in range(dim):
            out[0, i, c] = y[1, i, c]
            out[1, i, c] = -body[0] * y[1, i, c] / inertia[i]
        out[1, i, 1] -= body[1]
    for i in range(n if body[3] else 0):
        for j in range(max(0, i - 1) if body[2] else 0, i):
            d2 = 0.0
            for c in range(dim):
                d2 += (y[0, i, c] - y[0, j, c]) ** 2
            d = math.sqrt(d2)
            if d == 0.0:
                continue
            f = magnitude(d + SOFTENING, m[i], m[j], q[i], q[j], params) / d
            for c in range(dim):
                delta = y[0, i, c] - y[0, j, c]
                out[1, i, c] += f * delta / inertia[i]
                out[1, j, c] -= f * delta / inertia[j]
    if body[4] or body[5]:
        _add_terms(y, fixed, body, pair, alone, out)
    if body[6]:
        out[0] = out[1]
        out[1] = 0.0


@numba.njit(cache=True)
def _add_terms(y, fixed, body, pair, alone, out):
    """Add the terms in text to the accelerations in `out`; a pair's two forces need not be opposite."""
    n, dim = y.shape[1], y.shape[2]
    x, v, f = np.zeros(3), np.zeros(3), np.zeros(3)
    for i in range(n):
        for j in range(n if body[4] else 0):
            if i == j or (body[2] and abs(i - j) != 1):
                continue
            d2, w2, along = 0.0, 0.0, 0.0
            for c in range(dim):
                delta, w = y[0, i, c] - y[0, j, c], y[1, i, c] - y[1, j, c]
                d2, w2, along = d2 + delta * delta, w2 + w * w, along + delta * w
            d = math.sqrt(d2)
            if d == 0.0:
                continue
            pair(
                d,
                d + body[7],
                math.sqrt(w2),
                along / d,
                fixed[0, i],
                fixed[0, j],
                fixed[2, i],
                fixed[2, j],
                f,
            )
            for c in range(dim):
                delta, w = y[0, i, c] - y[0, j, c], y[1, i, c] - y[1, j, c]
                out[1, i, c] += (f[0] * delta / d + f[1] * w) / fixed[1, i]
        if body[5]:
            for c in range(dim):
                x[c], v[c] = y[0, i, c], y[1, i, c]
            alone(x[0], x[1], x[2], v[0], v[1], v[2], fixed[0, i], fixed[2, i], f)
            for c in range(dim):
                out[1, i, c] += f[c]


@numba.njit(cache=True)
def _advance(y, k, fixed, params, magnitude, body, pair, alone, span, h, rtol, atol, trial, err_prev):
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
                    acc += _A[s, p] * k[p].flat[e]
                trial.flat[e] = y.flat[e] + step * acc
            _derivative(trial, fixed, params, magnitude, body, pair, alone, k[s])
        norm = 0.0
        for e in range(size):
            err = 0.0
            for p in range(7):
                err += _ERROR[p] * k[p].flat[e]
            scale = atol + rtol * max(abs(y.flat[e]), abs(trial.flat[e]))
            norm += (step * err / scale) ** 2
        norm = math.sqrt(norm / size)
        if not norm < np.inf:
            norm = 1e10
        if norm <= 1.0:
            y[:] = trial
            k[0] = k[6]
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


@numba.njit(parallel=True, cache=True)
def adaptive(x0, v0, fixed, params, magnitude, body, pair, alone, frames, spacing, rtol, atol):
    """Positions, velocities, accelerations [S, T, n, D] from the initial states, and which succeeded [S]."""
    sims, n, dim = x0.shape
    xs = np.full((sims, frames, n, dim), np.nan)
    vs, acc = xs.copy(), xs.copy()
    ok = np.zeros(sims, dtype=np.bool_)
    for s in numba.prange(sims):
        y, trial = np.empty((2, n, dim)), np.empty((2, n, dim))
        y[0], y[1] = x0[s], v0[s]
        k = np.empty((7, 2, n, dim))
        _derivative(y, fixed[s], params, magnitude, body, pair, alone, k[0])
        h = 0.1 * spacing
        err_prev = np.ones(1)
        for t in range(frames):
            if t > 0:
                h = _advance(
                    y,
                    k,
                    fixed[s],
                    params,
                    magnitude,
                    body,
                    pair,
                    alone,
                    spacing,
                    h,
                    rtol,
                    atol,
                    trial,
                    err_prev,
                )
                if h < 0:
                    break
            xs[s, t], vs[s, t], acc[s, t] = y[0], y[1], k[0, 0 if body[6] else 1]
        ok[s] = h > 0 and np.isfinite(acc[s]).all()
    return xs, vs, acc, ok


@numba.njit(cache=True)
def _heun(y, k, fixed, params, magnitude, body, pair, alone, dt, size, kick):
    """One step of y in place, k[0] its derivative before and after, k[1:] for work; kicks of `size`."""
    row, trial = 0 if body[6] else 1, k[2]
    for i in range(y.shape[1]):
        for c in range(y.shape[2]):
            kick[row, i, c] = size * np.random.normal()
    for e in range(y.size):
        trial.flat[e] = y.flat[e] + dt * k[0].flat[e] + kick.flat[e]
    _derivative(trial, fixed, params, magnitude, body, pair, alone, k[1])
    for e in range(y.size):
        y.flat[e] += 0.5 * dt * (k[0].flat[e] + k[1].flat[e]) + kick.flat[e]
    _derivative(y, fixed, params, magnitude, body, pair, alone, k[0])


@numba.njit(parallel=True, cache=True)
def kicked(x0, v0, fixed, params, magnitude, body, pair, alone, frames, spacing, steps, size, seeds):
    """The same with kicks of standard deviation `size` in each of `steps` steps to a frame.

    Heun's method, of second weak order where noise does not depend on the state (Kloeden and Platen 1992).
    """
    sims, n, dim = x0.shape
    xs = np.full((sims, frames, n, dim), np.nan)
    vs, acc = xs.copy(), xs.copy()
    ok = np.zeros(sims, dtype=np.bool_)
    for s in numba.prange(sims):
        np.random.seed(seeds[s])
        y, k, kick = np.empty((2, n, dim)), np.empty((3, 2, n, dim)), np.zeros((2, n, dim))
        y[0], y[1] = x0[s], v0[s]
        _derivative(y, fixed[s], params, magnitude, body, pair, alone, k[0])
        for t in range(frames):
            for _ in range(steps if t > 0 else 0):
                _heun(y, k, fixed[s], params, magnitude, body, pair, alone, spacing / steps, size, kick)
            xs[s, t], vs[s, t], acc[s, t] = y[0], y[1], k[0, 0 if body[6] else 1]
        ok[s] = np.isfinite(acc[s]).all() and np.isfinite(xs[s]).all()
    return xs, vs, acc, ok
