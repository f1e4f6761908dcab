"""Expressions as source code."""

from __future__ import annotations

import functools

import sympy
from sympy.printing.numpy import NumPyPrinter


class _Printer(NumPyPrinter):
    def _print_Max(self, expr: sympy.Max) -> str:  # noqa: N802 (SymPy's naming); its own takes no arrays beside numbers
        parts = [self._print(part) for part in expr.args]
        return functools.reduce(lambda one, other: f"np.maximum({one}, {other})", parts)


def with_numpy(expression: sympy.Expr, *known: str) -> str:
    """Source code that computes an expression from arrays, with `np` for NumPy.

    Args:
        expression: of variables that go by their names.
        known: functions that exist where the code runs.
    """
    printer = _Printer({"fully_qualified_modules": True, "user_functions": {name: name for name in known}})
    return str(printer.doprint(expression)).replace("numpy.", "np.")
