"""Sympy expressions as functions of arrays, put together from closures: nothing is printed or run as text.

Shape letters: S points, K columns, P constants.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import reduce
from typing import Any, NamedTuple

import numpy as np
import sympy

from gnn_distill.arrays import Array
from gnn_distill.errors import InputError

Function = Callable[[Mapping[str, Any]], Any]
"""From {variable name: values} to values."""

MAX_UNROLLED = 4
"""Integer powers up to this are repeated products, which is faster than a power."""


@dataclass(frozen=True)
class Backend:
    """Whose arrays an expression is computed with; sums and products are written alike everywhere.

    Attributes:
        functions: for each function of sympy the one that computes it.
        number: a constant, as the other functions take it.
        power: of a base and an exponent.
        whole_power: of a base and an integer exponent.
    """

    functions: Mapping[type, Callable[..., Any]]
    number: Callable[[float], Any]
    power: Callable[[Any, Any], Any]
    whole_power: Callable[[Any, int], Any]


def _whole_power(base: Array | float, exponent: int) -> Array:
    value, count = np.asarray(base, dtype=np.float64), abs(exponent)
    total = reduce(operator.mul, [value] * count) if 0 < count <= MAX_UNROLLED else value**count
    return np.asarray(np.divide(1.0, total) if exponent < 0 else total)


NUMPY = Backend(
    {
        sympy.exp: np.exp,
        sympy.log: np.log,
        sympy.Abs: np.abs,
        sympy.sin: np.sin,
        sympy.cos: np.cos,
        sympy.tanh: np.tanh,
        sympy.Max: np.maximum,
        sympy.Heaviside: np.heaviside,
    },
    number=float,
    power=np.power,
    whole_power=_whole_power,
)


def directed(backend: Backend, where: Callable[[Any, Any, Any], Any]) -> Backend:
    """The same, but 0 to a negative power is 0: at rest v/|v| has no direction, and counts nothing.

    Args:
        backend: whose arrays they are.
        where: of a condition, the values where it is true, and those elsewhere.
    """

    def power(base: Any, exponent: Any) -> Any:
        none = (base == 0) & (exponent < 0)
        return where(none, 0.0, backend.power(where(none, 1.0, base), exponent))

    def whole_power(base: Any, exponent: int) -> Any:
        if exponent >= 0:
            return backend.whole_power(base, exponent)
        return where(base == 0, 0.0, backend.whole_power(where(base == 0, 1.0, base), exponent))

    return replace(backend, power=power, whole_power=whole_power)


def compiled(expression: sympy.Expr, backend: Backend = NUMPY) -> Function:
    """A function from {variable name: values} to the values of `expression`.

    Real arithmetic: what would be complex is NaN.
    """
    if expression.is_Symbol:
        name = str(expression)
        return lambda env: env[name]
    if expression.is_Number or expression.is_NumberSymbol:
        value = backend.number(float(expression))
        return lambda env: value
    first, *others = parts = [compiled(a, backend) for a in expression.args]
    if expression.is_Pow and expression.exp.is_Integer:
        exponent = int(expression.exp)
        return lambda env: backend.whole_power(first(env), exponent)
    if expression.is_Pow:
        return lambda env: backend.power(first(env), others[0](env))
    if expression.is_Add or expression.is_Mul:
        combine = operator.add if expression.is_Add else operator.mul
        return lambda env: reduce(combine, (part(env) for part in parts))
    if function := backend.functions.get(expression.func):
        return lambda env: function(*(part(env) for part in parts))
    raise InputError(
        "expression", str(expression)[:80], "use arithmetic, exp, log, sqrt, Abs, Max, sin, cos or tanh"
    )


def evaluate(expression: sympy.Expr, X: Array, names: Sequence[str]) -> Array:
    """Values [S] of an expression at the points X [S, K] whose columns are `names`.

    Where the expression has no finite real value the result is NaN or infinite.
    """
    return at(expression, dict(zip(names, np.asarray(X, dtype=np.float64).T, strict=True)), len(X))


def at(expression: sympy.Expr, columns: Mapping[str, Array], count: int, backend: Backend = NUMPY) -> Array:
    """The same at `count` points whose columns are given by name, each of shape [count]."""
    try:
        function = compiled(expression, backend)
    except TypeError:
        return np.full(count, np.nan)
    if missing := {str(s) for s in expression.free_symbols} - columns.keys():
        raise InputError("expression", sorted(missing), f"use the variables {', '.join(columns)}")
    with np.errstate(all="ignore"):
        return np.array(np.broadcast_to(function(columns), (count,)), dtype=np.float64)


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


class Template(NamedTuple):
    """An expression with symbols in the place of its constants, as fits of the constants need it.

    Attributes:
        form: the expression with the symbols.
        symbols: one for each constant.
        start: the constants as they were, shape [P].
    """

    form: sympy.Expr
    symbols: tuple[sympy.Symbol, ...]
    start: Array

    def function(self) -> Callable[[Mapping[str, Any], Array], Array]:
        """From columns by name and constants [P] to the values."""
        inner, names = compiled(self.form), [str(symbol) for symbol in self.symbols]
        return lambda columns, values: inner({**columns, **dict(zip(names, values, strict=True))})

    def filled(self, values: Iterable[float]) -> sympy.Expr:
        """The expression with other constants [P]."""
        return self.form.xreplace(
            {s: sympy.Float(float(v)) for s, v in zip(self.symbols, values, strict=True)}
        )
