"""Rebuilding expressions with other parts, where what comes out may have no value.

SymPy works numbers out as soon as an expression is put together, to any size: cos(exp(1e6)) takes seconds,
tanh(exp(exp(50))) raises an OverflowError. A search over equations meets all of it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

import sympy

from gnn_distill.distil.expressions.parse import MAX_EXPONENT, MAX_NUMBER, NO_VALUE
from gnn_distill.errors import InputError

T = TypeVar("T")

# Is tanh(f) real, and finite? SymPy multiplies f out to tell, which may take hours, each time that such a
# tanh comes into another function. Not to know is an answer, too.
getattr(sympy.tanh, "_prop_handler", {}).update(
    dict.fromkeys(("real", "finite"), lambda tanh: tanh.args[0].is_real or None)
)


def tried(work: Callable[..., T], otherwise: T, *given: Any) -> T:
    """What `work` makes of what is `given`, or `otherwise` where an expression cannot be worked out.

    >>> tried(float, 0.0, sympy.Symbol("x"))
    0.0
    """
    try:
        return work(*given)
    except InputError:
        raise
    except NO_VALUE:
        return otherwise


def rebuilt(node: sympy.Expr, parts: Sequence[sympy.Expr]) -> sympy.Expr:
    """The operation or function of `node`, of other parts.

    Raises:
        OverflowError: one of them, or the result, is a number beyond `MAX_NUMBER`, or an exponent too large.
    """
    # a number to the power of a large one would be worked out, digit by digit, for hours
    if node.is_Pow and parts[1].is_number and not _real(parts[1], MAX_EXPONENT):
        raise OverflowError(f"exponent {parts[1]}")
    found = node.func(*parts) if all(map(_modest, parts)) else sympy.oo
    if not _modest(found):
        raise OverflowError(f"a part of {node.func.__name__} is too large")
    return found


def put(expression: sympy.Expr, values: Mapping[sympy.Expr, sympy.Expr]) -> sympy.Expr:
    """The expression with `values` in the place of its symbols; raises as `rebuilt` does."""
    if expression in values:
        return values[expression]
    if not expression.args:
        return expression
    parts = tuple(put(part, values) for part in expression.args)
    return expression if parts == expression.args else rebuilt(expression, parts)


def _modest(part: sympy.Expr) -> bool:
    return not part.is_number or abs((float if part.is_Number else complex)(part)) <= MAX_NUMBER


def _real(number: sympy.Expr, most: float) -> bool:
    """Whether a number is real and small enough; SymPy may not see that an i cancels."""
    value = complex(number)
    return abs(value) <= most and value.imag == 0
