"""Equations as short as their numbers allow: common factors cancelled, brackets led by 1."""

from __future__ import annotations

import sympy

from gnn_distill.distil.expressions.safe import tried

LONG = 40
"""Nodes beyond which nothing is cancelled: it may take longer than it is worth."""


def plain(expression: sympy.Expr) -> sympy.Expr:
    """A ratio of polynomials without common factors; other expressions as they are.

    >>> plain(sympy.sympify("-2.0*(3.0*r**2 - 3.0*r)/(m1*r)"))
    -6.0*(r - 1.0)/m1
    """
    symbols = expression.free_symbols
    nodes = sum(1 for _ in sympy.preorder_traversal(expression))
    if not symbols or nodes > LONG or not expression.is_rational_function(*symbols):
        return expression
    number, parts = sympy.S.One, []
    for factor in sympy.Mul.make_args(tried(sympy.cancel, expression, expression)):
        base, power = factor.as_base_exp()
        if base.is_Add and power.is_Integer:
            first = max(base.args, key=sympy.total_degree)
            lead, bare = first.as_coeff_Mul()
            number *= lead**power
            factor = sympy.Add(bare, *(term / lead for term in base.args if term is not first)) ** power
        parts.append(factor)
    return sympy.Mul(number, *parts)
