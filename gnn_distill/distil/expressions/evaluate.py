"""Sympy expressions as NumPy functions, put together from closures: nothing is printed or run as text."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import sympy

from gnn_distill.arrays import Array
from gnn_distill.errors import InputError

Function = Callable[[Mapping[str, Array | float]], Array | float]

MAX_UNROLLED = 4
"""Integer powers up to this are repeated products, which is faster than a power."""

_FUNCTIONS: dict[type, Callable[..., Array]] = {
    sympy.exp: np.exp,
    sympy.log: np.log,
    sympy.Abs: np.abs,
    sympy.sin: np.sin,
    sympy.cos: np.cos,
}


def compiled(expression: sympy.Expr) -> Function:
    """A function from {variable name: values} to the values of `expression`.

    Real arithmetic: what would be complex is NaN.
    """
    if expression.is_Symbol:
        name = str(expression)
        return lambda env: env[name]
    if expression.is_Number or expression.is_NumberSymbol:
        value = float(expression)
        return lambda env: value
    if expression.is_Add:
        return _folded([compiled(a) for a in expression.args], np.add)
    if expression.is_Mul:
        return _folded([compiled(a) for a in expression.args], np.multiply)
    if expression.is_Pow:
        return _power(*expression.args)
    if function := _FUNCTIONS.get(expression.func):
        inner = compiled(expression.args[0])
        return lambda env: function(inner(env))
    raise InputError("expression", str(expression)[:80], "use arithmetic, exp, log, sqrt, Abs, sin or cos")


def _folded(parts: Sequence[Function], combine: Callable[..., Array]) -> Function:
    first, *others = parts

    def run(env: Mapping[str, Array | float]) -> Array | float:
        total = first(env)
        for part in others:
            total = combine(total, part(env))
        return total

    return run


def _power(base: sympy.Expr, exponent: sympy.Expr) -> Function:
    inner = compiled(base)
    if not exponent.is_Integer:
        outer = compiled(exponent)
        return lambda env: np.power(inner(env), outer(env))
    count, divide = abs(int(exponent)), int(exponent) < 0

    def run(env: Mapping[str, Array | float]) -> Array | float:
        value = np.asarray(inner(env), dtype=np.float64)
        total = value
        if count <= MAX_UNROLLED:
            for _ in range(count - 1):
                total = total * value
        else:
            total = value**count
        return np.divide(1.0, total) if divide else total

    return run


def evaluate(expression: sympy.Expr, X: Array, names: Sequence[str]) -> Array:
    """Values [S] of an expression at the points X [S, K] whose columns are `names`.

    Where the expression has no finite real value the result is NaN or infinite.
    """
    try:
        function = compiled(expression)
    except TypeError:
        return np.full(len(X), np.nan)
    columns = dict(zip(names, np.asarray(X, dtype=np.float64).T, strict=True))
    if missing := {str(s) for s in expression.free_symbols} - columns.keys():
        raise InputError("expression", sorted(missing), f"use the variables {', '.join(names)}")
    with np.errstate(all="ignore"):
        return np.array(np.broadcast_to(function(columns), (len(X),)), dtype=np.float64)


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
