"""From raw equations to a clean front: refit constants, delete what is idle.

A search leaves equations with rough constants and with terms that do nothing (+ 0.003 Δy). Here the constants
are fitted, terms and factors are deleted one by one as long as the fit hardly suffers, and each equation is
written in the shortest of a few ways.

Shape letters: S points, K input columns, P constants of an equation.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import sympy
from scipy.optimize import least_squares

from gnn_distill.arrays import Array
from gnn_distill.distil.expressions.evaluate import Template, evaluate
from gnn_distill.distil.expressions.front import Front, complexity
from gnn_distill.distil.expressions.parse import parse_all, write
from gnn_distill.distil.expressions.points import Points
from gnn_distill.distil.expressions.safe import put, rebuilt, tried
from gnn_distill.physics.variables import DELTAS

SCREEN_POINTS = 500
REWEIGHTED = 6
"""Rounds of reweighting with which a straight-line fit approaches the least absolute error."""
SCREENED = 4
"""Deletions that are refitted at each step, of those that a straight-line fit finds best."""
STARTS = 4
"""Equations of the refitted front from which deletion starts, best first."""
HOPELESS = 3.0
"""Deletion stops where the loss is this many times that of a front equation no larger."""
MIX_OFFSET = 1e-3
FAR = 1e6
"""Residual where an equation has no finite value."""
UNSOUND = (sympy.zoo, sympy.nan, sympy.oo, -sympy.oo, sympy.I)
QUICK, THOROUGH = 12, 40
"""Steps of a refit while paring, and of a final one."""
STALLED = 5
"""Deletion stops after so many steps in a row that made nothing shorter."""
POLISHES = 5
"""Most rounds of deleting once from every equation of the front."""
LARGEST = 50
"""Complexity from which paring is not worth its time."""
LONGEST = 1500
"""Characters; longer equations are left alone."""
MOST_CONSTANTS = 10
"""An equation is not fitted in a form with more than these that has more than the equation itself."""
SNAP = 0.2
"""Exponents this near to a whole or half number are also tried there."""


@dataclass(frozen=True)
class Fitted:
    """An equation with its constants fitted, and its loss on the points it was fitted to."""

    expression: sympy.Expr
    loss: float


def template(expression: sympy.Expr) -> Template:
    """Split off the constants as symbols c0, c1 and so on.

    Floats and non-integer rationals are constants, and so is a whole coefficient of a product or
    an added whole number; whole exponents are part of the form.
    """
    symbols: list[sympy.Symbol] = []
    values: list[float] = []

    def visit(node: sympy.Expr) -> sympy.Expr:
        if node.is_number:
            symbols.append(sympy.Symbol(f"c{len(values)}"))
            values.append(float(node))
            return symbols[-1]
        if node.is_Pow and node.exp.is_Integer:
            return visit(node.base) ** node.exp
        if node.is_Mul and node.args[0] is sympy.S.NegativeOne:
            return -visit(sympy.Mul(*node.args[1:]))
        return node.func(*[visit(a) for a in node.args]) if node.args else node

    return Template(visit(expression), tuple(symbols), np.array(values))


def refit(expression: sympy.Expr, points: Points, *, steps: int = THOROUGH) -> Fitted:
    """Fit the constants of an equation by least squares with a soft-L1 loss.

    The residual is measured in units of its median size, so that outliers count linearly. The loss of an
    equation that cannot be worked out is infinite.
    """

    def fitted() -> Fitted:
        parts = template(expression)
        return _rated(parts.filled(_solve(parts, points, steps)), points)

    hopeless = Fitted(expression, np.inf)
    return hopeless if expression.has(*UNSOUND) else tried(fitted, hopeless)


def _solve(parts: Template, points: Points, steps: int) -> Array:
    if not parts.symbols:
        return parts.start
    function, columns = parts.function(), dict(zip(points.names, points.X.T, strict=True))
    root = np.sqrt(points.weights)

    def residual(values: Array) -> Array:
        error = (function(columns, values) - points.y) * root
        return np.nan_to_num(error, nan=FAR, posinf=FAR, neginf=-FAR)

    values = parts.start
    with np.errstate(all="ignore"):
        for _ in range(2):  # the second time with the spread that the first fit left
            spread = float(np.median(np.abs(residual(values))))
            scale = max(spread, 1e-9 * float(np.std(points.y)))
            try:
                values = least_squares(
                    lambda v, s=scale: residual(v) / s,
                    values,
                    loss="soft_l1",
                    x_scale="jac",
                    max_nfev=steps,
                    ftol=1e-7,
                ).x
            except (ValueError, np.linalg.LinAlgError):
                break
    return values


def deletions(expression: sympy.Expr) -> Iterator[sympy.Expr]:
    """Every expression that lacks one term or factor, or has one exponent made whole or half."""
    args = expression.args
    if expression.is_Add or expression.is_Mul:
        for i in range(len(args)):
            yield expression.func(*args[:i], *args[i + 1 :])
    if expression.is_Pow and args[1].is_Float:
        nearest = sympy.Rational(round(2 * float(args[1])), 2)
        if 0 < abs(nearest - args[1]) < SNAP:
            yield args[0] ** nearest
    for i, arg in enumerate(args):
        for smaller in deletions(arg):
            parts = (*args[:i], smaller, *args[i + 1 :])
            if (whole := tried(rebuilt, None, expression, parts)) is not None:
                yield whole


def writings(expression: sympy.Expr) -> list[sympy.Expr]:
    """The same function written differently: as it is, multiplied out, common factors in front."""

    def forms() -> list[sympy.Expr]:
        expanded = sympy.expand(expression)
        return [expression, expanded, factored(expression), factored(expanded)]

    return list(dict.fromkeys(tried(forms, [expression])))


def _lean(expression: sympy.Expr) -> list[sympy.Expr]:
    """The forms that are worth a fit: constants that say the same twice make it slow and no better."""

    def lean() -> list[sympy.Expr]:
        most = max(MOST_CONSTANTS, len(template(expression).symbols))
        short = [f for f in writings(expression) if len(str(f)) < LONGEST]
        return [f for f in short if len(template(f).symbols) <= most]

    return tried(lean, [])


def factored(expression: sympy.Expr) -> sympy.Expr:
    """A sum with the powers that its terms share, and one coefficient, taken out in front.

    a·x/m + b·x/(r·m) becomes a·x·(r + b/a)/(r·m).
    """
    terms = sympy.Add.make_args(expression)
    if len(terms) < 2:
        return expression
    split = [t.as_coeff_Mul() for t in terms]
    powers = [rest.as_powers_dict() for _, rest in split]
    bases = sorted({b for p in powers for b in p if not b.is_number}, key=str)
    shared = sympy.S.One
    for base in bases:
        exponents = [p.get(base, sympy.S.Zero) for p in powers]
        if all(e.is_Rational for e in exponents):
            shared *= base ** min(exponents)
    inner = [rest / shared for _, rest in split]
    # the coefficient in front is that of the term with most variables, so that the others are plain numbers
    first = max(range(len(terms)), key=lambda i: (len(inner[i].free_symbols), abs(float(split[i][0]))))
    lead = split[first][0]
    ratios = [sympy.S.One if c == lead else c / lead for c, _ in split]
    return sympy.Mul(lead, shared, sympy.Add(*[c * t for c, t in zip(ratios, inner, strict=True)]))


def mixed(expression: sympy.Expr, names: Sequence[str]) -> Iterator[sympy.Expr]:
    """The same law along a mixture of axes: each Δ component with a bit of the others, plus a constant.

    A message component is a linear transform of a force, so an equation that has found one Δ
    component is one substitution away from those that need all.
    """
    deltas = [sympy.Symbol(n) for n in names if n in DELTAS]
    for delta in deltas:
        blend = delta + sum((0.05 * d for d in deltas if d != delta), sympy.S.Zero)
        dropped = {d: sympy.S.Zero for d in deltas if d != delta}
        for alone in dict.fromkeys([expression, put(sympy.expand(expression), dropped)]):
            terms = sympy.Add.make_args(alone)
            along = sympy.Add(*[t for t in terms if t.has(delta)])
            if along != 0:
                rest = sympy.Add(*[t for t in terms if not t.has(delta)])
                yield put(factored(along), {delta: blend}) + rest + MIX_OFFSET


def _mixtures(expression: sympy.Expr, names: Sequence[str]) -> list[sympy.Expr]:
    return tried(lambda: list(mixed(expression, names)), [])


def pare(start: Fitted, points: Points, hopeless: Callable[[Fitted], bool]) -> list[Fitted]:
    """Delete term after term, each time the one least missed; every step on the way.

    SymPy multiplies a number into a sum, so a deletion may leave as much as there was, with other numbers:
    without an end after `STALLED` of those this could go on for ever.
    """
    steps, current, seen, stalled = [start], start, {start.expression}, 0
    while stalled < STALLED and (fits := _shorter(current.expression, points, seen)):
        steps += fits
        before, current = current, min(fits, key=lambda f: f.loss)
        shorter = complexity(current.expression) < complexity(before.expression)
        stalled = 0 if shorter else stalled + 1
        if hopeless(current):
            break
    return steps


def polish(fits: Sequence[Fitted], points: Points) -> list[Fitted]:
    """Delete once more from every equation of the front, until nothing new joins it."""
    found, seen, done = list(fits), {f.expression for f in fits}, set()
    for _ in range(POLISHES):
        new = [e for e in _front(found, points.names).equations if e.expression not in done]
        done |= {e.expression for e in new}
        shorter = [f for e in new if e.complexity <= LARGEST for f in _shorter(e.expression, points, seen)]
        if not shorter:
            break
        found += shorter
    return found


def _shorter(expression: sympy.Expr, points: Points, seen: set[sympy.Expr]) -> list[Fitted]:
    """The most promising deletions not in `seen`, refitted."""
    options = [e for e in dict.fromkeys(deletions(expression)) if e not in seen]
    options = [e for e in options if e.free_symbols and not e.has(*UNSOUND)]
    seen.update(options)
    ranked = sorted(options, key=lambda e: tried(_straight_loss, np.inf, e, points))[:SCREENED]
    fits = [refit(e, points, steps=QUICK) for e in ranked]
    return [f for f in fits if np.isfinite(f.loss)]


def _straight_loss(expression: sympy.Expr, points: Points) -> float:
    """Loss of the best c0 + c1 · expression in absolute error: a quick look before a refit."""
    values = evaluate(expression, points.X, points.names)
    if not np.isfinite(values).all():
        return np.inf
    columns = np.stack([np.ones_like(values), values / max(float(np.abs(values).max()), 1e-300)], axis=1)
    weights, prediction = points.weights, np.zeros_like(values)
    floor = max(1e-3 * float(np.abs(points.y).mean()), 1e-300)
    for _ in range(REWEIGHTED):
        root = np.sqrt(weights)
        prediction = columns @ np.linalg.lstsq(columns * root[:, None], points.y * root, rcond=None)[0]
        weights = points.weights / np.maximum(np.abs(points.y - prediction), floor)
    return points.loss(prediction, points.y)


def clean_front(
    raw: Iterable[sympy.Expr], points: Points, fit_points: Points, clean: Sequence[sympy.Expr] = ()
) -> Front:
    """Raw equations → the front of refitted and pared ones.

    Args:
        raw: equations as the engine found them, in the units of `points`.
        points: the trimmed points that losses are counted on.
        fit_points: those of them that constants are fitted to.
        clean: equations of an earlier front on the same points, which need no more work.
    """
    first = Front.on(fit_points, [*raw, *clean])
    new = [e.expression for e in first.equations if e.expression not in clean]
    written = dict.fromkeys(f for e in new for f in _lean(e))
    fits = [_rated(e, fit_points) for e in clean] + [refit(e, fit_points) for e in written]
    # a message shows a mixture of axes: what was found along one of them is tried along all
    starts = [e.expression for e in _front(fits, points.names).equations if e.expression not in clean]
    best = starts[: -STARTS - 1 : -1]
    blends = dict.fromkeys(b for e in best for b in _mixtures(e, points.names))
    fits += [refit(e, fit_points) for e in blends]
    fits += _pared(fits, fit_points, clean)
    # the same function may be shorter when it is written in another way; constants stay
    good = [e.expression for e in _front(fits, points.names).equations]
    short = [f for f in dict.fromkeys(f for e in good for f in writings(e)) if len(str(f)) < LONGEST]
    flat = sympy.Float(float(np.median(points.y)))  # what every equation is measured against
    return Front.on(points, [flat, *(e for e in short or good if _readable(e, points.names))])


def _readable(expression: sympy.Expr, names: Sequence[str]) -> bool:
    """Whether `parse` would read it back: fits may have moved its numbers beyond what it takes."""
    return bool(tried(lambda: parse_all([write(expression)], names), []))


def _pared(fits: Sequence[Fitted], points: Points, clean: Sequence[sympy.Expr]) -> list[Fitted]:
    """The best new equations of `fits` without their idle parts, refitted to `points`.

    Deletions are tried on few points, since there are many of them.
    """
    few = points.take(np.arange(0, len(points.y), max(1, len(points.y) // SCREEN_POINTS)))
    known = _front(fits, points.names).equations

    def hopeless(fit: Fitted) -> bool:
        size = complexity(fit.expression)
        rivals = [e.loss for e in known if e.complexity <= size]
        return bool(rivals) and fit.loss > HOPELESS * rivals[-1]

    best = [e.expression for e in known if e.complexity <= LARGEST][: -STARTS - 1 : -1]
    pared = [f for e in best if e not in clean for f in pare(refit(e, few, steps=QUICK), few, hopeless)]
    if not pared:
        return []
    return [refit(e.expression, points) for e in _front(polish(pared, few), points.names).equations]


def _rated(expression: sympy.Expr, points: Points) -> Fitted:
    return Fitted(expression, points.loss(evaluate(expression, points.X, points.names), points.y))


def _front(fits: Iterable[Fitted], names: Sequence[str]) -> Front:
    rated = ((complexity(f.expression), f.loss, f.expression) for f in fits if np.isfinite(f.loss))
    return Front.from_rated(rated, names)
