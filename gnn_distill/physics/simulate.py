"""Trajectories of interacting particles: adaptive Dormand–Prince 5(4), compiled, parallel.

Each trajectory has its own step size, its own seed and its own error control, so the result does
not depend on how many threads shared the work. Where heat kicks particles, steps are small and of one size.
Shapes: S simulations, T kept frames, n particles, D space dimensions.
"""

from __future__ import annotations

import functools
import logging
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import astuple, dataclass, replace
from typing import Any

import numba
import numpy as np
import numpy.typing as npt

from gnn_distill.arrays import Array
from gnn_distill.errors import InputError, check_int, check_range
from gnn_distill.physics.equation import Equation, as_equation
from gnn_distill.physics.integrators import adaptive, kicked
from gnn_distill.physics.laws import ForceLaw, check_law, check_opposite

log = logging.getLogger(__name__)

_f8 = numba.types.float64
_MAGNITUDE = _f8(_f8, _f8, _f8, _f8, _f8, numba.types.Array(_f8, 1, "C"))
BLOCK = 500
HEAT = ("noise", "diffusion")
ADDED = ("along_distance", "along_velocity", "one_body", "dynamics")
KICKS = 10  # steps per integrator frame where heat kicks


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
        along_distance: f_u, a pair force f_u Δ/d beside the law's, an expression in `d r w uw m1 m2 q1 q2`.
        along_velocity: f_w, a pair force f_w (v₁ − v₂), likewise.
        one_body: acceleration (in first order velocity) of each particle by itself, an expression for each
            axis in `x y [z] vx vy [vz] m1 q1`.
        dynamics: second_order (inertia) or first_order (overdamped: v = one_body + Σ pair forces); None is
            second_order. A law of a class may say all four by attributes of these names.
        noise: localisation noise, the standard deviation of what is added to each written position.
        diffusion: of heat: D of positions in first order, of velocities in second, ⟨Δ²⟩ = 2 D t for each
            component.
    """

    law: ForceLaw = Equation()
    n: int = 4
    dim: int = 2
    simulations: int = 10_000
    frames: int = 100
    stride: int = 5
    time_step: float | None = None
    rtol: float = 1e-8
    atol: float = 1e-8
    seed: int = 0
    along_distance: str | None = None
    along_velocity: str | None = None
    one_body: Sequence[str] | None = None
    dynamics: str | None = None
    noise: float = 0.0
    diffusion: float = 0.0

    def __post_init__(self) -> None:
        check_law(self.law)
        object.__setattr__(self, "law", self._whole_law())
        if (base := as_equation(self.law).base) is not None:
            check_opposite(base)
        check_int("dataset.dim", self.dim, 2, 3)
        for key, least in {"n": 2, "simulations": 1, "frames": 1, "stride": 1, "seed": 0}.items():
            check_int(f"dataset.{key}", getattr(self, key), least)
        for key in ("rtol", "atol"):
            check_range(f"dataset.{key}", getattr(self, key), 1e-14, 1e-2)
        for key in HEAT:
            check_range(f"dataset.{key}", getattr(self, key), 0.0)
        if self.time_step is not None:
            check_range("dataset.time_step", self.time_step, 0.0, open_low=True)

    def _whole_law(self) -> ForceLaw:
        """The law with what is said of it here or by its class; itself where there is no more."""
        own = as_equation(self.law)
        typed = {key: getattr(self, key) for key in ADDED}
        by_class = {key: getattr(self.law, key, None) for key in ADDED}
        said = {key: typed[key] if typed[key] is not None else by_class[key] for key in ADDED}
        given = {key: value for key, value in said.items() if value}
        whole = replace(own, **given) if given else own
        if whole.empty:
            fix = "name the class of a law, or give dataset.along_distance, dataset.one_body or both"
            raise InputError("dataset.law", None, fix)
        if whole.one_body and len(whole.one_body) != self.dim:
            fix = f"give one expression for each of the {self.dim} axes"
            raise InputError("dataset.one_body", list(whole.one_body), fix)
        return whole if replace(whole, base=None) != Equation() else self.law

    @property
    def order(self) -> int:
        """Of the equation of motion."""
        return 1 if as_equation(self.law).first_order else 2

    @property
    def softening(self) -> float:
        """ε of r = d + ε."""
        return as_equation(self.law).softening

    @property
    def observed(self) -> bool:
        """Whether labels are derived from what is seen, as those of recordings are; else they are exact."""
        return self.noise > 0 or self.diffusion > 0

    @property
    def frame_spacing(self) -> float:
        """Time between two kept frames."""
        return self.stride * (self.law.time_step if self.time_step is None else self.time_step)


@dataclass(frozen=True)
class Trajectories:
    """Simulated particles.

    Attributes:
        positions: shape [S, T, n, D], with the noise of what is written.
        velocities: shape [S, T, n, D]; zero in first order.
        accelerations: shape [S, T, n, D], exact where the particles are, without kicks; in first order
            velocities.
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
        x, v, a, ok = integrate(spec, x0, v0, m, q, seeds)
        lost = 0
        while not ok.all():
            again = np.flatnonzero(~ok)
            lost += again.size
            if replaced + lost > spec.simulations // 2 + 10:
                fix = "most trajectories diverge; soften the law or loosen dataset.rtol"
                raise InputError("dataset.law", spec.law, fix)
            others = next_seed + np.arange(again.size)
            x0, v0, m[again], q[again] = _initial_states(spec, others)
            next_seed += again.size
            x[again], v[again], a[again], ok[again] = integrate(spec, x0, v0, m[again], q[again], others)
        if lost:
            log.warning("%d trajectories could not be integrated; others were drawn in their place", lost)
        replaced += lost
        if spec.noise:
            for k, track in zip(seeds, x, strict=True):
                track += spec.noise * np.random.default_rng([spec.seed, int(k), 2]).standard_normal(
                    track.shape
                )
        if progress is not None:
            progress(first + len(seeds), spec.simulations)
        yield Trajectories(x, v, a, m, q, lost)


def _initial_states(spec: Simulation, seeds: npt.NDArray[np.int64]) -> tuple[Array, Array, Array, Array]:
    states = (initial_state(spec, int(k)) for k in seeds)
    x, v, m, q = (np.stack(part) for part in zip(*states, strict=True))
    return x, v, m, q


def integrate(
    spec: Simulation,
    positions: Array,
    velocities: Array,
    masses: Array,
    charges: Array,
    seeds: npt.NDArray[np.int64] | None = None,
) -> tuple[Array, Array, Array, npt.NDArray[np.bool_]]:
    """Follow given initial states.

    Args:
        spec: law, frames, spacing, tolerances and heat; its n, dim and simulations are not used.
        positions: shape [S, n, D].
        velocities: shape [S, n, D]; not used in first order.
        masses: shape [S, n].
        charges: shape [S, n].
        seeds: numbers of the trajectories [S], for the kicks of heat; 0, 1, … if None.

    Returns:
        Positions, velocities and accelerations, each [S, T, n, D], NaN after a failure; which succeeded [S].
    """
    law = as_equation(spec.law)
    base, first = law.base or _Free(), law.first_order
    flags = (law.base is not None, law.along_distance or law.along_velocity, law.one_body, first)
    body = np.array([base.drag, base.gravity, base.graph == "chain", *map(bool, flags), law.softening])
    x, v, m, q = (np.ascontiguousarray(a, dtype=float) for a in (positions, velocities, masses, charges))
    fixed = np.stack([m, np.ones_like(m) if first else m, q], axis=1)
    v = np.zeros_like(v) if first else v
    magnitude, params = compiled_magnitude(type(base).magnitude), np.array(law.params)
    system = (params, magnitude, body, law.compiled_pair, law.compiled_alone)
    if not spec.diffusion:
        return adaptive(x, v, fixed, *system, spec.frames, spec.frame_spacing, spec.rtol, spec.atol)
    steps = KICKS * spec.stride
    size = math.sqrt(2 * spec.diffusion * spec.frame_spacing / steps)
    numbers: Sequence[int] = range(len(x)) if seeds is None else seeds.tolist()
    drawn = [np.random.default_rng([spec.seed, k, 1]).integers(2**32, dtype=np.uint32) for k in numbers]
    return kicked(x, v, fixed, *system, spec.frames, spec.frame_spacing, steps, size, np.array(drawn))


@dataclass(frozen=True)
class _Free(ForceLaw):
    """No force."""

    @staticmethod
    def magnitude(r, m1, m2, q1, q2, params):
        return 0.0


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
