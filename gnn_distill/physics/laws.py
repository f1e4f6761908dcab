"""Force laws between two particles: potential, force magnitude, parameters.

Everywhere in this package Δ = x_receiver − x_sender, d = |Δ|, and the law sees the softened
distance r = d + ε with ε = `SOFTENING`. Index 1 is the receiver, 2 the sender. Units are those of
the simulation (dimensionless).

A law is a frozen dataclass whose fields are its physical parameters. Its two static functions take
`(r, m1, m2, q1, q2, params)` and use arithmetic and `np` functions only, so that the same lines are
compiled by numba for the integrator, evaluated on arrays for the analysis, and differentiated in
the tests.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import ClassVar, Literal

import numpy as np

from gnn_distill.arrays import Array
from gnn_distill.errors import InputError, check_range
from gnn_distill.physics.variables import SOFTENING

ONE_BODY = ("drag", "gravity")  # parameters that no pair force depends on; a law lists them last


@dataclass(frozen=True)
class ForceLaw:
    """A central force between pairs of particles.

    Subclasses give `potential` and `magnitude`; the force on the receiver is magnitude · Δ/d with
    magnitude = −dV/dr, attractive where negative. Fields become `params`, in their order.
    """

    name: ClassVar[str]
    title: ClassVar[str]
    """What a physicist calls it."""
    formula: ClassVar[str]
    """The magnitude of the pair force as a reader would write it, for reports."""
    time_step: ClassVar[float]
    """Default spacing dt of simulated frames (every 5th is kept), the value of Cranmer et al. 2020."""
    charges: ClassVar[Literal["sign", "normal"]] = "normal"
    """Initial charges: ±1, or N(0, 1) where the law ignores them."""
    graph: ClassVar[Literal["complete", "chain"]] = "complete"
    """Who interacts: every pair, or neighbours along a chain."""
    # not annotated: a field of a subclass must take its place in the order of `params`
    drag = 0.0
    """c of a linear drag −c·v on each particle."""
    gravity = 0.0
    """g of a constant acceleration −g along the second axis of each particle."""

    potential: ClassVar[Callable[..., Array]]
    magnitude: ClassVar[Callable[..., Array]]

    @property
    def params(self) -> tuple[float, ...]:
        """The law's parameters, in the order in which `potential` and `magnitude` index them."""
        return tuple(float(getattr(self, f.name)) for f in fields(self))

    @property
    def described(self) -> str:
        """The formula with the values of its parameters: `-2 (r - r0) with rest_length = 1`."""
        values = [f"{f.name} = {value:g}" for f, value in zip(fields(self), self.params, strict=True)]
        return self.formula + (f" with {', '.join(values)}" if values else "")

    @classmethod
    def source(cls) -> str:
        """Source text of the modules that define the law: what it computes may change with any of them."""
        lineage = [c for c in cls.__mro__ if issubclass(c, ForceLaw)]
        texts = []
        for name in sorted({c.__module__ for c in lineage}):
            try:
                texts.append(inspect.getsource(sys.modules[name]))
            except (OSError, TypeError):  # typed at a prompt: the byte code stands in for the text
                texts += [_compiled(c) for c in lineage if c.__module__ == name]
        return "\n".join(texts)

    @property
    def has_one_body_term(self) -> bool:
        """Whether particles are accelerated by more than pair forces."""
        return self.drag != 0.0 or self.gravity != 0.0

    def one_body_acceleration(self, velocity: Array, mass: Array) -> Array:
        """Drag and gravity: −c v / m − g along the second axis, from v [..., D] and m [...]."""
        down = np.zeros(velocity.shape[-1])
        down[1] = self.gravity
        return -self.drag * velocity / mass[..., None] - down

    def pair_force(self, delta: Array, m1: Array, m2: Array, q1: Array, q2: Array) -> Array:
        """Exact force on the receiver of each edge.

        Args:
            delta: Δ, shape [..., D].
            m1: masses of the receivers, shape [...].
            m2: masses of the senders.
            q1: charges of the receivers.
            q2: charges of the senders.

        Returns:
            Forces, shape [..., D]; zero where Δ = 0, where the direction is undefined.
        """
        d = np.linalg.norm(delta, axis=-1)
        size = self.magnitude(d + SOFTENING, m1, m2, q1, q2, self.params)
        return np.where(d > 0, size / np.where(d > 0, d, 1.0), 0.0)[..., None] * delta


@dataclass(frozen=True)
class Spring(ForceLaw):
    """Hooke's law with a rest length: V = (r − r0)², F = −2 (r − r0) Δ/d.

    ```yaml
    law: {_target_: gnn_distill.physics.laws.Spring, rest_length: 1.0}
    ```
    """

    rest_length: float = 1.0

    name = "spring"
    title = "Hooke's law"
    formula = "-2 (r - r0)"
    time_step = 1e-2

    def __post_init__(self) -> None:
        check_range("dataset.law.rest_length", self.rest_length, 0.0)

    @staticmethod
    def potential(r, m1, m2, q1, q2, params):
        """V(r) = (r − r0)²."""
        return (r - params[0]) ** 2

    @staticmethod
    def magnitude(r, m1, m2, q1, q2, params):
        """−dV/dr = −2 (r − r0)."""
        return -2.0 * (r - params[0])


@dataclass(frozen=True)
class InverseDistance(ForceLaw):
    """Gravity in two dimensions: V = m1 m2 ln r, F = −m1 m2 / r · Δ/d.

    ```yaml
    law: {_target_: gnn_distill.physics.laws.InverseDistance}
    ```
    """

    name = "r1"
    title = "gravity in two dimensions"
    formula = "-m1 m2 / r"
    time_step = 5e-3

    @staticmethod
    def potential(r, m1, m2, q1, q2, params):
        """V(r) = m1 m2 ln r."""
        return m1 * m2 * np.log(r)

    @staticmethod
    def magnitude(r, m1, m2, q1, q2, params):
        """−dV/dr = −m1 m2 / r."""
        return -m1 * m2 / r


@dataclass(frozen=True)
class InverseSquare(ForceLaw):
    """Newtonian gravity: V = −m1 m2 / r, F = −m1 m2 / r² · Δ/d.

    ```yaml
    law: {_target_: gnn_distill.physics.laws.InverseSquare}
    ```
    """

    name = "r2"
    title = "Newton's law of gravity"
    formula = "-m1 m2 / r^2"
    time_step = 1e-3

    @staticmethod
    def potential(r, m1, m2, q1, q2, params):
        """V(r) = −m1 m2 / r."""
        return -m1 * m2 / r

    @staticmethod
    def magnitude(r, m1, m2, q1, q2, params):
        """−dV/dr = −m1 m2 / r²."""
        return -m1 * m2 / (r * r)


@dataclass(frozen=True)
class Coulomb(ForceLaw):
    """Electrostatics: V = q1 q2 / r, F = q1 q2 / r² · Δ/d, charges ±1.

    ```yaml
    law: {_target_: gnn_distill.physics.laws.Coulomb}
    ```
    """

    name = "charge"
    title = "Coulomb's law"
    formula = "q1 q2 / r^2"
    time_step = 1e-3
    charges = "sign"

    @staticmethod
    def potential(r, m1, m2, q1, q2, params):
        """V(r) = q1 q2 / r."""
        return q1 * q2 / r

    @staticmethod
    def magnitude(r, m1, m2, q1, q2, params):
        """−dV/dr = q1 q2 / r²."""
        return q1 * q2 / (r * r)


@dataclass(frozen=True)
class Superposition(ForceLaw):
    """Charges that also attract by mass: V = q1 q2 / r − k m1 m2 / r, charges ±1.

    ```yaml
    law: {_target_: gnn_distill.physics.laws.Superposition, mass_coupling: 1.0}
    ```
    """

    mass_coupling: float = 1.0

    name = "superposition"
    title = "electrostatics and gravity in superposition"
    formula = "(q1 q2 - k m1 m2) / r^2"
    time_step = 1e-3
    charges = "sign"

    def __post_init__(self) -> None:
        check_range("dataset.law.mass_coupling", self.mass_coupling, 0.0, open_low=True)

    @staticmethod
    def potential(r, m1, m2, q1, q2, params):
        """V(r) = (q1 q2 − k m1 m2) / r."""
        return (q1 * q2 - params[0] * m1 * m2) / r

    @staticmethod
    def magnitude(r, m1, m2, q1, q2, params):
        """−dV/dr = (q1 q2 − k m1 m2) / r²."""
        return (q1 * q2 - params[0] * m1 * m2) / (r * r)


@dataclass(frozen=True)
class Damped(Spring):
    """Springs with a linear drag −c·v on each particle, the same for all.

    The 2020 paper's own drag depends on a particle's index; this one does not.

    ```yaml
    law: {_target_: gnn_distill.physics.laws.Damped, rest_length: 1.0, drag: 1.0}
    ```
    """

    drag: float = 1.0

    name = "damped"
    title = "Hooke's law with drag"
    time_step = 2e-2

    def __post_init__(self) -> None:
        super().__post_init__()
        check_range("dataset.law.drag", self.drag, 0.0)


@dataclass(frozen=True)
class String(Spring):
    """Springs between neighbours of a chain, and constant gravity −g along y on every node.

    ```yaml
    law: {_target_: gnn_distill.physics.laws.String, rest_length: 1.0, gravity: 1.0}
    ```
    """

    gravity: float = 1.0

    name = "string"
    title = "Hooke's law along a string under gravity"
    time_step = 1e-2
    graph = "chain"


@dataclass(frozen=True)
class Discontinuous(ForceLaw):
    """Springs that act at a distance only: V = 0 for r < cut, else (r − 1)².

    Energy is conserved but for particles that cross the cut, where V jumps by (cut − 1)² and the force
    does not know.

    ```yaml
    law: {_target_: gnn_distill.physics.laws.Discontinuous, cut: 2.0}
    ```
    """

    cut: float = 2.0

    name = "discontinuous"
    title = "a spring beyond a distance"
    formula = "-2 (r - 1) where r >= cut, else 0"
    time_step = 1e-2

    def __post_init__(self) -> None:
        check_range("dataset.law.cut", self.cut, 0.0)

    @staticmethod
    def potential(r, m1, m2, q1, q2, params):
        """V(r) = (r − 1)² from the cut on."""
        return (r >= params[0]) * (r - 1.0) ** 2

    @staticmethod
    def magnitude(r, m1, m2, q1, q2, params):
        """−dV/dr away from the cut."""
        return (r >= params[0]) * -2.0 * (r - 1.0)


def check_law(law: object) -> None:
    """Raise `InputError` unless `law` is a `ForceLaw`."""
    if not isinstance(law, ForceLaw):
        fix = "give a _target_ that is a gnn_distill.physics.laws.ForceLaw"
        raise InputError("dataset.law", law, fix)


def check_opposite(law: ForceLaw) -> None:
    """Raise `InputError` unless both forces of a pair are opposite, as those of a potential are."""
    r, one, two = np.array([0.5, 1.0, 2.0, 0.5, 1.0, 2.0]), np.full(6, 0.7), np.full(6, 1.9)
    charges = np.repeat([-1.3, 1.3], 3)
    with np.errstate(all="ignore"):
        there = law.magnitude(r, one, two, 0.6 * np.ones(6), charges, law.params)
        back = law.magnitude(r, two, one, charges, 0.6 * np.ones(6), law.params)
    if not np.allclose(there, back, rtol=1e-9, atol=0.0, equal_nan=True):
        fix = (
            "its magnitude changes if the two particles are exchanged, and stands for both forces: write "
            "such a law down as dataset.along_distance, see docs/custom_law.md"
        )
        raise InputError("dataset.law", type(law).__name__, fix)


def _compiled(kind: type) -> str:
    """What the functions and settings of a class do, as far as its byte code tells."""
    found = [f"{kind.__qualname__} {[f.name for f in fields(kind)]}"]
    for name, value in sorted(vars(kind).items()):
        code = getattr(getattr(value, "__func__", value), "__code__", None)
        if code is not None:
            constants = [c for c in code.co_consts if not hasattr(c, "co_code")]
            found.append(f"{name} {code.co_code.hex()} {constants} {code.co_names}")
        elif isinstance(value, int | float | str):
            found.append(f"{name} {value!r}")
    return "\n".join(found)
