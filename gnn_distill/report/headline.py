"""A law of motion in one line: a sum over the other particles, and what acts on a particle by itself.

a₁ = Σ₂ 1.500 (0.6252/d + 1/d²) e^(−0.6252 d) Δ/d − 0.3001 v₁ − 0.7000 x₁
"""

from __future__ import annotations

import ast
import functools
import io
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import sympy
from matplotlib.figure import Figure
from matplotlib.transforms import Bbox

from gnn_distill.distil.expressions.evaluate import constants
from gnn_distill.distil.expressions.parse import parse, write
from gnn_distill.errors import InputError
from gnn_distill.physics.variables import AXES, SOFTENING, VELOCITIES
from gnn_distill.report.dimensions import Dimensions
from gnn_distill.report.formula import (
    Tex,
    Text,
    digits,
    floats,
    lengths,
    name,
    shortened,
    summands,
    times,
    tree,
)
from gnn_distill.report.groups import Members, members
from gnn_distill.report.style import BLACK, look
from gnn_distill.report.text import data_url, readable

SIZE = 17.0
"""Of the font of set formulas, in points."""
WAYS = {"u": ("Δ", "d"), "w": ("w⃗", None), "t": ("Δ⊥", "d")}
"""The vector of each function, and what divides it."""
PAIR = ("c₁₂ =", r"\mathbf{c}_{12} =")
"""The left-hand side of what a pair contributes."""
SAME = 1e-6
"""Factors that differ by a smaller share are one factor."""


class Constant(NamedTuple):
    """A number of the law as the formula shows it: size, interval, the term in which it stands, and unit."""

    value: str
    interval: str
    place: str
    unit: str


@dataclass(frozen=True)
class Headline:
    """A law in one line.

    Attributes:
        text: the whole line.
        tex: the left-hand side, then each term with its sign, in LaTeX; empty where that fails.
        constants: its numbers.
        meanings: what its letters stand for.
        cases: where groups of pairs have laws of their own, each of them; `text` calls it c₁₂.
    """

    text: str
    tex: tuple[str, ...]
    constants: tuple[Constant, ...]
    meanings: tuple[str, ...]
    cases: tuple[Case, ...] = ()


@dataclass(frozen=True)
class Case:
    """What a pair of some group contributes: whose pairs these are, and its law as in `Headline`."""

    name: str
    text: str
    tex: tuple[str, ...]
    constants: tuple[Constant, ...]


class _Term(NamedTuple):
    """A summand: sign, tree, whether it is summed over the others, and the place of its numbers."""

    sign: int
    tree: ast.expr | None
    paired: bool
    place: str
    components: tuple[ast.expr, ...] = ()


def headline(law: Mapping[str, Any]) -> Headline:
    """The law of `law.json` in one line; where it cannot be understood, as it is written there."""
    try:
        apart = members(law)
        terms = [term for term in _terms(law) if not (apart and term.paired)]
        left = "a" if law.get("order", 2) == 2 else "v"
        pair = ("Σ₂ c₁₂", r"\sum_{2} \, \mathbf{c}_{12}") if apart else None
        text, tex, known = _sides(law, terms, (f"{left}₁ =", rf"\mathbf{{{left}}}_1 ="), pair)
        cases = tuple(_case(law, group) for group in apart)
    except InputError:
        found = [str(text) for text in (*(law.get("functions") or {}).values(), *(law.get("one_body") or ()))]
        return Headline("; ".join(map(readable, found)), (), (), ())
    numbers = [*(c for case in cases for c in case.constants), *_constants(terms, known, law)]
    said = _meanings(law, [*_terms(law)])
    return Headline(text, tex, tuple(numbers), tuple(said), cases)


def _sides(
    law: Mapping[str, Any],
    terms: Sequence[_Term],
    left: tuple[str, str],
    first: tuple[str, str] | None = None,
) -> tuple[str, tuple[str, ...], dict[bool, Known]]:
    """An equation in plain text and in LaTeX; pairs are summed over unless the left-hand side is a pair's."""
    known = {paired: Known.of(law, paired) for paired in (True, False)}
    texts = {paired: Text(of.short) for paired, of in known.items()}
    tex = {paired: Tex(of.tex) for paired, of in known.items()}
    over = ("", "") if left[0] == PAIR[0] else ("Σ₂ ", r"\sum_{2} \, ")
    begun = first is not None
    plain = [left[0], *([first[0]] if first else []), *_written(terms, texts, over[0], ", ", begun)]
    set_ = [left[1], *([first[1]] if first else []), *_written(terms, tex, over[1], r",\, ", begun)]
    return " ".join(plain), tuple(set_), known


def _case(law: Mapping[str, Any], group: Members) -> Case:
    """The law of a group of pairs in one line, without what acts on a particle by itself."""
    one = {**group.law, "names": group.names, "one_body": []}
    terms = list(_terms(one))
    text, tex, known = _sides(one, terms, PAIR)
    if not terms:
        text, tex = f"{PAIR[0]} 0", (f"{PAIR[1]} 0",)
    constants = [c._replace(place=f"{group.name}: {c.place}") for c in _constants(terms, known, law)]
    return Case(group.name, text, tex, tuple(constants))


def _terms(law: Mapping[str, Any]) -> Iterator[_Term]:
    dim = len(law.get("acceleration") or ())
    for key, text in (law.get("functions") or {}).items():
        vector, over = WAYS[key]
        text = f"k12*({text})" if law.get("edges") else text  # a factor of each pair and run
        whole = times(tree(text), name("Δ×w" if key == "t" and dim == 3 else vector), over=over)
        parts = summands(whole)
        yield _Term(*parts[0], True, _place(law, key))
    yield from _alone([str(text) for text in law.get("one_body") or ()])


CALLED = {("v⃗", -1): "drag", ("x⃗", -1): "trap"} | {("v⊥", sign): "magnetic force" for sign in (1, -1)}
"""What one-body terms along a vector are called, by their sign."""


def _place(law: Mapping[str, Any], key: str) -> str:
    return str((law.get("names") or {}).get(key) or f"term along {Text(str).name(WAYS[key][0])}")


def _alone(texts: Sequence[str]) -> Iterator[_Term]:
    """One-body terms: as vectors where a factor is the same on all axes, the rest by components."""
    left = [list(sympy.Add.make_args(parse(text))) for text in texts]
    left = [[term for term in row if term != 0] for row in left]
    for vector, parts in _vectors(len(texts)).items():
        for term in list(left[0]) if left else []:
            factor = _short(term / parts[0], len(texts))
            rows = [_found(row, term / parts[0] * part) for row, part in zip(left, parts, strict=True)]
            where = [k for k in rows if k is not None]
            if len(where) < len(left) or factor.free_symbols & set(sympy.symbols((*AXES, *VELOCITIES))):
                continue
            for row, k in zip(left, where, strict=True):
                del row[k]
            whole = times(_factor(factor), name(vector))
            sign, term = summands(whole)[0]
            called = f"{Text(str).name(vector)} term"
            if "|x|" not in map(str, factor.free_symbols):
                called = CALLED.get((vector, sign), called)
            yield _Term(sign, term, False, called)
    if any(left):
        yield _Term(1, None, False, "term", tuple(tree(write(sympy.Add(*row))) for row in left))


def _vectors(dim: int) -> dict[str, tuple[sympy.Expr, ...]]:
    """Vectors that a one-body term may point along, by their names in formulas."""
    x, v = sympy.symbols(AXES[:dim]), sympy.symbols(VELOCITIES[:dim])
    turned = {"v⊥": (v[1], -v[0]), "x⊥": (x[1], -x[0])} if dim == 2 else {}
    return {"v⃗": tuple(v), **turned, "x⃗": tuple(x)} if dim else {}


def _short(factor: sympy.Expr, dim: int) -> sympy.Expr:
    """The factor with |v| and |x| as letters of their own."""
    factor = sympy.factor_terms(factor)
    for letter, names in (("|v|", VELOCITIES), ("|x|", AXES)):
        squares = [sympy.Symbol(n) ** 2 for n in names[:dim]]
        length = sympy.Symbol(letter, positive=True) ** 2
        factor = factor.replace(lambda e: e.is_Add, functools.partial(_whole, squares, length))
    return factor


def _whole(squares: Sequence[sympy.Expr], length: sympy.Expr, e: sympy.Expr) -> sympy.Expr:
    """A sum with all squares of one size as that of the whole vector."""
    size = e.coeff(squares[0])
    rest = e - size * sympy.Add(*squares)
    return size * length + rest if size != 0 and not rest.has(*squares) else e


def _factor(factor: sympy.Expr) -> ast.expr:
    """A factor as a tree; the letters |v| and |x| are no words that `parse` would read."""
    stand = {f"|{letter}|": f"{letter}abs" for letter in "vx"}
    plain = factor.xreplace({s: sympy.Symbol(stand.get(str(s), str(s))) for s in factor.free_symbols})
    found = ast.parse(write(plain), mode="eval").body
    for leaf in ast.walk(found):
        if isinstance(leaf, ast.Name) and leaf.id in stand.values():
            leaf.id = f"|{leaf.id[0]}|"
    return found


def _found(row: Sequence[sympy.Expr], wanted: sympy.Expr) -> int | None:
    """Where in a row of terms this one stands."""
    factor, rest = sympy.factor_terms(wanted).as_coeff_Mul()  # numbers were multiplied into its sums
    for k, term in enumerate(row):
        other, same = sympy.factor_terms(term).as_coeff_Mul()
        if same == rest and math.isclose(float(other), float(factor), rel_tol=SAME):
            return k
    return None


@dataclass(frozen=True)
class Known:
    """The intervals of a law's numbers, by their sizes."""

    intervals: tuple[tuple[float, tuple[float, float]], ...]

    @classmethod
    def of(cls, law: Mapping[str, Any], paired: bool) -> Known:
        """From `law.json`: those of pairs, or of what acts on a particle by itself."""
        rows = law.get("constants") or ()
        if not paired:
            rows = [[float(c) for c in constants(parse(str(text)))] for text in law.get("one_body") or ()]
        bounds = law.get("intervals" if paired else "one_body_intervals") or ()
        pairs = [
            (abs(value), (min(map(abs, around)), max(map(abs, around))))
            for row, limits in zip(rows, bounds, strict=False)
            for value, around in zip(row, limits, strict=False)
            if around[0] * around[1] > 0
        ]
        return cls(tuple(pairs))

    def around(self, value: float) -> tuple[float, float] | None:
        """The interval of a number; None where there is none."""
        found = (limits for known, limits in self.intervals if math.isclose(known, value, rel_tol=1e-9))
        return next(found, None)

    def short(self, value: float) -> str:
        """A number with as many of four digits as its interval allows."""
        return shortened(value, digits(value, self.around(value)))

    def tex(self, value: float) -> str:
        """The same in LaTeX."""
        mantissa, _, power = self.short(value).partition("e")
        return rf"{mantissa} \cdot 10^{{{power.replace('−', '-')}}}" if power else mantissa


def _written(
    terms: Sequence[_Term], writers: Mapping[bool, Text | Tex], over: str, comma: str, begun: bool = False
) -> Iterator[str]:
    """Each term with its sign, by the writer for pairs or the one for single particles.

    `begun`: whether another term stands before them.
    """
    for k, term in enumerate(terms):
        writer = writers[term.paired]
        later = begun or k > 0
        sign = writer.minus if term.sign < 0 else "+" if later else ""
        sign += writer.gap if later else ""
        if term.tree is None:
            body = f"({comma.join(writer(part) for part in term.components)})"
        else:
            body = (over if term.paired else "") + writer.product(term.tree)
        yield sign + body


def _constants(
    terms: Sequence[_Term], limits: Mapping[bool, Known], law: Mapping[str, Any]
) -> Iterator[Constant]:
    units = law.get("units") or {}
    for place, values, part, paired, sign in _places(terms):
        known, decays = limits[paired], lengths(part)
        dimensions = Dimensions.of([part], law.get("order", 2))
        for value in values:
            around = known.around(value)
            count = digits(value, around, 7) + 1 if around else 4
            ends = sorted(sign * end for end in around or ())
            text = " to ".join(shortened(end, count) for end in ends)
            decay = ""
            if value in decays:
                decay = f": decay length {shortened(decays[value], min(count, 4))} {units.get('length', '')}"
            unit = dimensions.unit(value, units)
            yield Constant(shortened(sign * value, count), text, (place + decay).rstrip(), unit)


def _places(terms: Sequence[_Term]) -> Iterator[tuple[str, list[float], ast.expr, bool, int]]:
    """Where numbers stand in words, their sizes, the tree that holds them, whether it is of pairs, a sign."""
    for term in terms:
        if term.tree is not None:
            yield term.place, floats(term.tree), term.tree, term.paired, 1
        for axis, component in zip(AXES, term.components, strict=False):
            for _, part in summands(component):
                wall = next((c for c in ast.walk(part) if isinstance(c, ast.Call) and len(c.args) == 2), None)
                place, inside = f"{term.place} along {axis}", [] if wall is None else floats(wall)
                if wall is not None:
                    sides = {isinstance(leaf, ast.Name): sign for sign, leaf in summands(wall.args[1])}
                    place = f"wall at {'low' if sides.get(True, 1) < 0 else 'high'} {axis}"
                    where = -sides.get(True, 1) * sides.get(False, 1)
                    yield f"{place}: begins at", inside, part, term.paired, where
                    place += ": stiffness"
                yield place, [v for v in floats(part) if v not in inside], part, term.paired, 1


def _meanings(law: Mapping[str, Any], terms: Sequence[_Term]) -> Iterator[str]:
    """What the letters of a law stand for, in the order in which a reader meets them."""
    trees = [part for term in terms for part in ((term.tree,) if term.tree else term.components)]
    used = {leaf.id for one in trees for leaf in ast.walk(one) if isinstance(leaf, ast.Name)}
    if not any(term.paired for term in terms):
        yield "no force between particles in it"
        return
    near = f" that are closer than {law['radius']:.4g}" if law.get("radius") else ""
    yield f"Σ₂: sum over all other particles 2{near}"
    if law.get("laws"):
        yield "c₁₂: what particle 2 does to particle 1"
    yield "Δ = x₁ − x₂, d = |Δ|"
    if "r" in used:
        softening = law.get("softening", SOFTENING)
        yield f"r = d + {softening:g}" if softening else "r = d"
    if used & {"w⃗", "w", "uw", "Δ×w"}:
        yield "w = v₁ − v₂"
    if "uw" in used:
        yield "u = Δ/d"
    if "Δ⊥" in used:
        yield "Δ⊥ = (−Δy, Δx)"
    if used & {"s1", "s2"}:
        yield "s: strength of an individual as a source"
    if "k12" in used:
        yield "k₁₂: factor of the pair in its run" if law.get("edges") else "k₁₂: number of the edge"
    if "t1" in used:
        yield "t: response of an individual as a receiver"


def images(tex: Sequence[str]) -> list[str]:
    """Set formulas as `data:` addresses of SVG images that share one baseline; empty if one cannot be set."""
    try:
        return list(_images(tuple(tex)))
    except ValueError:
        return []


@functools.lru_cache(maxsize=8)
def _images(tex: tuple[str, ...]) -> tuple[str, ...]:
    with look():
        figure = Figure(figsize=(1, 1), dpi=72)
        texts = [figure.text(0, 0, f"${one}$", fontsize=SIZE, color=BLACK) for one in tex]
        boxes = [text.get_window_extent() for text in texts]
        low, high = (f(edges) for f, edges in ((min, [b.y0 for b in boxes]), (max, [b.y1 for b in boxes])))
        found = []
        for text, box in zip(texts, boxes, strict=True):
            for other in texts:
                other.set_visible(other is text)
            drawn = io.BytesIO()
            frame = Bbox.from_extents(box.x0 - 2, low - 2, box.x1 + 2, high + 2)
            inches = Bbox(frame.get_points() / 72)
            figure.savefig(drawn, format="svg", metadata={"Date": None}, transparent=True, bbox_inches=inches)
            found.append(data_url(drawn.getvalue(), "svg+xml"))
    return tuple(found)
