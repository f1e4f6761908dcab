"""Expressions as people write them, as text and in LaTeX, in the order in which they were written.

A product keeps its order; what stands in denominators goes there, and powers of one name are merged:
`-39.48*m2/d**2` times Δ/d is −39.48 m₂ Δ/d³.
"""

from __future__ import annotations

import ast
import functools
import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

from gnn_distill.distil.expressions.parse import parse
from gnn_distill.physics import variables
from gnn_distill.report.text import with_signs

VECTORS = {
    "Δ": ("Δ", r"\mathbf{\Delta}"),
    "w⃗": ("w", r"\mathbf{w}"),
    "v⃗": ("v₁", r"\mathbf{v}_1"),
    "x⃗": ("x₁", r"\mathbf{x}_1"),
    "v⊥": ("(v_y, −v_x)", r"(v_y,\, -v_x)"),
    "x⊥": ("(y, −x)", r"(y,\, -x)"),
    "Δ⊥": ("Δ⊥", r"\mathbf{\Delta}_\perp"),
    "Δ×w": ("(Δ × w)", r"(\mathbf{\Delta} \times \mathbf{w})"),
    "|v|": ("|v₁|", r"|\mathbf{v}_1|"),
    "|x|": ("|x₁|", r"|\mathbf{x}_1|"),
}
"""Names of vectors and of their lengths in trees: as text and in LaTeX."""
_SPOKEN = {"w": "|w|", "uw": "(u·w)", **{name: f"{name[0]}_{name[1]}" for name in variables.RELATIVE}}
_SPOKEN |= {name: f"v_{name[1]}" for name in variables.VELOCITIES}


class Part(NamedTuple):
    """A base to a power in a product, or in what it is divided by."""

    base: ast.expr
    power: float | int = 1


def tree(text: str) -> ast.expr:
    """The tree of an expression in the notation of run directories.

    Raises:
        InputError: it is none.
    """
    parse(text)
    return ast.parse(text.strip(), mode="eval").body


def name(of: str) -> ast.expr:
    """The leaf with this name, which may be one of `VECTORS`."""
    return ast.Name(id=of)


def times(*factors: ast.expr, over: str | None = None) -> ast.expr:
    """The product, divided by the name `over`."""
    found = factors[0]
    for factor in factors[1:]:
        found = ast.BinOp(left=found, op=ast.Mult(), right=factor)
    return found if over is None else ast.BinOp(left=found, op=ast.Div(), right=name(over))


def summands(node: ast.expr, sign: int = 1) -> list[tuple[int, ast.expr]]:
    """The terms of a sum, each with its sign."""
    match node:
        case ast.BinOp(left=left, op=ast.Add() | ast.Sub() as op, right=right):
            other = sign if isinstance(op, ast.Add) else -sign
            return [*summands(left, sign), *summands(right, other)]
        case ast.UnaryOp(op=ast.USub(), operand=inner):
            return summands(inner, -sign)
    flipped, parts = factors(node)
    return [(sign * flipped, _product(parts))]


def floats(node: ast.expr) -> list[float]:
    """The sizes of the decimal numbers in a tree, each once, from left to right."""
    found = [abs(leaf.value) for leaf in _leaves(node) if isinstance(leaf.value, float)]
    return list(dict.fromkeys(found))


def lengths(node: ast.expr) -> dict[float, float]:
    """Over what distance each exponential of the distance falls to 1/e, by the number that stands in it."""
    found = {}
    for part in ast.walk(node):
        if isinstance(part, ast.Call) and isinstance(part.func, ast.Name) and part.func.id == "exp":
            sign, inside = factors(part.args[0])
            numbers = [p for p in inside if isinstance(p.base, ast.Constant)]
            names = [p for p in inside if isinstance(p.base, ast.Name) and p.base.id in "dr" and p.power == 1]
            if sign < 0 and len(numbers) == len(names) == 1 and len(inside) == 2:
                value, power = abs(numbers[0].base.value), numbers[0].power  # type: ignore[attr-defined]
                found[value] = float(value ** (-power))
    return found


def _leaves(node: ast.AST) -> Iterator[ast.Constant]:
    if isinstance(node, ast.Constant):
        yield node
    for child in ast.iter_child_nodes(node):
        yield from _leaves(child)


def factors(node: ast.expr, up: int = 1) -> tuple[int, list[Part]]:
    """Sign and factors of a product, powers of one name merged, divisors with negative powers."""
    sign = 1
    found: list[Part] = []
    for part in _factors(node, up):
        if isinstance(part, int):
            sign = -sign
            continue
        same = [k for k, p in enumerate(found) if _alike(p, part)]
        if same:
            found[same[0]] = Part(part.base, found[same[0]].power + part.power)
        else:
            found.append(part)
    return sign, [part for part in found if part.power != 0]


def _alike(one: Part, other: Part) -> bool:
    return (
        isinstance(one.base, ast.Name) and isinstance(other.base, ast.Name) and one.base.id == other.base.id
    )


def _factors(node: ast.expr, up: int) -> Iterator[Part | int]:
    """Factors one by one; −1 for each sign."""
    match node:
        case ast.BinOp(left=left, op=ast.Mult(), right=right):
            yield from _factors(left, up)
            yield from _factors(right, up)
        case ast.BinOp(left=left, op=ast.Div(), right=right):
            yield from _factors(left, up)
            yield from _factors(right, -up)
        case ast.UnaryOp(op=ast.USub(), operand=inner):
            yield -1
            yield from _factors(inner, up)
        case ast.Constant(value=int(value)) if value == 1:
            return
        case ast.Constant(value=value) if isinstance(value, int | float) and value < 0:
            yield -1
            yield Part(ast.Constant(value=-value), up)
        case ast.BinOp(left=base, op=ast.Pow(), right=power) if (exponent := _number(power)) is not None:
            yield Part(base, up * exponent)
        case _:
            yield Part(node, up)


def _number(node: ast.expr) -> float | int | None:
    match node:
        case ast.Constant(value=value) if isinstance(value, int | float):
            return int(value) if float(value).is_integer() else value
        case ast.UnaryOp(op=ast.USub(), operand=inner) if (value := _number(inner)) is not None:
            return -value
    return None


def _product(parts: Sequence[Part]) -> ast.expr:
    """A tree of factors again."""
    if not parts:
        return ast.Constant(value=1)
    return times(*(_power(part) for part in parts))


def _power(part: Part) -> ast.expr:
    if part.power == 1:
        return part.base
    return ast.BinOp(left=part.base, op=ast.Pow(), right=ast.Constant(value=part.power))


class Writer(ABC):
    """Writes trees.

    Args:
        number: a positive decimal number as text.
    """

    def __init__(self, number: Callable[[float], str]) -> None:
        self.number = number

    @abstractmethod
    def name(self, name: str) -> str:
        """A variable."""

    @abstractmethod
    def power(self, base: str, exponent: str) -> str:
        """A power."""

    @abstractmethod
    def fraction(self, before: list[str], over: list[str], under: list[str]) -> str:
        """A product: `before` are numbers, brackets and functions, `over` names."""

    @abstractmethod
    def call(self, function: str, inner: str) -> str:
        """A function of something."""

    @abstractmethod
    def brackets(self, inner: str) -> str:
        """Something in brackets."""

    minus, between, gap = "−", " · ", " "

    def __call__(self, node: ast.expr) -> str:
        """The whole expression."""
        return self.sum(summands(node))

    def sum(self, terms: Sequence[tuple[int, ast.expr]]) -> str:
        """Terms with their signs."""
        text = ""
        for k, (sign, term) in enumerate(terms):
            between = f" {'+' if sign > 0 else self.minus} " if k else "" if sign > 0 else self.minus
            text += between + self.product(term)
        return text

    def product(self, node: ast.expr) -> str:
        """A product without its sign, which the caller writes."""
        _, parts = factors(node)
        numbers = [p for p in parts if isinstance(p.base, ast.Constant) and p.power == 1]
        rest = [p for p in parts if p not in numbers]
        before = [self.between.join(self.atom(p.base) for p in numbers)] if numbers else []
        over: list[str] = []
        under: list[str] = []
        for part in rest:
            text = self.part(Part(part.base, abs(part.power)))
            if part.power < 0:
                under.append(text)
            else:
                (over if isinstance(part.base, ast.Name) else before).append(text)
        if not over and (under or not before):
            over = ["1"]
        return self.fraction(before, over, under)

    def part(self, part: Part) -> str:
        """A base to a positive power."""
        if part.power == 1:
            return self.atom(part.base)
        if part.power == 0.5:
            return self.call("sqrt", self(part.base))
        return self.power(self.atom(part.base), f"{part.power:.4g}")

    def atom(self, node: ast.expr) -> str:
        """Something that a power may be taken of."""
        match node:
            case ast.Constant(value=value):
                return str(value) if isinstance(value, int) else self.number(value)  # type: ignore[arg-type]
            case ast.Name(id=known):
                return self.name(known)
            case ast.Call(func=ast.Name(id=function), args=inner):
                return self.call(function, ", ".join(map(self, inner)))
            case ast.BinOp(left=base, op=ast.Pow(), right=exponent) if _number(exponent) is None:
                return self.power(self.atom(base), self(exponent))
        return self.brackets(self(node))


class Text(Writer):
    """One line of plain text."""

    def name(self, name: str) -> str:
        """A variable with subscripts."""
        return VECTORS[name][0] if name in VECTORS else _SPOKEN.get(name) or with_signs(name)

    def power(self, base: str, exponent: str) -> str:
        """2, 3 and 4 stand high."""
        high = dict(zip("234", "²³⁴", strict=True)).get(exponent)
        plain = exponent.replace(".", "").isalnum()
        return base + (high or f"^{exponent}" if plain else f"^({exponent})")

    def fraction(self, before: list[str], over: list[str], under: list[str]) -> str:
        """In one line."""
        divisor = f"({' '.join(under)})" if len(under) > 1 else "".join(under)
        above = [*before, *(over if over != ["1"] or not before else [])]
        return " ".join(above) + (f"/{divisor}" if under else "")

    def call(self, function: str, inner: str) -> str:
        """E to a power, a root, an absolute value, or a function by its name."""
        named = {"exp": f"e^({inner})", "Abs": f"|{inner}|", "sqrt": f"√({inner})", "inv": f"1/({inner})"}
        return named.get(function) or f"{function.lower()}({inner})"

    def brackets(self, inner: str) -> str:
        """Round ones."""
        return f"({inner})"


class Tex(Writer):
    """LaTeX, as far as figures can set it."""

    minus, between, gap = "-", r" \cdot ", r" \, "

    def name(self, name: str) -> str:
        """A variable; vectors are bold."""
        return VECTORS[name][1] if name in VECTORS else variables.latex(name)

    def power(self, base: str, exponent: str) -> str:
        """A superscript."""
        return rf"{base}^{{{exponent}}}"

    def fraction(self, before: list[str], over: list[str], under: list[str]) -> str:
        """Names and divisors stand in a fraction, behind all else."""
        if not under:
            return r" \, ".join([*before, *over])
        if len(before) == 1 and before[0][0].isdigit() and over == ["1"]:
            before, over = [], before
        above = r" \, ".join(over) or "1"
        return r" \, ".join([*before, rf"\dfrac{{{above}}}{{{' '.join(under)}}}"])

    def call(self, function: str, inner: str) -> str:
        """As `Text.call`."""
        named = {
            "exp": f"e^{{{inner}}}",
            "Abs": rf"\left| {inner} \right|",
            "sqrt": rf"\sqrt{{{inner}}}",
            "inv": rf"\dfrac{{1}}{{{inner}}}",
        }
        return named.get(function) or rf"\{function.lower()}\left( {inner} \right)"

    def brackets(self, inner: str) -> str:
        """Of the height of what is in them."""
        return rf"\left( {inner} \right)"


def digits(value: float, interval: Sequence[float] | None, most: int = 4) -> int:
    """Significant digits that an interval allows; `most` where there is none."""
    width = abs(interval[1] - interval[0]) / 2 if interval else 0.0
    if width <= 0 or value == 0 or not math.isfinite(width):
        return most
    return min(most, max(2, math.ceil(math.log10(abs(value) / width))))


def shortened(value: float, count: int) -> str:
    """A number with so many significant digits, zeros kept; powers of ten where it is very large or small."""
    if value != 0 and not 1e-4 <= abs(value) < 1e6:
        mantissa, _, power = f"{value:.{count - 1}e}".partition("e")
        return f"{mantissa}e{int(power)}".replace("-", "−")
    text = f"{value:#.{count}g}"
    if "e" in text:  # 1234567 with four digits
        text = f"{float(text):.0f}"
    return text.rstrip(".").replace("-", "−")


def spoken(expression: str) -> str:
    """An expression in one line, numbers with four digits: `3.1 e^(−1.1 d)/d²` for `3.1*exp(-1.1*d)/d**2`."""
    return Text(functools.partial(shortened, count=4))(tree(expression))
