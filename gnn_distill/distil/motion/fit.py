"""Closed forms against labels: factors of terms by robust linear fits, the other constants around them.

Shape letters: E edges, N nodes, R rows, D space dims, P constants, C columns.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import sympy
from scipy.optimize import least_squares

from gnn_distill.arrays import Array
from gnn_distill.distil.expressions.evaluate import NUMPY, Function, compiled, directed
from gnn_distill.distil.expressions.parse import MAX_EXPONENT
from gnn_distill.distil.expressions.refine import template
from gnn_distill.distil.motion.samples import Motion
from gnn_distill.physics.variables import MOVING, RELATIVE, VELOCITIES

ROUNDS, REWEIGHTED, STEPS = 2, 8, 15
SETTLED = 1e-5
"""Relative change of factors at which they are not weighted anew."""
MOST_STEPS, HALVINGS, AT_REST = 10, 6, 1e-4
"""At most so many steps of Newton's on a fit, each tried in so many sizes, and the relative change of numbers
that ends them."""
LARGEST = 300.0
"""Exponent of e in a law, at most."""
EMPTY = 1e-150
"""Norm below which a column holds nothing, whatever its unit."""
BAD = 1e6
"""In the place of what is not finite, in typical labels."""
FAR = 1e12
"""Of a residual, in typical labels; its differences are finite, too."""
WIDER, HELD = (0.5, 1.0, 2.0), 5000
"""Factors on distances at which a law must be finite, and about how many pairs are looked at."""
CANCELLED = 30.0
"""How many times their sum the terms of a pair law may be at all distances; those of a stiff bond are at rest
only."""
TUNING = 1.5
"""Residuals beyond so many medians count linearly."""


@dataclass(frozen=True)
class Term:
    """One summand of a law, up to its factor.

    Attributes:
        forms: of a pair one expression; of a single particle one for each axis.
        along: `u`, `w` or `t` (see `Motion.directions`), `u:NAME` for the pairs of a group alone; None for
            what acts on a single particle.
    """

    forms: tuple[sympy.Expr, ...]
    along: str | None
    functions: tuple[Function, ...] = field(init=False, compare=False, repr=False)

    def __post_init__(self) -> None:
        backend = directed(NUMPY, np.where) if self.along is None else NUMPY
        object.__setattr__(self, "functions", tuple(compiled(f, backend) for f in self.forms))

    @property
    def moving(self) -> bool:
        """Whether it reads velocities."""
        names = {str(s) for f in self.forms for s in f.free_symbols}
        return str(self.along)[:1] == "w" or not names.isdisjoint((*VELOCITIES, *RELATIVE, *MOVING))

    def column(self, motion: Motion, constants: Mapping[str, float]) -> Array:
        """What the term gives with a factor of one, shape [R, D]."""
        with np.errstate(all="ignore"):
            if self.along is None:
                named, count = {**motion.alone, **constants}, len(motion.nodes)
                parts = [np.broadcast_to(f(named), (count,)) for f in self.functions]
                return motion.averaged(np.stack(parts, axis=1).astype(np.float64))
            return motion.pairs(self.each(motion, constants))

    def each(self, motion: Motion, constants: Mapping[str, float]) -> Array:
        """What each pair adds with a factor of one, shape [E, D], of a term of pairs."""
        key = str(self.along)
        some = motion.some(key)
        named = {"d": motion.named["d"][some]}
        named |= {
            n: v[some] for s in self.forms[0].free_symbols if (v := motion.named.get(n := str(s))) is not None
        }
        with np.errstate(all="ignore"):
            values = np.where(named["d"] > 0, self.functions[0]({**named, **constants}), 0.0)
            same = motion.strengths is None and motion.factors is None
            weight = 1.0 if same else motion.strength[:, None]
            return np.asarray(motion.vectors(values, key) * weight)


@dataclass(frozen=True)
class Form:
    """A sum of terms whose factors are free, and further constants.

    Attributes:
        name: what it is called; empty if nothing.
        terms: the summands.
        symbols: of the constants that are no factors, [P].
        start: their values, shape [P].
        size: complexity of the expression.
        place: in the list of known laws, where special ones stand before general ones.
        settled: further numbers that data have chosen, as exponents that were made whole.
    """

    name: str
    terms: tuple[Term, ...]
    symbols: tuple[str, ...] = ()
    start: tuple[float, ...] = ()
    size: int = 0
    place: int = 0
    settled: int = 0

    @classmethod
    def of(cls, expression: sympy.Expr, along: str, name: str = "", size: int = 0) -> Form:
        """The form of a pair's expression: each summand has a factor, other numbers are constants."""
        parts = template(expression)
        values = dict(zip(parts.symbols, parts.start, strict=True))
        terms, factors = [], set()
        for summand in sympy.Add.make_args(parts.form):
            own = {f for f in sympy.Mul.make_args(summand) if f in values}
            rest = summand / sympy.Mul(*own)
            if rest.free_symbols & own:  # it stands inside as well
                rest = summand
            else:
                factors |= own
            terms.append(Term((rest,), along))
        used = {s for t in terms for s in t.forms[0].free_symbols}
        kept = [s for s in parts.symbols if s in used]
        return cls(name, tuple(terms), tuple(map(str, kept)), tuple(float(values[s]) for s in kept), size)

    @property
    def cost(self) -> int:
        """Numbers that are fitted."""
        return len(self.terms) + len(self.symbols)

    def columns(self, motion: Motion, constants: Sequence[float] | Array) -> Array:
        """The terms side by side, shape [R D, C]."""
        values = dict(zip(self.symbols, constants, strict=True))
        if not self.terms:
            return np.zeros((motion.labels.size, 0))
        return np.stack([t.column(motion, values).ravel() for t in self.terms], axis=1)


NOTHING = Form("nothing", ())


def together(*forms: Form) -> Form:
    """Several forms as one, their constants told apart by number."""
    terms: list[Term] = []
    symbols: list[str] = []
    for k, form in enumerate(forms):
        new = {sympy.Symbol(s): sympy.Symbol(f"{s}_{k}") for s in form.symbols}
        terms += [Term(tuple(f.xreplace(new) for f in t.forms), t.along) for t in form.terms]
        symbols += map(str, new.values())
    start, name = tuple(v for f in forms for v in f.start), " + ".join(f.name for f in forms)
    size, settled = sum(f.size for f in forms), sum(f.settled for f in forms)
    return Form(name, tuple(terms), tuple(symbols), start, size, settled=settled)


@dataclass(frozen=True)
class Fit:
    """A form with its numbers.

    Attributes:
        form: what was fitted.
        constants: of the form, shape [P].
        factors: of its terms, shape [C].
        extra: factors of the further columns.
    """

    form: Form
    constants: Array
    factors: Array
    extra: Array

    @property
    def numbers(self) -> int:
        """How many were fitted, or chosen by the data."""
        return self.form.cost + self.form.settled + len(self.extra)

    def function(self, key: str) -> sympy.Expr:
        """What the terms of one direction, or of a group's, come to; of r."""
        put = {
            sympy.Symbol(s): sympy.Float(float(c))
            for s, c in zip(self.form.symbols, self.constants, strict=True)
        }
        terms = zip(self.form.terms, self.factors, strict=True)
        parts = (float(factor) * t.forms[0].xreplace(put) for t, factor in terms if t.along == key)
        return sum(parts, sympy.S.Zero)

    def predicted(self, motion: Motion, extra: Array | None = None) -> Array:
        """Values [R, D] of the form, and of further columns [R D, X]."""
        values = self.form.columns(motion, self.constants) @ self.factors
        if extra is not None:
            values = values + extra @ self.extra
        return np.nan_to_num(values.reshape(motion.labels.shape), nan=np.inf, posinf=np.inf, neginf=-np.inf)


def fit(motion: Motion, form: Form, extra: Array | None = None, start: Sequence[float] | None = None) -> Fit:
    """The robust fit of a form to labels.

    Factors enter linearly, so for each choice of the other constants they follow (variable projection, Golub
    and Pereyra 1973). Residuals count quadratically up to `TUNING` medians and linearly beyond,
    those of a digest quadratically.

    Args:
        motion: the labels.
        form: to be fitted.
        extra: further columns [R D, X] with factors of their own.
        start: constants to start from; the form's own if None.
    """
    y = motion.labels.ravel()
    trust = np.repeat(motion.trust[:, 0], motion.labels.shape[1])
    values = np.array(form.start if start is None else start, dtype=np.float64)
    size = typical(y)
    more = np.zeros((len(y), 0)) if extra is None else extra

    def design(constants: Array) -> Array:
        a = np.concatenate([form.columns(motion, constants), more], axis=1)
        return np.nan_to_num(a, nan=BAD * size, posinf=BAD * size, neginf=-BAD * size)

    a = design(values)
    factors, weight = _reweighted(a, y, trust, not motion.count)
    low, high = bounds(form)
    for _ in range(ROUNDS if len(values) else 0):
        root = np.sqrt(weight)

        def residual(constants: Array, root: Array = root) -> Array:
            a = design(constants)
            off = root * (y - a @ _linear(a, y, root)) / size  # the solver stops at absolute sizes
            return np.clip(np.nan_to_num(off, nan=FAR), -FAR, FAR)

        inside = np.clip(values, low, high)
        found = least_squares(residual, inside, bounds=(low, high), x_scale="jac", max_nfev=STEPS, ftol=1e-9)
        values = found.x
        a = design(values)
        factors, weight = _reweighted(a, y, trust, not motion.count)
    count = len(form.terms)
    return Fit(form, values, factors[:count], factors[count:])


def settled(motion: Motion, form: Form, start: Sequence[float] | None = None) -> Fit:
    """`fit`, and from its end Newton's steps on the robust loss, until it rests.

    In much noise a few rounds of weights end some per cent from there.

    Args:
        motion: the labels; of a digest, whose fit is quadratic, no step is made.
        form: to be fitted.
        start: as of `fit`.
    """
    found = fit(motion, form, start=start)
    y, count, (low, high) = motion.labels.ravel(), len(found.constants), bounds(form)
    trust = np.repeat(motion.trust[:, 0], motion.labels.shape[1])
    for _ in range(0 if motion.count else MOST_STEPS):
        a, off = slopes(found, motion), y - found.predicted(motion).ravel()
        if not np.isfinite(off).all() or not np.isfinite(a).all():
            break
        unit = TUNING * typical(off)
        root = counting(off)
        norm = np.maximum(np.sqrt((a**2 * (trust * root**3)[:, None]).sum(0)), EMPTY)
        a /= norm
        square = a.T @ (a * (trust * root**3)[:, None]) + 1e-12 * np.eye(len(norm))
        move = np.linalg.solve(square, a.T @ (trust * root * off)) / norm
        numbers = np.concatenate([found.constants, found.factors])
        for part in 0.5 ** np.arange(HALVINGS):
            values = numbers + part * move
            values[:count] = np.clip(values[:count], low, high)
            after = Fit(form, values[:count], values[count:], found.extra)
            errors = off, y - after.predicted(motion).ravel()
            losses = [(trust * np.hypot(1.0, e / unit)).sum() for e in errors]
            if losses[1] < losses[0]:
                found = after
                break
        if found is not after or (np.abs(values - numbers) <= AT_REST * np.abs(values)).all():
            break
    return found


def slopes(found: Fit, motion: Motion) -> Array:
    """How predictions change with each constant and each factor, shape [R D, P + C]."""
    values = found.constants

    def predicted(constants: Array) -> Array:
        return found.form.columns(motion, constants) @ found.factors

    base, steps = predicted(values), np.diag(1e-6 * np.maximum(np.abs(values), 1e-6))
    moved = [(predicted(values + step) - base) / step.sum() for step in steps]
    by_constant = np.array(moved).reshape(len(values), len(base)).T
    return np.concatenate([by_constant, found.form.columns(motion, values)], axis=1)


def counting(error: Array) -> Array:
    """The share of each residual that counts, see `fit`."""
    return np.asarray(1.0 / np.sqrt(1.0 + (error / (TUNING * typical(error))) ** 2))


def holds(found: Fit, motion: Motion) -> bool:
    """Whether a pair law is finite on pairs nearer and farther than those of the data, too.

    A root or a logarithm may have no value where no fit has looked. An exponential of large numbers, as of a
    step that is taken for a steep slope, has no value that can be written down. The difference of two terms
    that are nearly equal is their derivative by a constant, and no law either.
    """
    constants = dict(zip(found.form.symbols, found.constants, strict=True))
    apart, terms = motion.named["d"] > 0, list(zip(found.form.terms, found.factors, strict=True))
    whole: dict[str, dict[float, list[Array]]] = {}
    with np.errstate(all="ignore"):
        for factor, (term, part) in itertools.product(WIDER, terms):
            if term.along is not None:
                here = np.arange(len(apart))[motion.some(term.along)]
                here = here[apart[here]]
                some = {n: v[here[:: max(1, len(here) // HELD)]] for n, v in motion.named.items()}
                stretched = {n: factor * v if n in ("d", "r") else v for n, v in some.items()}
                values = np.broadcast_to(term.functions[0]({**stretched, **constants}), some["d"].shape)
                if not np.isfinite(values).all():
                    return False
                powers = (p.args[0] for p in term.forms[0].atoms(sympy.exp))
                if any(np.max(compiled(p)({**some, **constants}), initial=0.0) > LARGEST for p in powers):
                    return False
                whole.setdefault(term.along, {}).setdefault(factor, []).append(part * values)
    return not any(_cancelled(list(told.values())) for told in whole.values())


def _cancelled(told: list[list[Array]]) -> bool:
    """Whether terms [E] are many times their sum, at each factor on distances at which there are any."""
    sizes = [(float(np.abs(values).sum()), float(np.abs(np.sum(values, axis=0)).sum())) for values in told]
    acting = [(terms, total) for terms, total in sizes if terms > 0]
    return bool(acting) and all(terms > CANCELLED * total for terms, total in acting)


def bounds(form: Form) -> tuple[Array, Array]:
    """Exponents stay readable; constants of pairs keep their sign, for a length does; places are free."""
    places = {str(s) for t in form.terms if t.along is None for f in t.forms for s in f.free_symbols}
    powers = {
        str(s)
        for t in form.terms
        for f in t.forms
        for p in f.atoms(sympy.Pow)
        for s in p.exp.free_symbols
        if p.exp.is_Symbol or (-p.exp).is_Symbol
    }
    low, high = [], []
    for symbol, value in zip(form.symbols, form.start, strict=True):
        power = symbol in powers
        free = symbol in places
        low.append(-MAX_EXPONENT if power else 0.0 if value > 0 and not free else -np.inf)
        high.append(MAX_EXPONENT if power else 0.0 if value < 0 and not free else np.inf)
    return np.array(low), np.array(high)


def _linear(a: Array, y: Array, root: Array) -> Array:
    """Weighted least squares of y on columns a [R D, C]; those that are alike share, empty ones get 0."""
    weighted = a * root[:, None]
    size = np.sqrt(np.einsum("rc,rc->c", weighted, weighted))
    size[size < EMPTY] = np.inf
    weighted /= size
    found = np.linalg.lstsq(weighted.T @ weighted, weighted.T @ (y * root), rcond=1e-13)[0]
    return np.asarray(found / size)


def _reweighted(a: Array, y: Array, trust: Array, robust: bool) -> tuple[Array, Array]:
    """Factors [C] and weights [R D] of the fit of rows that are trusted so far."""
    factors, weight = np.zeros(a.shape[1]), trust
    if not robust:
        return _linear(a, y, np.sqrt(trust)), trust
    for _ in range(REWEIGHTED):
        before = factors
        factors = _linear(a, y, np.sqrt(weight))
        error = y - a @ factors
        if (np.abs(factors - before) <= SETTLED * np.abs(factors)).all():
            break
        weight = trust * counting(error)
    return factors, weight


def typical(error: Array) -> float:
    """The median size of errors; more where most of them are next to none, as beyond a contact's reach."""
    size = np.abs(error)
    return max(float(np.median(size)), 1e-3 * float(size.mean()), 1e-300)
