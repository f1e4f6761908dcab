"""Equations of a search are written as short as their numbers allow."""

import pytest
import sympy

from gnn_distill.distil.expressions.plain import plain
from gnn_distill.distil.motion.fit import Form


def test_a_common_factor_goes_and_brackets_lead_with_one():
    found = plain(sympy.sympify("-2.0*(0.999*r**2 - 0.998*r)/(m1*r)"))
    r, m1 = sympy.symbols("r m1")
    assert float((found * m1 / (r - 0.998 / 0.999)).subs({r: 3.0, m1: 2.0})) == pytest.approx(-2.0 * 0.999)
    assert Form.of(found, "u").cost == 2 and len(found.args) == 3


@pytest.mark.parametrize("text", ["3.2*exp(-r/1.3)/r", "(r + 0.2)**(-1.5)*q1", "2.5", "r**2.5 + r"])
def test_other_expressions_stay(text: str):
    expression = sympy.sympify(text)
    assert plain(expression) == expression


def test_what_sympy_cannot_cancel_stays(monkeypatch):
    def fails(expression):
        raise sympy.PolynomialError("as sympy may")

    monkeypatch.setattr(sympy, "cancel", fails)
    r = sympy.Symbol("r")
    assert plain(2.0 * r / (r + 1)).equals(2.0 * r / (r + 1))
