"""Equations for people: as one line of text, and as an image of set mathematics."""

from __future__ import annotations

import io
from collections.abc import Mapping
from typing import Any

import sympy
from matplotlib.figure import Figure
from sympy.printing.latex import LatexPrinter

from gnn_distill.distil.expressions.parse import parse, write
from gnn_distill.errors import InputError
from gnn_distill.physics import variables
from gnn_distill.physics.laws import SOFTENING
from gnn_distill.report.style import BLACK, look
from gnn_distill.report.text import _NUMBER, _shorten, data_url, readable


def acceleration_text(axis: str, pair: str, one_body: str | None) -> str:
    """One line of the law: what pairs contribute, and what a particle feels by itself."""
    alone = f" + {readable(one_body)}".replace("+ −", "− ") if one_body else ""
    return f"a_{axis} = Σ_j [ {readable(pair)} ]{alone}"


def in_distance(expression: str) -> str | None:
    """The expression in the plain distance d = r − ε, where r occurs in no other way than that; else None.

    Constants within a hundredth of ε count as ε: data without softening give such laws.
    """
    try:
        parsed = parse(expression)
    except InputError:
        return None
    d, r = sympy.Symbol("d"), sympy.Symbol("r")
    moved = parsed.xreplace({r: d + SOFTENING}).replace(
        lambda part: part.is_Add and (part - d).is_number and bool(abs(part - d) < SOFTENING / 100),
        lambda part: d,
    )
    shifted = any(part.free_symbols == {d} for part in moved.atoms(sympy.Add))
    return None if shifted or not parsed.has(r) else write(moved)


def acceleration_image(axis: str, pair: str, one_body: str | None) -> str | None:
    """The same line in set mathematics, as a `data:` address of an SVG image; None if it cannot be set."""
    try:
        alone = f"{as_latex(one_body)} +" if one_body else ""
        return _image(rf"$a_{axis} \, = \, {alone} \sum_j \; {as_latex(pair)}$")
    except (InputError, ValueError):
        return None


def law_terms(law: Mapping[str, Any]) -> list[tuple[str, str, str | None]]:
    """(axis, pair expression, one-body expression or None) of each component of `law.json`."""
    pairs = law.get("acceleration") or []
    alone = law.get("one_body") or []
    alone = [None if text in ("0", "0.0") else text for text in alone] or [None] * len(pairs)
    return list(zip("xyz", pairs, alone, strict=False))


def plain_distance(law: Mapping[str, Any]) -> list[str]:
    """The law in d = |Δ|, line by line, where that is simpler; empty elsewhere."""
    if law.get("softening") == 0:
        return []
    terms = [(axis, in_distance(pair), alone) for axis, pair, alone in law_terms(law)]
    if not terms or any(pair is None for _, pair, _ in terms):
        return []
    lines = [acceleration_text(axis, str(pair), alone) for axis, pair, alone in terms]
    return ["that is, with the distance d = |Δ|:", *lines]


class _Printer(LatexPrinter):
    """Numbers with the digits that `readable` gives them."""

    def _print_Float(self, expr: sympy.Float) -> str:
        mantissa, _, power = _NUMBER.sub(_shorten, repr(float(expr))).partition("e")
        return rf"{mantissa} \cdot 10^{{{int(power)}}}" if power else mantissa


def as_latex(expression: str) -> str:
    """An expression in LaTeX, in brackets where it is a sum or negative; digits as in `readable`."""
    parsed = sympy.factor_terms(parse(expression))
    names = {symbol: variables.latex(str(symbol)) for symbol in parsed.free_symbols}
    printer = _Printer({"symbol_names": names, "mul_symbol": r" \, "})
    latex = str(printer.doprint(parsed)).replace(r"\frac", r"\dfrac")
    return rf"\left( {latex} \right)" if parsed.is_Add or latex.startswith("-") else latex


def _image(formula: str) -> str:
    drawn = io.BytesIO()
    looks: dict[str, Any] = {"bbox_inches": "tight", "pad_inches": 0.03, "transparent": True}
    with look():
        figure = Figure(figsize=(0.1, 0.1))
        figure.text(0, 0, formula, fontsize=17, color=BLACK)
        figure.savefig(drawn, format="svg", metadata={"Date": None}, **looks)
    return data_url(drawn.getvalue(), "svg+xml")
