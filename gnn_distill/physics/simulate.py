"""Trajectories of interacting particles: adaptive Dormand–Prince 5(4), compiled, parallel.

Each trajectory has its own step size, its own seed and its own error control, so the result does
not depend on how many threads shared the work. Shapes: S simulations, T kept frames, n particles,
D space dimensions.
"""

from __future__ import annotations

import functools
import logging
import math
from collections.abc import Callable, Iterator
from dataclasses import astuple, dataclass
from typing import Any

import numba
import numpy as np
import numpy.typing as npt

from gnn_distill.arrays import Array
from gnn_distill.errors import InputError, check_int, check_range
from gnn_distill.physics.laws import SOFTENING, ForceLaw, check_law

log = logging.getLogger(__name__)

_f8 = numba.types.float64
_MAGNITUDE = _f8(_f8, _f8, _f8, _f8, _f8, numba.types.Array(_f8, 1, "C"))
BLOCK = 500
_MAX_STEPS = 200_000  # per kept frame; beyond it the trajectory counts as failed


@dataclass(frozen=True)
class Simulation:
    """What is simulated: everything here, with the law and the seed, determines the data.

    Args:
        law: the pair force.
        n: particles per simulation.
        dim: space dimensions, 2 or 3.
        simulations: number of trajectories S.
        frames: kept frames T per trajectory.
        stride: integrator frames per kept frame; published: 5.
        time_step: spacing dt of integrator frames; the law's own default if None.
        rtol: relative tolerance of one step; `atol` the absolute one.
        seed: seed of the initial states; trajectory k draws from the stream (seed, k).
    """

    law: ForceLaw
    n: int = 4
    dim: int = 2
    simulations: int = 10_000
    frames: int = 100
    stride: int = 5
    time_step: float | None = None
    rtol: float = 1e-8
    atol: float = 1e-8
    seed: int = 0

    def __post_init__(self) -> None:
        check_law(self.law)
        check_int("dataset.dim", self.dim, 2, 3)
        for key, least in {"n": 2, "simulations": 1, "frames": 1, "stride": 1, "seed": 0}.items():
            check_int(f"dataset.{key}", getattr(self, key), least)
        for key in ("rtol", "atol"):
            check_range(f"dataset.{key}", getattr(self, key), 1e-14, 1e-2)
        if self.time_step is not None:
            check_range("dataset.time_step", self.time_step, 0.0, open_low=True)

    @property
    def frame_spacing(self) -> float:
        """Time between two kept frames."""
        return self.stride * (self.law.time_step if self.time_step is None else self.time_step)


@dataclass(frozen=True)
class Trajectories:
    """Simulated particles.

    Attributes:
        positions: shape [S, T, n, D].
        velocities: shape [S, T, n, D].
        accelerations: shape [S, T, n, D], exact at the positions.
        masses: shape [S, n]; `charges` likewise.
        replaced: how many trajectories could not be integrated and gave way to the next seed.
    """

    positions: Array
    velocities: Array
    accelerations: Array
    masses: Array
    charges: Array
    replaced: int


def simulate(spec: Simulation, progress: Callable[[int, int], None] | None = None) -> Trajectories:
    """All trajectories of `spec` in memory; see `simulate_blocks`."""
    *arrays, replaced = zip(*map(astuple, simulate_blocks(spec, progress)), strict=True)
    x, v, a, m, q = map(np.concatenate, arrays)
    return Trajectories(x, v, a, m, q, sum(replaced))


def simulate_blocks(
    spec: Simulation, progress: Callable[[int, int], None] | None = None, block: int = BLOCK
) -> Iterator[Trajectories]:
    """Draw initial states, integrate them, and replace what cannot be integrated, block by block.

    Args:
        spec: what to simulate.
        progress: called with (trajectories done, S) after each block.
        block: trajectories integrated side by side.

    Raises:
        InputError: more than half of the trajectories fail, so that the law or the tolerances are at fault.
    """
    next_seed, replaced = spec.simulations, 0
    for first in range(0, spec.simulations, block):
        seeds = np.arange(first, min(first + block, spec.simulations))
        x0, v0, m, q = _initial_states(spec, seeds)
        x, v, a, ok = integrate(spec, x0, v0, m, q)
        lost = 0
        while not ok.all():
            again = np.flatnonzero(~ok)
            lost += again.size
            if replaced + lost > spec.simulations // 2 + 10:
                fix = "most trajectories diverge; soften the law or loosen dataset.rtol"
                raise InputError("dataset.law", spec.law, fix)
            x0, v0, m[again], q[again] = _initial_states(spec, next_seed + np.arange(again.size))
            next_seed += again.size
            x[again], v[again], a[again], ok[again] = integrate(spec, x0, v0, m[again], q[again])
        if lost:
            log.warning("%d trajectories could not be integrated; others were drawn in their place", lost)
        replaced += lost
        if progress is not None:
            progress(first + len(seeds), spec.simulations)
        yield Trajectories(x, v, a, m, q, lost)


def _initial_states(spec: Simulation, seeds: npt.NDArray[np.int64]) -> tuple[Array, Array, Array, Array]:
    states = (initial_state(spec, int(k)) for k in seeds)
    x, v, m, q = (np.stack(part) for part in zip(*states, strict=True))
    return x, v, m, q


def integrate(
    spec: Simulation, positions: Array, velocities: Array, masses: Array, charges: Array
) -> tuple[Array, Array, Array, npt.NDArray[np.bool_]]:
    """Follow given initial states.

    Args:
        spec: law, frames, spacing and tolerances; its n, dim and simulations are not used.
        positions: shape [S, n, D].
        velocities: shape [S, n, D].
        masses: shape [S, n].
        charges: shape [S, n].

    Returns:
        Positions, velocities and accelerations, each [S, T, n, D], NaN after a failure; which succeeded [S].
    """
    law = spec.law
    body = np.array([law.drag, law.gravity, law.graph == "chain"])
    x, v, m, q = (np.ascontiguousarray(a, dtype=float) for a in (positions, velocities, masses, charges))
    magnitude, params = compiled_magnitude(type(law).magnitude), np.array(law.params)
    return _integrate_all(
        x, v, m, q, params, magnitude, body, spec.frames, spec.frame_spacing, spec.rtol, spec.atol
    )


def initial_state(spec: Simulation, k: int) -> tuple[Array, Array, Array, Array]:
    """Positions [n, D], velocities [n, D], masses [n] and charges [n] of trajectory `k`."""
    rng = np.random.default_rng([spec.seed, k])
    x, v = rng.standard_normal((2, spec.n, spec.dim))
    mass = np.exp(rng.standard_normal(spec.n))
    q = rng.standard_normal(spec.n)
    return x, v, mass, np.where(q < 0, -1.0, 1.0) if spec.law.charges == "sign" else q


@functools.cache
def compiled_magnitude(magnitude: Callable[..., Any]) -> Any:
    """A law's `magnitude` as a native function of float64 scalars and a parameter array."""
    return numba.cfunc(_MAGNITUDE, error_model="numpy")(magnitude)


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
def _derivative(y, m, q, params, magnitude, body, out):
    """Write d/dt of the state y [2, n, D] = (x, v) to `out`; `body` holds drag, gravity, 1 for a chain."""
    n, dim = y.shape[1], y.shape[2]
    for i in range(n):
        for c in range(dim):
            out[0, i, c] = y[1, i, c]
            out[1, i, c] = -body[0] * y[1, i, c] / m[i]
        out[1, i, 1] -= body[1]
    for i in range(n):
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
                out[1, i, c] += f * delta / m[i]
                out[1, j, c] -= f * delta / m[j]


@numba.njit(cache=True)
def _advance(y, k, m, q, params, magnitude, body, span, h, rtol, atol, trial, err_prev):
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
            _derivative(trial, m, q, params, magnitude, body, k[s])
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
def _integrate_all(x0, v0, m, q, params, magnitude, body, frames, spacing, rtol, atol):
    """Positions, velocities, accelerations [S, T, n, D] from the initial states, and which succeeded [S]."""
    sims, n, dim = x0.shape
    xs = np.full((sims, frames, n, dim), np.nan)
    vs, acc = xs.copy(), xs.copy()
    ok = np.zeros(sims, dtype=np.bool_)
    for s in numba.prange(sims):
        y, trial = np.empty((2, n, dim)), np.empty((2, n, dim))
        y[0], y[1] = x0[s], v0[s]
        k = np.empty((7, 2, n, dim))
        _derivative(y, m[s], q[s], params, magnitude, body, k[0])
        h = 0.1 * spacing
        err_prev = np.ones(1)
        for t in range(frames):
            if t > 0:
                h = _advance(
                    y, k, m[s], q[s], params, magnitude, body, spacing, h, rtol, atol, trial, err_prev
                )
                if h < 0:
                    break
            xs[s, t], vs[s, t], acc[s, t] = y[0], y[1], k[0, 1]
        ok[s] = h > 0 and np.isfinite(acc[s]).all()
    return xs, vs, acc, ok
