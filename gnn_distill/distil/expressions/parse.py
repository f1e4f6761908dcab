"""Text to sympy and back, without ever running the text.

Only arithmetic, numbers, the given variable names and a handful of functions are understood.
Length, depth, number size and exponents are limited, so that a hostile file costs nothing.
"""

from __future__ import annotations

import ast
import contextlib
import math
import operator
import sys
from collections.abc import Callable, Collection, Iterable

import sympy
from mpmath.libmp import NoConvergence
from sympy.printing.str import StrPrinter

from gnn_distill.errors import InputError
from gnn_distill.physics.variables import VARIABLES, is_variable

MAX_LENGTH = 4000
MAX_DEPTH = 100
MAX_EXPONENT = 20
MAX_NUMBER = 1e200  # constants of lengths in metres to the power of 12 are as large

NO_VALUE = (
    ArithmeticError,
    AttributeError,
    MemoryError,
    NotImplementedError,
    RecursionError,
    TypeError,
    ValueError,
    sympy.PolynomialError,
    NoConvergence,
)
"""What SymPy raises where an expression cannot be worked out."""

R = sympy.Symbol("r")
"""The distance of a pair, softened."""

FUNCTIONS: dict[str, Callable[..., sympy.Expr]] = {
    "exp": sympy.exp,
    "log": sympy.log,
    "sqrt": sympy.sqrt,
    "Abs": sympy.Abs,
    "sin": sympy.sin,
    "cos": sympy.cos,
    "tanh": sympy.tanh,
    "Max": sympy.Max,
    "inv": lambda x: 1 / x,
}
"""All of one argument, but for `Max` of two."""
BINARY: dict[type[ast.operator], Callable[[sympy.Expr, sympy.Expr], sympy.Expr]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.Pow: operator.pow,
}


def parse(text: str, names: Collection[str] | None = None) -> sympy.Expr:
    """Read an expression.

    Args:
        text: arithmetic in Python's notation: ``+ - * / **``, numbers, calls of `FUNCTIONS`.
        names: the variables that may occur; each becomes a plain `sympy.Symbol`. If None, all that an
            equation may hold, see `gnn_distill.physics.variables.is_variable`.

    Raises:
        InputError: names the part that is not understood.
    """
    if not isinstance(text, str) or not text.strip():
        raise InputError("expression", text, "give an expression such as -m2*dx/r**3")
    if len(text) > MAX_LENGTH:
        raise InputError("expression", text[:40] + "…", f"shorten it to at most {MAX_LENGTH} characters")
    try:
        tree = ast.parse(text.strip(), mode="eval")
    except (SyntaxError, ValueError, MemoryError, RecursionError):
        raise InputError("expression", text[:80], "write arithmetic such as -m2*dx/r**3") from None
    if names is None:
        used = {part.id for part in ast.walk(tree) if isinstance(part, ast.Name)}
        names = {*VARIABLES, *filter(is_variable, used)}
    result = _convert(tree.body, frozenset(names), 0)
    if result.has(sympy.zoo, sympy.nan, sympy.oo, -sympy.oo, sympy.I):
        raise InputError("expression", text[:80], "remove the division by zero or the overflow")
    if any(p.exp.is_number and abs(p.exp) > MAX_EXPONENT for p in result.atoms(sympy.Pow)):
        raise InputError("expression", text[:80], f"use exponents of size at most {MAX_EXPONENT}")
    return result


def parse_all(texts: Iterable[str], names: Collection[str]) -> list[sympy.Expr]:
    """What an engine has found, in its notation (^ for powers), less the equations that `parse` refuses."""
    found = []
    for text in texts:
        with contextlib.suppress(InputError):
            found.append(parse(text.replace("^", "**"), names))
    return found


def _convert(node: ast.expr, names: frozenset[str], depth: int) -> sympy.Expr:
    if depth > MAX_DEPTH:
        raise InputError("expression", _show(node), f"nest at most {MAX_DEPTH} levels deep")
    match node:
        case ast.Constant(value=value):
            return _number(value)
        case ast.Name(id=name) if name in names:
            return sympy.Symbol(name)
        case ast.Name(id=name):
            raise InputError("expression", name, f"use the variables {', '.join(sorted(names))}")
        case ast.UnaryOp(op=ast.USub(), operand=operand):
            return -_convert(operand, names, depth + 1)
        case ast.BinOp(left=left, op=op, right=right) if type(op) in BINARY:
            a, b = _convert(left, names, depth + 1), _convert(right, names, depth + 1)
            if isinstance(op, ast.Pow):
                return _fold(node, lambda: _power(node, a, b))
            return _fold(node, lambda: BINARY[type(op)](a, b))
        case ast.Call(func=ast.Name(id=name), args=args, keywords=[]) if _takes(name, len(args)):
            inner = [_convert(arg, names, depth + 1) for arg in args]
            return _fold(node, lambda: _call(name, *inner))
    allowed = "+ - * / **, numbers, variables and " + ", ".join(FUNCTIONS)
    raise InputError("expression", _show(node), f"use only {allowed}")


def _number(value: object) -> sympy.Expr:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise InputError("expression", value, "use only plain real numbers")
    if not abs(value) <= MAX_NUMBER:
        raise InputError("expression", str(value)[:40], f"use finite numbers of size at most {MAX_NUMBER:g}")
    return sympy.Integer(value) if isinstance(value, int) else sympy.Float(value)


def _fold(node: ast.expr, build: Callable[[], sympy.Expr]) -> sympy.Expr:
    """The value of one operation; arithmetic on plain numbers is done at once, in floats."""
    try:
        result = build()
        if not result.is_number:
            return result
        size = float(result)
    except InputError:
        raise
    except NO_VALUE:
        size = math.nan
    if not abs(size) <= MAX_NUMBER:
        raise InputError("expression", _show(node), "use numbers that are real and finite")
    return result if result.is_Rational else sympy.Float(size)


def _power(node: ast.expr, base: sympy.Expr, exponent: sympy.Expr) -> sympy.Expr:
    if exponent.is_number and not abs(float(exponent)) <= MAX_EXPONENT:
        raise InputError("expression", _show(node), f"use exponents of size at most {MAX_EXPONENT}")
    if exponent.is_Float and float(exponent).is_integer():
        exponent = sympy.Integer(int(exponent))
    if base.is_number and not base.is_zero and exponent.is_number and not exponent.is_Integer:
        return sympy.Float(float(base) ** float(exponent))  # not sympy's sqrt(2)
    return base**exponent


def _takes(name: str, count: int) -> bool:
    return name in FUNCTIONS and count == (2 if name == "Max" else 1)


def _call(name: str, argument: sympy.Expr, *others: sympy.Expr) -> sympy.Expr:
    if name in ("inv", "Max") or not argument.is_number:
        return FUNCTIONS[name](argument, *others)
    return sympy.Float(getattr(math, name.replace("Abs", "fabs"))(float(argument)))


def _show(node: ast.expr) -> str:
    try:
        return ast.unparse(node)[:80]
    except RecursionError:
        return f"something nested {sys.getrecursionlimit()} levels deep or more"


class _ExactPrinter(StrPrinter):
    """Prints floats so that reading them back gives the same number."""

    def _print_Float(self, expr: sympy.Float) -> str:  # noqa: N802 (sympy's naming)
        return repr(float(expr))


def rounded(expression: sympy.Expr, figures: int) -> sympy.Expr:
    """The expression with all floats to so many figures."""
    return expression.xreplace({f: sympy.Float(f, figures) for f in expression.atoms(sympy.Float)})


def write(expression: sympy.Expr) -> str:
    """The expression as text that `parse` reads back exactly."""
    return str(_ExactPrinter().doprint(expression))
