"""The numeric constants of an expression: which they are, and others in their place."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import sympy


def constants(*expressions: sympy.Expr, exponents: bool = False) -> list[sympy.Float]:
    """Distinct floating-point constants of some expressions, in a stable order; of powers only on request."""
    found: list[sympy.Float] = []

    def visit(e: sympy.Expr) -> None:
        if isinstance(e, sympy.Float) and e not in found:
            found.append(e)
        for part in e.args[:1] if e.is_Pow and not exponents else e.args:
            visit(part)

    for expression in expressions:
        visit(expression)
    return found


def replaced(f: sympy.Expr, to: Mapping[sympy.Float, sympy.Symbol], exponents: bool = False) -> sympy.Expr:
    """The expression with symbols in the place of its constants, those of powers only on request."""
    if isinstance(f, sympy.Float):
        return to.get(f, f)
    if not f.args:
        return f
    if f.is_Pow:
        power = replaced(f.exp, to, exponents) if exponents else f.exp
        return sympy.Pow(replaced(f.base, to, exponents), power, evaluate=False)
    return f.func(*(replaced(part, to, exponents) for part in f.args))


def filled(f: sympy.Expr, symbols: Sequence[sympy.Symbol], values: Sequence[float]) -> sympy.Expr:
    """The expression with numbers in the place of symbols."""
    return f.xreplace({s: sympy.Float(float(v)) for s, v in zip(symbols, values, strict=True)})
