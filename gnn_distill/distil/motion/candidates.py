"""Forms that one direction of a law may have: known pair laws, and equations of a search."""

from __future__ import annotations

import functools
from collections.abc import Mapping

import sympy

from gnn_distill.distil.engines.forms import guesses
from gnn_distill.distil.engines.textbook import AMPLITUDES, CENTRAL, EXPONENTS, KNOWN, LENGTHS
from gnn_distill.distil.expressions.front import Front, complexity
from gnn_distill.distil.expressions.parse import parse
from gnn_distill.distil.expressions.plain import plain
from gnn_distill.distil.expressions.points import Points, trim
from gnn_distill.distil.motion.fit import Fit, Form, Term, typical
from gnn_distill.distil.motion.samples import Motion

MOST = 6
"""Numbers of a form at most: what needs more is a curve, not a law."""
GIVEN = "given"
"""The name of a form that the user typed."""
IDLE = 1e-3
"""Share of the labels that a term may make, and what an exponent may be away from a whole or half number, for
the form to be tried without."""


@functools.cache
def spared(name: str) -> int:
    """By how much the potential of a known law is shorter than its force."""
    known = {form.name: form for form in KNOWN if form.potential}
    if name not in known:
        return 0
    letters = ("r", *AMPLITUDES, *LENGTHS, *EXPONENTS)
    force, potential = (
        complexity(parse(text, letters)) for text in (known[name].formula, known[name].potential)
    )
    return force - potential


def candidates(
    points: Points, front: Front | None, along: str, more: Mapping[str, str] | None = None
) -> list[Form]:
    """Forms for one direction: known pair laws, and equations that a search has found.

    Args:
        points: r and properties, and the network's f.
        front: of the search; None for known laws alone.
        along: the direction.
        more: further known laws by name, see `gnn_distill.distil.engines.forms.FormsEngine`.
    """
    found = []
    for k, guess in enumerate(guesses(trim(points), more)):
        terms = tuple(Term((t,), along) for t in guess.terms)
        size = sum(complexity(t) for t in guess.terms) + 2 * len(guess.terms) - 1 - spared(guess.name)
        start = (*guess.constants.values(),)
        name = CENTRAL.get(guess.name, guess.name) if along[:1] == "u" else guess.name
        found.append(Form(name, terms, (*guess.constants,), start, size, k, guess.settled))
    for equation in () if front is None else front.equations:
        if equation.expression.free_symbols:
            expression = min(equation.expression, plain(equation.expression), key=complexity)
            found.append(Form.of(expression, along, "", complexity(expression)))
    distinct: list[Form] = []
    for form in found:  # those without further constants may come several times
        if form.symbols or all(form.terms != other.terms for other in distinct):
            distinct.append(form)
    return [form for form in distinct if form.cost <= MOST]


def lean(found: Fit, key: str, motion: Motion) -> Form | None:
    """The form of one direction without terms that make next to nothing, its exponents whole where nearly so.

    None where it has neither.
    """
    expression = sympy.expand(found.function(key))
    small = IDLE * typical(motion.labels)
    terms = sympy.Add.make_args(expression)
    kept = [t for t in terms if typical(Term((t,), key).column(motion, {})) > small]

    def near(e: sympy.Expr) -> bool:
        return bool(e.is_Pow and e.exp.is_Float and 0 < abs(2 * e.exp - round(2 * e.exp)) < 2 * IDLE)

    whole = sympy.Add(*kept).replace(near, lambda e: e.base ** sympy.Rational(round(2 * e.exp), 2))
    if whole == expression or not whole.free_symbols:
        return None
    return Form.of(whole, key, "", complexity(whole))
