"""The potential of a law's pair forces, and the energy that motion under the law keeps.

Shapes: S trajectories, T frames, n particles, D space dims, P interacting pairs.
"""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import sympy
from scipy.interpolate import CubicSpline

from gnn_distill.arrays import Array
from gnn_distill.distil.expressions.evaluate import at
from gnn_distill.distil.expressions.parse import R
from gnn_distill.distil.law.closed_form import Law
from gnn_distill.physics.energy import Pairs
from gnn_distill.physics.laws import SOFTENING
from gnn_distill.physics.variables import AXES, DELTAS, PROPERTIES, VELOCITIES, Columns, further, sided

D = sympy.Symbol("d")
"""The plain distance of a pair."""
MASS = sympy.Symbol("m1")
SECONDS = 2.0
"""Of CPU time that sympy may look for one antiderivative, so that a hard one costs no more."""
DEPTH = sympy.Symbol("depth")
"""How far a pair is inside of the distance at which its force begins."""
ELEMENTARY = (sympy.exp, sympy.log, sympy.Abs, sympy.sin, sympy.cos, sympy.tanh)
GRID = 4096
ROUNDING = 1e-12
EDGE = 1e-3
COMBINATIONS = 2000
"""Most different pairs of particles for which a potential is tabulated."""


@dataclass(frozen=True)
class Pull:
    """A central, reciprocal pair force.

    Attributes:
        force: on the receiver, along Δ/d.
        distance: the symbol that it reads as the distance, d or r.
        weight: by which accelerations were multiplied: the receiver's mass, or 1 where masses are no masses.
    """

    force: sympy.Expr
    distance: sympy.Symbol
    weight: sympy.Expr


def potential(law: Law, farthest: float | None = None, softening: float = SOFTENING) -> sympy.Expr | None:
    """V of the distance d (or r) with −dV/dd the pair force, in closed form.

    It is zero at infinity where it is finite there, else at the distance `farthest`, such as the largest
    one of the data. Where the law is reciprocal only without the receiver's mass, V is per unit of mass.

    ```python
    law = Law.along(parse("-m2/d**2"), dim=2)
    print(potential(law))  # -m1*m2/d
    ```

    Returns:
        None where pair forces are not central, read more than distance and properties, or break Newton's
        third law, for a law of first order, and where no elementary V is found in `SECONDS`.
    """
    pull = pull_of(law, softening)
    if pull is None or pull.force == 0:
        return None
    found: sympy.Expr | None = None
    with contextlib.suppress(Exception, OutOfTime), at_most(SECONDS):  # sympy fails in many ways
        found = _antiderivative(-pull.force, pull.distance, farthest)
    right = found is not None and _alike(-sympy.diff(found, pull.distance), pull.force)
    return found if right else None


def pull_of(law: Law, softening: float = SOFTENING) -> Pull | None:
    """The pair force of a law of second order if it is central and reciprocal, else None."""
    radial = radial_of(law) if law.order == 2 else None
    if radial is None:
        return None
    names = {str(s) for s in radial.free_symbols}
    if names - {"d", "r", *PROPERTIES, *further(sorted(names))}:
        return None
    plain = radial.xreplace({R: D + softening}).replace(  # an ε that only takes back the softening is none
        lambda part: part.is_Add and (part - D).is_number and bool(abs(part - D) < softening / 100),
        lambda part: D,
    )
    shorter = radial.has(D) or not radial.has(R) or plain.count_ops() < radial.count_ops()
    force, distance = (plain, D) if shorter else (radial, R)
    for weight in (MASS, sympy.S.One):
        if _symmetric(weight * force):
            return Pull(weight * force, distance, weight)
    return None


def radial_of(law: Law) -> sympy.Expr | None:
    """The factor f if all components are f·Δ/d."""
    if law.radial is not None:
        return law.radial
    deltas = sympy.symbols(DELTAS[: len(law.components)])
    parts = [f / delta for f, delta in zip(law.components, deltas, strict=True)]
    if any(part.has(*deltas) for part in parts):
        parts = [sympy.expand_mul(part) for part in parts]
    alike = all(sympy.expand_mul(part - parts[0]) == 0 for part in parts)
    return parts[0] * D if alike and not parts[0].has(*deltas) else None


def _points(names: list[str], count: int = 8) -> dict[str, Array]:
    """Positive numbers for some names, always the same."""
    drawn = np.random.default_rng(0).uniform(0.5, 1.5, (len(names), count))
    return dict(zip(names, drawn, strict=True))


def _alike(one: sympy.Expr, other: sympy.Expr) -> bool:
    """Whether two expressions have the same values."""
    columns = _points(sorted({str(s) for s in one.free_symbols | other.free_symbols}))
    values, others = at(one, columns, 8), at(other, columns, 8)
    known = np.isfinite(values) & np.isfinite(others)
    return bool(known.any() and np.allclose(values[known], others[known], rtol=1e-7))


def _symmetric(f: sympy.Expr) -> bool:
    """Whether nothing changes as the two particles change places."""
    names = {str(s) for s in f.free_symbols} - {"d", "r"}
    swap = {sympy.Symbol(n): sympy.Symbol(n[:-1] + ("2" if n.endswith("1") else "1")) for n in names}
    return _alike(f, f.xreplace(swap))


class OutOfTime(BaseException):
    """The time is up. Not an `Exception`, since sympy catches these and goes on."""


@contextlib.contextmanager
def at_most(seconds: float) -> Iterator[None]:
    """Break off with `OutOfTime` after so many seconds of CPU time.

    At once outside of the main thread, which alone can be broken off.
    """
    if threading.current_thread() is not threading.main_thread() or not hasattr(signal, "SIGVTALRM"):
        raise OutOfTime

    def late(*_: Any) -> None:
        raise OutOfTime

    before = signal.signal(signal.SIGVTALRM, late)
    signal.setitimer(signal.ITIMER_VIRTUAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0.0)
        signal.signal(signal.SIGVTALRM, before)


def _antiderivative(f: sympy.Expr, of: sympy.Symbol, zero: float | None) -> sympy.Expr | None:
    """∫ f, zero at infinity or at `zero`; None where sympy finds none that is elementary.

    Constants are positive symbols meanwhile, with which sympy is at home; inverse ones share a symbol.
    """
    if ramps := f.atoms(sympy.Max):
        return _within(f, of, *ramps)
    exact = f.replace(lambda e: e.is_Pow and e.exp.is_Float, lambda e: e.base ** sympy.Rational(str(e.exp)))
    symbols = {s: sympy.Symbol(f"_{s}", real=True, positive=s.name[0] != "q") for s in f.free_symbols | {of}}
    numbers: dict[sympy.Symbol, sympy.Float] = {}
    known: dict[float, sympy.Expr] = {}
    for number in sorted(exact.atoms(sympy.Float)):
        size = abs(float(number))
        near = next((k for k in known if abs(size / k - 1) < ROUNDING), None)
        if near is None:
            symbol = sympy.Symbol(f"_{len(numbers)}", positive=True)
            numbers[symbol], near = sympy.Float(size), size
            known |= {1 / size: 1 / symbol, size: symbol}
        symbols[number] = known[near] if number > 0 else -known[near]
    x = symbols[of]
    found = sympy.integrate(exact.xreplace(symbols), x)
    if found.has(sympy.Integral, sympy.Piecewise) or any(
        not isinstance(part, ELEMENTARY) for part in found.atoms(sympy.Function)
    ):
        return None
    with contextlib.suppress(NotImplementedError):
        end = sympy.limit(found, x, sympy.oo)
        if end.is_finite is not False and not end.has(sympy.AccumBounds, sympy.Limit, sympy.oo, sympy.nan):
            found, zero = found - end, None
    found = found.xreplace({stand: s for s, stand in symbols.items() if s.is_Symbol} | numbers)
    found = found.xreplace({q: sympy.Float(q) for q in found.atoms(sympy.Rational) if q.q > 12})
    if zero is not None:
        found -= found.xreplace({of: sympy.Float(zero)})
    return min((sympy.expand_mul(found), sympy.factor_terms(found), found), key=lambda e: e.count_ops())


def _within(f: sympy.Expr, of: sympy.Symbol, ramp: sympy.Max, *more: sympy.Max) -> sympy.Expr | None:
    """∫ f of a force that reads the distance through max(0, a + b d) alone, zero where this is 0."""
    inside = sympy.Add(*ramp.args)
    slope, g = inside.diff(of), f.xreplace({ramp: DEPTH})
    if more or sympy.S.Zero not in ramp.args or g.has(of) or not slope.is_number:
        return None
    end = -inside.xreplace({of: sympy.S.Zero}) / slope
    known = _points(sorted({str(s) for s in g.free_symbols}))
    still, half = (at(g, known | {str(DEPTH): np.full(8, float(end) * s)}, 8) for s in (0.0, 0.5))
    if not np.abs(still).max() <= 1e3 * ROUNDING * np.abs(half).max():  # it goes on beyond
        return None
    found = []
    for factor, letter, zero, back in (
        (1 / slope, DEPTH, sympy.S.Zero, ramp),
        (sympy.S.One, of, end, end + ramp / slope),  # the distance itself, but no larger than that
    ):
        read = g if letter == DEPTH else g.xreplace({DEPTH: inside})
        whole = _antiderivative(factor * read, letter, None)
        if whole is not None:
            found.append((whole - whole.xreplace({letter: zero})).xreplace({letter: back}))
    return min(found, key=lambda e: e.count_ops(), default=None)


@dataclass(frozen=True)
class Conserved:
    """The energy Σ μ v²/2 + Σ U + Σ V over pairs that motion under a law keeps.

    Attributes:
        pull: the pair force; its weight is μ.
        field: U of one particle, such as that of a trap.
        columns: of the features of the particles.
    """

    pull: Pull
    field: sympy.Expr
    columns: Columns

    @classmethod
    def of(cls, law: Law, columns: Columns) -> Conserved | None:
        """None where energy is lost or gained, as with drag, or where none is known."""
        pull = pull_of(law, columns.softening)
        field = None if pull is None else _field(law, pull.weight)
        if pull is None or field is None or (columns.box and field != 0):
            return None
        held = {sided(name, side) for name in columns.further for side in (1, 2)}
        names = {str(s) for s in pull.force.free_symbols | field.free_symbols}
        if names - held - {"d", "r", *PROPERTIES, *AXES}:  # strengths and kinds that no column holds
            return None
        return cls(pull, field, columns)

    def drift(self, features: Array, pairs: Pairs) -> Array:
        """Change of the energy since the first frame, shape [S, T].

        Args:
            features: of the particles, shape [S, T, n, F], in which only positions and velocities change.
            pairs: both ends of the pairs that interact, each pair once, shape [P].
        """
        own = self.columns.own(features.reshape(-1, features.shape[-1]))
        field = at(self.field, own, features[..., 0].size).reshape(features.shape[:-1])
        energy = self.kinetic(features) + field.sum(axis=-1) + self._pairs(features, pairs)
        return np.asarray(np.abs(energy - energy[:, :1]))

    def kinetic(self, features: Array) -> Array:
        """Σ μ v²/2, shape [S, T]."""
        mass = features[..., self.columns.mass] if self.pull.weight == MASS else 1.0
        speed = (features[..., self.columns.velocity] ** 2).sum(axis=-1)
        return np.asarray((mass * speed / 2).sum(axis=-1))

    def _pairs(self, features: Array, pairs: Pairs) -> Array:
        """Σ V over pairs up to a constant, by quadrature of the force, shape [S, T]."""
        one, two = (features[:, :, side] for side in pairs)
        distance = np.linalg.norm(self.columns.separation(one, two), axis=-1)
        distance += self.columns.softening if self.pull.distance == R else 0.0
        known = self.columns.properties(one[:, 0], 1) | self.columns.properties(two[:, 0], 2)
        known = {name: values.reshape(-1) for name, values in known.items()}
        factor, shape = self.pull.force.as_independent(self.pull.distance, as_Add=False)
        names = sorted(str(s) for s in shape.free_symbols - {self.pull.distance})
        rows = np.stack([np.zeros(distance[:, 0].size), *(known[name] for name in names)], axis=1)
        kinds, which = np.unique(rows, axis=0, return_inverse=True)
        if len(kinds) > COMBINATIONS:
            return np.full(distance.shape[:2], np.nan)
        courses = distance.swapaxes(1, 2).reshape(len(rows), -1)
        found = np.empty_like(courses)
        for k, kind in enumerate(kinds):
            here = which.reshape(-1) == k
            found[here] = _table(
                shape, self.pull.distance, dict(zip(names, kind[1:], strict=True)), courses[here]
            )
        found *= at(factor, known, len(rows))[:, None]
        return np.asarray(found.reshape(len(features), -1, features.shape[1]).sum(axis=1))


def _table(force: sympy.Expr, of: sympy.Symbol, fixed: Mapping[str, float], distances: Array) -> Array:
    """−∫ force at some distances, up to a constant."""
    low, high = np.log(np.nanmin(distances)), np.log(np.nanmax(distances))
    grid = np.linspace(low - EDGE, high + EDGE, GRID)
    columns = {name: np.full(GRID, value) for name, value in fixed.items()} | {str(of): np.exp(grid)}
    slope = at(force, columns, GRID) * columns[str(of)]
    if not np.isfinite(slope).all():
        return np.full_like(distances, np.nan)
    return np.asarray(-CubicSpline(grid, slope).antiderivative()(np.log(distances)))


def _field(law: Law, weight: sympy.Expr) -> sympy.Expr | None:
    """U of which the one-body part is the slope; what does no work, like a magnetic field, adds nothing.

    None where there is no such U: the power v·h must be v times a field of the position, free of curl.
    """
    x, v = (sympy.symbols(names[: len(law.components)]) for names in (AXES, VELOCITIES))
    with contextlib.suppress(Exception, OutOfTime), at_most(SECONDS):
        power = sympy.Poly(
            sum((weight * h * s for h, s in zip(law.one_body, v, strict=False)), sympy.S(0)), *v
        )
        pulls = [power.coeff_monomial(s) for s in v]
        if any(sum(degrees) != 1 for degrees in power.monoms() if not power.is_zero):
            return None
        field = sympy.S(0)
        for pull, s in zip(pulls, x, strict=True):
            for term in sympy.Add.make_args(sympy.expand_mul(pull + sympy.diff(field, s))):
                ramps = term.atoms(sympy.Max)
                whole = _within(term, s, *ramps) if term.has(s) and ramps else sympy.integrate(term, s)
                if whole is None or whole.has(sympy.Integral):
                    return None
                field -= whole
        slopes = [-sympy.diff(field, s) for s in x]
        if all(_alike(*both) for both in zip(slopes, pulls, strict=True)):
            return field
    return None
