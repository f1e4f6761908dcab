"""The pair laws of textbooks, fitted one after another: seconds, and the law has a name.

Each form is a function of r times a product of powers of the properties. The powers come from the data,
before any form is tried; those of the best form serve all, made whole or half where that costs nothing.

Shape letters: S points, K properties, T amplitudes, P constants that do not enter linearly.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar, NamedTuple

import numpy as np
import numpy.typing as npt
import sympy
from scipy.optimize import least_squares

from gnn_distill.arrays import Array
from gnn_distill.distil.engines.engine import Memory, Progress, TrimmingEngine
from gnn_distill.distil.engines.textbook import AMPLITUDES, EXPONENTS, KNOWN, LENGTHS, Form
from gnn_distill.distil.expressions.evaluate import Function, compiled, evaluate
from gnn_distill.distil.expressions.front import CHOICE_SLACK, Front, complexity
from gnn_distill.distil.expressions.parse import R, parse, parse_all, write
from gnn_distill.distil.expressions.points import Points
from gnn_distill.distil.expressions.refine import template, writings
from gnn_distill.errors import InputError
from gnn_distill.physics.variables import DELTAS

GRID = np.geomspace(0.1, 5.0, 12)
"""First guesses of a length, in median distances."""
STARTS = 2
"""Best guesses of a form from which its fit starts."""
REACH, STEEPEST = 3.0, 18.0
"""Bounds: of log(length / median distance), and of exponents."""
FIT_POINTS, BINS, ROUNDS = 800, 20, 10
NEAR = 0.15
"""A power this near to a whole or half number is taken for it where no form is known yet."""


@dataclass(frozen=True)
class FormsEngine(TrimmingEngine):
    """Robust fits of known pair laws, times powers of the properties.

    ```yaml
    engine: {_target_: gnn_distill.distil.engines.forms.FormsEngine, more: {my law: "A*exp(-r/L)/(r + s)"}}
    ```

    Args:
        more: forms of your own by name, in r, amplitudes A B C, lengths L s R and exponents n k.
        drop_nearest: share of the points left out at the smallest r.
        drop_outliers: share of the rest left out, those furthest from the median of y.
    """

    more: Mapping[str, str] | None = None

    name: ClassVar[str] = "forms"

    def __post_init__(self) -> None:
        super().__post_init__()
        if not isinstance(self.more, Mapping | None):
            fix = 'give forms by name, such as {my law: "A*exp(-r/L)/r"}'
            raise InputError("symbolic.engine.more", self.more, fix)
        for form in self._own():
            _model(form)

    def _own(self) -> list[Form]:
        return [Form(str(name), formula) for name, formula in (self.more or {}).items()]

    def search(self, points: Points, seed: int, say: Progress, memory: Memory | None) -> Front:
        """The front of all forms, times each Δ/r where those are among the inputs."""
        if "r" not in points.names:
            raise InputError("symbolic names", list(points.names), "r must be one of them: forms are of r")
        models = [_model(form) for form in (*KNOWN, *self._own())]
        few = points.sample(FIT_POINTS, np.random.default_rng([seed, 0]))
        axes = [n for n in points.names if n in DELTAS]
        found = _fewest([e for axis in axes or (None,) for e in _along(few, models, axis)], points)
        flat = sympy.Float(float(np.median(points.y)))
        front = Front.on(points, [flat, *found])
        best = front.best
        say(f"{found.get(best.expression, 'a constant')}  (loss {best.loss:.3g})")
        return front


class _Model(NamedTuple):
    """A form ready to be fitted: what each amplitude multiplies, and the letters of its other constants."""

    name: str
    terms: tuple[sympy.Expr, ...]
    letters: tuple[str, ...]
    functions: tuple[Function, ...]


def _model(form: Form) -> _Model:
    key, letters = f"symbolic.engine.more.{form.name}", (*LENGTHS, *EXPONENTS)
    try:
        text = parse(form.formula, ("r", *AMPLITUDES, *letters))
    except InputError as error:
        fix = f"{error.fix}; r is the distance, A B C amplitudes, L s R lengths, n k exponents"
        raise InputError(key, error.value, fix) from error
    amplitudes = [a for a in map(sympy.Symbol, AMPLITUDES) if text.has(a)]
    terms = tuple(text.diff(a) for a in amplitudes) or (text,)  # without an amplitude it gets one in front
    rest = text.xreplace({a: sympy.S.Zero for a in amplitudes}) if amplitudes else sympy.S.Zero
    nothing = not text.has(R) and text not in amplitudes
    if rest != 0 or any(t.has(a) for t in terms for a in amplitudes) or nothing:
        raise InputError(key, form.formula, "use r, and A B C as factors of whole terms only: A*exp(-r/L)")
    used = tuple(n for n in letters if text.has(sympy.Symbol(n)))
    return _Model(form.name, terms, used, tuple(map(compiled, terms)))


class _Fit(NamedTuple):
    """A form on the points: constants [P] and powers of the properties [K] in one row, amplitudes [T]."""

    model: _Model
    constants: Array
    amplitudes: Array
    loss: float
    cost: int  # two for each number that was fitted, one for each exponent made whole


class _Named(NamedTuple):
    """An equation, what it is called, and what its constants cost."""

    expression: sympy.Expr
    called: str
    cost: int


@dataclass(frozen=True)
class _Problem:
    """Points along Δ or one axis: distances r [S], sizes [S, K] of the properties, sign [S] of their product.

    `signed` are the properties that bring their sign, as charges do.
    """

    points: Points
    r: Array
    names: tuple[str, ...]
    size: Array
    sign: Array
    signed: tuple[str, ...]

    @classmethod
    def of(cls, points: Points) -> _Problem:
        """Find the signs: of all their products the one with which y is most nearly one function of r."""
        r = points.X[:, points.names.index("r")]
        names = tuple(n for n in points.names if n != "r" and n not in DELTAS)
        x = points.X[:, [points.names.index(n) for n in names]]
        either = [k for k in range(len(names)) if (x[:, k] < 0).any()]
        choices = [c for n in range(len(either) + 1) for c in itertools.combinations(either, n)]
        signs = [np.prod(np.sign(x[:, list(c)]), axis=1) for c in choices]
        best = int(np.argmax([np.abs(_hats(r).T @ (s * points.y)).sum() for s in signs]))
        return cls(points, r, names, np.abs(x), signs[best], tuple(names[k] for k in choices[best]))

    def powers(self) -> Array:
        """Powers [K] by a robust fit of log|y| to the logarithms of the properties and any function of r."""
        use = (self.size > 0).all(axis=1) & (self.points.y != 0)
        if not use.any():  # columns of kinds, of which one is always zero
            return np.where(np.isin(self.names, self.signed), 1.0, 0.0)
        y, weight = np.abs(self.points.y[use]), self.points.weights[use]
        design = np.concatenate([np.log(self.size[use]), _hats(self.r)[use]], axis=1)
        # what is small is mostly noise, and its logarithm would say that no property matters
        powers = _linear(design, np.log(y), weight * y / (y + np.median(y)))[: len(self.names)]
        return np.where(self.varies, powers, np.isin(self.names, self.signed))  # q1 itself where it is ±1

    @property
    def varies(self) -> npt.NDArray[np.bool_]:
        """Which properties can have a power, shape [K]: charges of ±1 have a sign only."""
        return np.asarray(np.ptp(self.size, axis=0) > 0)

    def predicted(self, model: _Model, constants: Array, rounds: int = 2) -> tuple[Array, Array]:
        """Amplitudes [T] for given constants [P + K], and the values [S]; zeros where they are not finite."""
        count = len(model.letters)
        given = {"r": self.r, **dict(zip(model.letters, constants[:count], strict=True))}
        with np.errstate(all="ignore"):
            product = self.sign * np.prod(self.size ** constants[count:], axis=1)
            design = np.stack([f(given) * product for f in model.functions], axis=1)
        if not np.isfinite(design).all():
            return np.zeros(design.shape[1]), np.zeros_like(self.r)
        amplitudes = _linear(design, self.points.y, self.points.weights, rounds)
        return amplitudes, design @ amplitudes

    def starts(self, model: _Model, powers: Array) -> list[Array]:
        """The best points of a grid of constants, on a third of the points."""
        third = slice(None, None, 3)
        points = self.points.take(np.arange(len(self.r))[third])
        few = replace(self, points=points, r=self.r[third], size=self.size[third], sign=self.sign[third])
        middle, rated = float(np.median(self.r)), []
        for c in itertools.product(*(middle * GRID if n in LENGTHS else EXPONENTS[n] for n in model.letters)):
            _, values = few.predicted(model, np.array([*c, *powers]), 1)
            rated.append((points.loss(values, points.y), c))
        return [np.array([*c, *powers]) for _, c in sorted(rated)[:STARTS]]

    def fit(self, model: _Model, start: Array, free: npt.NDArray[np.bool_], scales: int = 2) -> _Fit:
        """Fit those of the constants [P + K] that are `free`, lengths by their logarithms.

        Residuals are in units of their typical size: of that at the start, then of that of the first fit.
        """
        long = np.isin([*model.letters, *self.names], list(LENGTHS))
        long[len(model.letters) :] = False
        middle, root = np.log(float(np.median(self.r))), np.sqrt(self.points.weights)
        low = np.where(long, middle - REACH, -STEEPEST)[free]
        high = np.where(long, middle + REACH, STEEPEST)[free]

        def constants(v: Array) -> Array:
            values = start.copy()
            values[free] = np.where(long[free], np.exp(np.where(long[free], v, 0.0)), v)
            return values

        def residual(v: Array) -> Array:
            return (self.predicted(model, constants(v))[1] - self.points.y) * root

        v = np.clip(np.where(long, np.log(np.where(long, start, 1.0)), start)[free], low, high)
        for _ in range(scales if len(v) else 0):
            scale = max(_typical(np.abs(residual(v))), 1e-9 * float(np.std(self.points.y)))
            v = least_squares(
                lambda v, s=scale: residual(v) / s,
                v, bounds=(low, high), loss="soft_l1", x_scale="jac", max_nfev=40,
            ).x  # fmt: skip
        amplitudes, values = self.predicted(model, constants(v), ROUNDS)
        loss = self.points.loss(values, self.points.y)
        cost = len(model.letters) + len(v) + 2 * len(amplitudes)
        return _Fit(model, constants(v), amplitudes, loss, cost)

    def snapped(self, best: _Fit) -> Array:
        """Powers of the best form, one after another made whole or half where that costs nothing."""
        count = len(best.model.letters)
        free = np.concatenate([np.ones(count, dtype=bool), self.varies])
        best = self.fit(best.model, best.constants, free)
        limit, whole = CHOICE_SLACK * best.loss, np.round(2 * best.constants) / 2
        for k in np.argsort(np.abs(best.constants - whole)):
            if k >= count and free[k]:
                start, rest = best.constants.copy(), free.copy()
                start[k], rest[k] = round(2 * float(start[k])) / 2, False
                tried = self.fit(best.model, start, rest)
                best, free = (tried, rest) if tried.loss <= limit else (best, free)
        return best.constants[count:]

    def product(self, powers: Sequence[sympy.Expr]) -> sympy.Expr:
        """The properties to these powers [K]; those that bring a sign keep it; roots are of sizes."""
        found = sympy.S.One
        for name, p in zip(self.names, powers, strict=True):
            x, odd = sympy.Symbol(name), p.is_Integer and int(p) % 2 == 1
            bare = p.is_Integer or (self.points.X[:, self.points.names.index(name)] > 0).all()
            size = x if bare else sympy.Abs(x)
            found *= x * sympy.Abs(x) ** (p - 1) if name in self.signed and not odd else size**p
        return found

    def guess(self, fit: _Fit, free: npt.NDArray[np.bool_]) -> Guess:
        """A fit as a start; exponents that were made whole, and powers that are, are part of the form."""
        letters = (*fit.model.letters, *(f"n_{name}" for name in self.names))
        loose = [bool(f) or 2 * float(v) % 1 != 0 for f, v in zip(free, fit.constants, strict=True)]
        found = zip(letters, loose, fit.constants, strict=True)
        values = [sympy.Symbol(n) if kept else _number(v) for n, kept, v in found]
        count = len(fit.model.letters)
        put = dict(zip(map(sympy.Symbol, letters), values[:count], strict=False))
        terms = tuple(term.xreplace(put) * self.product(values[count:]) for term in fit.model.terms)
        starts = {n: float(v) for n, k, v in zip(letters, loose, fit.constants, strict=True) if k}
        return Guess(fit.model.name, terms, starts, loose[:count].count(False))

    def named(self, fit: _Fit, unit: sympy.Expr) -> Iterator[_Named]:
        """The equation in its shortest form with fewest constants; none that would not be read back."""
        letters, numbers = fit.model.letters, [_number(c) for c in fit.constants]
        product = self.product(numbers[len(letters) :])
        values = dict(zip(map(sympy.Symbol, letters), numbers, strict=False))
        terms = zip(fit.amplitudes, fit.model.terms, strict=True)
        f = sympy.Add(*[sympy.Float(float(a)) * term.xreplace(values) for a, term in terms])
        f = min(writings(f), key=lambda e: (len(template(e).symbols), complexity(e)))
        told = [*zip(letters, fit.constants, strict=False), *zip(AMPLITUDES, fit.amplitudes, strict=False)]
        called = fit.model.name + "".join(f", {LENGTHS.get(n, n)} = {float(c):.4g}" for n, c in told)
        called += "" if product == 1 else f"; × {sympy.N(product, 3)}"
        for e in parse_all([write(f * product * unit)], self.points.names):
            yield _Named(e, called, fit.cost)


class Guess(NamedTuple):
    """A form on its way to a law.

    Attributes:
        name: what the form is called.
        terms: summands up to their factors, in r, properties and letters of constants.
        constants: first values of those letters.
        settled: exponents that were made whole.
    """

    name: str
    terms: tuple[sympy.Expr, ...]
    constants: dict[str, float]
    settled: int


def guesses(points: Points, more: Mapping[str, str] | None = None, seed: int = 0) -> list[Guess]:
    """All forms fitted to points along Δ, as starts of a fit to accelerations.

    Args:
        points: r and properties, and the size along Δ.
        more: forms of your own by name, as for `FormsEngine`.
        seed: of the points that are looked at.
    """
    few = points.sample(FIT_POINTS, np.random.default_rng([seed, 0]))
    own = [Form(str(name), formula) for name, formula in (more or {}).items()]
    return [p.guess(f, free) for p, f, free in _fits(few, [_model(form) for form in (*KNOWN, *own)])]


def monomial(points: Points) -> sympy.Expr:
    """The product of powers of the properties that the values along Δ are most nearly in proportion to.

    Powers are made whole or half where they are near.

    Args:
        points: r and properties, and the size along Δ.
    """
    problem = _Problem.of(points)
    powers = problem.powers()
    half = np.round(2 * powers) / 2
    powers = np.where(np.abs(powers - half) < NEAR, half, np.round(powers, 3))
    return problem.product([_number(p) for p in powers])


def _along(points: Points, models: Sequence[_Model], axis: str | None) -> Iterator[_Named]:
    """Equations of all forms; times Δ/r if an axis is named."""
    unit = sympy.S.One
    if axis is not None:
        unit = sympy.Symbol(axis) / R
        points = points.take(np.flatnonzero(points.X[:, points.names.index(axis)]))
        share = points.X[:, points.names.index(axis)] / points.X[:, points.names.index("r")]
        points = replace(points, y=points.y / share, weights=points.weights * np.abs(share))
    for problem, fit, _ in _fits(points, models):
        yield from problem.named(fit, unit)


def _fits(points: Points, models: Sequence[_Model]) -> Iterator[tuple[_Problem, _Fit, npt.NDArray[np.bool_]]]:
    """Fits of all forms, and which of their constants [P + K] were free."""
    problem, fits = _Problem.of(points), []
    powers, still = problem.powers(), [False] * len(problem.names)
    for model in models:
        free = np.array([True] * len(model.letters) + still, dtype=bool)
        tries = (problem.fit(model, s, free, scales=1) for s in problem.starts(model, powers))
        fits.append(min(tries, key=lambda f: f.loss))
    powers = problem.snapped(min(fits, key=lambda f: f.loss))
    for model, letters, start in ((f.model, np.array(f.model.letters), f.constants.copy()) for f in fits):
        start[len(letters) :] = powers
        free, steep = np.array([True] * len(letters) + still, dtype=bool), np.isin(letters, list(EXPONENTS))
        fit = problem.fit(model, start, free)
        yield problem, fit, free
        if steep.any():  # with whole or half exponents it is simpler
            start, free = fit.constants.copy(), free.copy()
            free[: len(letters)] = ~steep
            start[: len(letters)][steep] = np.round(2 * start[: len(letters)][steep]) / 2
            yield problem, problem.fit(model, start, free), free


def _fewest(found: Sequence[_Named], points: Points) -> dict[sympy.Expr, str]:
    """Names of the equations, without those whose constants cost more than another one's for no better fit.

    Another one that is no larger may fit a little worse, as far as the choice on a front lets it.

    The size of an equation does not show how many of its numbers are free: those of Morse's two exponentials
    are tied to each other.
    """
    losses = [points.loss(evaluate(e.expression, points.X, points.names), points.y) for e in found]
    rated = [(e.cost, complexity(e.expression), v, e) for e, v in zip(found, losses, strict=True)]
    kept: dict[sympy.Expr, str] = {}
    for cost, size, loss, e in rated:
        limits = ((c, v / (CHOICE_SLACK if n <= size else 1.0)) for c, n, v, _ in rated)
        if not any(c < cost and limit <= loss for c, limit in limits):
            kept.setdefault(e.expression, e.called)
    return kept


def _hats(r: Array) -> Array:
    """A basis of piecewise linear functions of log r, shape [S, at most BINS]."""
    knots = np.unique(np.quantile(np.log(r), np.linspace(0, 1, BINS)))
    return np.stack([np.interp(np.log(r), knots, row) for row in np.eye(len(knots))], axis=1)


def _linear(design: Array, y: Array, weights: Array, rounds: int = ROUNDS) -> Array:
    """Coefficients of the columns of `design` under a soft-L1 loss, by reweighting."""
    unit = np.maximum(np.abs(design).max(axis=0), 1e-300)
    columns, weight, tiny = design / unit, weights, 1e-12 * weights.sum()
    for k in range(rounds):
        weighted = columns.T * weight
        # the normal equations are quick; the small number keeps columns that are alike from cancelling
        values = np.linalg.solve(weighted @ columns + tiny * np.eye(len(unit)), weighted @ y)
        if k < rounds - 1:
            error = np.abs(y - columns @ values)
            weight = weights / np.hypot(1.0, error / max(_typical(error), 1e-300))
    return np.asarray(values / unit)


def _typical(error: Array) -> float:
    """The median; more where most errors are next to none, as beyond the reach of a contact."""
    return max(float(np.median(error)), 0.3 * float(error.mean()))


def _number(value: float) -> sympy.Expr:
    """A whole number as such, so that powers of it stay simple."""
    return sympy.Integer(round(value)) if float(value).is_integer() else sympy.Float(float(value))
