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


def lean(found: Fit, motion: Motion) -> Form | None:
    """The form without terms that make next to nothing, its exponents whole or half where nearly so.

    None where it has neither.
    """
    form, small = found.form, IDLE * typical(motion.labels)
    values = dict(zip(form.symbols, found.constants, strict=True))
    sizes = [f * t.column(motion, values) for f, t in zip(found.factors, form.terms, strict=True)]
    kept = [t for t, size in zip(form.terms, sizes, strict=True) if typical(size) > small]
    powers = {
        str(p.exp.free_symbols.pop()) for t in kept for p in t.forms[0].atoms(sympy.Pow) if _letter(p.exp)
    }
    near = {s: sympy.Rational(round(2 * v), 2) for s, v in values.items() if s in powers}
    whole = {sympy.Symbol(s): e for s, e in near.items() if abs(values[s] - e) < IDLE}
    if not kept or (len(kept) == len(form.terms) and not whole):
        return None
    terms = tuple(Term((t.forms[0].xreplace(whole),), t.along) for t in kept)
    used = {str(s) for t in terms for s in t.forms[0].free_symbols}
    symbols = [s for s in form.symbols if s in used]
    same = len(kept) == len(form.terms) and all(e != 0 or str(s).startswith("n_") for s, e in whole.items())
    start, size = tuple(float(values[s]) for s in symbols), sum(complexity(t.forms[0]) for t in terms)
    settled = form.settled + len(whole)
    return Form(
        form.name if same else "", terms, tuple(symbols), start, size + len(terms), form.place, settled
    )


def _letter(exponent: sympy.Expr) -> bool:
    """Whether an exponent is a letter, up to its sign."""
    return bool(exponent.is_Symbol or (-exponent).is_Symbol)
