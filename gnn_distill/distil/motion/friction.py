"""Friction along the line of centres: how a pair's force changes with the speed at which it draws apart.

Dashpots of grains (Cundall and Strack 1979, Géotechnique 29, 47) and the drag of dissipative particle
dynamics (Español and Warren 1995, Europhys. Lett. 30, 191) are of this kind: −γ g(d) (u·w) along u = Δ/d.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import sympy

from gnn_distill.arrays import Array
from gnn_distill.distil.engines.textbook import LENGTHS
from gnn_distill.distil.expressions.front import complexity
from gnn_distill.distil.expressions.parse import parse
from gnn_distill.distil.motion.fit import Form, Term, together

NAME = "friction along the line"
SHAPES = ("uw", "uw*Max(0, R - r)", "uw*Max(0, R - r)**2", "uw*exp(-r/L)", "uw/r", "uw/r**2")
NEAR = 0.2
"""Quantile of the distances at which lengths start, beside those of the form."""


def length_of(form: Form, d: Array) -> float:
    """The first constant of a form that is a distance [S] of the data, or a small one of these."""
    low, high = float(d[d > 0].min()), float(d.max())
    return next((abs(s) for s in form.start if low < abs(s) < high), float(np.quantile(d, NEAR)))


def damped(form: Form, key: str, d: Array, products: Sequence[sympy.Expr] = (sympy.S.One,)) -> list[Form]:
    """A form with friction along the line beside it.

    Args:
        form: of the direction along Δ/d.
        key: that direction, or that of a group of pairs.
        d: distances of pairs, shape [S].
        products: of properties that friction may be in proportion to.
    """
    length = length_of(form, d)
    name = f"{form.name} and {NAME}" if form.name else ""
    found = []
    for product in products:
        for text in SHAPES:
            g = parse(text, ("r", "uw", *LENGTHS)) * product
            letters = tuple(n for n in LENGTHS if g.has(sympy.Symbol(n)))
            one = Form("", (Term((g,), key),), letters, (length,) * len(letters), complexity(g))
            found.append(replace(together(form, one), name=name))
    return found
