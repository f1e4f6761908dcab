"""Units of the numbers in a law: they follow from those of lengths, times, masses and charges.

In v₁ = Σ₂ 10.8 e^(−0.99 d) Δ/d lengths may be in µm and times in s: then 10.8 is in µm/s and 0.99 in 1/µm.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from gnn_distill.physics.variables import AXES, DELTAS, PROPERTIES, RELATIVE, VELOCITIES
from gnn_distill.report.formula import Part, factors, summands

QUANTITIES = ("length", "time", "mass", "charge")
HIGH = str.maketrans("-.0123456789", "⁻·⁰¹²³⁴⁵⁶⁷⁸⁹")

Powers = tuple[float, ...]
"""Of length, time, mass and charge in a product of these."""

PURE: Powers = (0.0, 0.0, 0.0, 0.0)
LENGTH: Powers = (1.0, 0.0, 0.0, 0.0)
VELOCITY: Powers = (1.0, -1.0, 0.0, 0.0)
ACCELERATION: Powers = (1.0, -2.0, 0.0, 0.0)
_NAMES: dict[str, Powers] = dict.fromkeys((*DELTAS, *AXES, "d", "r", "Δ", "Δ⊥", "x⃗", "x⊥", "|x|"), LENGTH)
_NAMES |= dict.fromkeys((*VELOCITIES, *RELATIVE, "w", "uw", "w⃗", "v⃗", "v⊥", "|v|"), VELOCITY)
_NAMES |= {name: (0.0, 0.0, float(name[0] == "m"), float(name[0] == "q")) for name in PROPERTIES}
_NAMES["Δ×w"] = (2.0, -1.0, 0.0, 0.0)


@dataclass
class Dimensions:
    """Dimensions of the numbers in some terms.

    Attributes:
        known: of each number by its size; None where two that are of one size differ.
    """

    known: dict[float, Powers | None] = field(default_factory=dict)

    @classmethod
    def of(cls, terms: Sequence[ast.expr], order: int) -> Dimensions:
        """Those in summands of an acceleration, or of a velocity in an equation of first order."""
        found = cls()
        for term in terms:
            found._read(term, ACCELERATION if order == 2 else VELOCITY)
        return found

    def unit(self, value: float, units: Mapping[str, str]) -> str:
        """The unit of a number of this size; empty where it has none, or where it is not known."""
        return written(self.known.get(value) or PURE, units)

    def _read(self, node: ast.expr, of: Powers | None) -> None:
        """Take in the numbers of an expression whose dimension is known, or None."""
        terms = [term for _, term in summands(node)]
        if len(terms) > 1:
            whole = of if of is not None else dimension(node)
            for term in terms:
                self._read(term, whole)
            return
        _, parts = factors(node)
        inner = [dimension(part.base) for part in parts]
        open_ = [p for p, known in zip(parts, inner, strict=True) if known is None]
        numbers = [p for p in open_ if _is_number(p.base)]
        brackets = [p for p in open_ if not _is_number(p.base) and not _unknown(p.base)]
        pairs = [(p, known) for p, known in zip(parts, inner, strict=True) if known is not None]
        alone = (numbers or brackets)[:1] if len(numbers) <= 1 and not any(map(_strange, open_)) else []
        for part, known in pairs:
            self._into(part.base, known)
        for part in (p for p in brackets if p not in alone):
            self._into(part.base, PURE)
        for part in alone:
            rest = None if of is None else _product([(p.power, known) for p, known in pairs], of)
            self._into(part.base, None if rest is None else tuple(r / part.power for r in rest))

    def _into(self, base: ast.expr, of: Powers | None) -> None:
        match base:
            case ast.Constant(value=float(value)):
                size = abs(value)
                self.known[size] = of if self.known.get(size, of) == of else None
            case ast.Call(func=ast.Name(id="Max"), args=parts):
                for part in parts:
                    self._read(part, of)
            case ast.Call(func=ast.Name(id="Abs"), args=[inner]):
                self._read(inner, of)
            case ast.Call(func=ast.Name(id="sqrt"), args=[inner]):
                self._read(inner, None if of is None else tuple(2 * p for p in of))
            case ast.Call(args=[inner]):
                self._read(inner, PURE)
            case ast.BinOp(op=ast.Add() | ast.Sub()):
                self._read(base, of)


def dimension(node: ast.expr) -> Powers | None:
    """That of an expression as far as its names tell it; None where a free number may give it any."""
    terms = [term for _, term in summands(node)]
    if len(terms) > 1:
        return next((known for known in map(dimension, terms) if known is not None), None)
    _, parts = factors(node)
    found = [(part.power, _base(part.base)) for part in parts]
    if any(known is None for _, known in found):
        return None
    return _product([(-power, known) for power, known in found if known is not None], PURE)


def _base(node: ast.expr) -> Powers | None:
    match node:
        case ast.Name(id=name):
            return _NAMES.get(name)
        case ast.Constant(value=int()):
            return PURE
        case ast.Call(func=ast.Name(id="Max"), args=parts):
            return next((known for part in parts if (known := _free(part)) is not None), None)
        case ast.Call(func=ast.Name(id="Abs"), args=[inner]):
            return dimension(inner)
        case ast.Call(func=ast.Name(id="sqrt"), args=[inner]):
            known = dimension(inner)
            return None if known is None else tuple(p / 2 for p in known)
        case ast.Call():
            return PURE
        case ast.BinOp(op=ast.Add() | ast.Sub()):
            return dimension(node)
    return None


def _free(node: ast.expr) -> Powers | None:
    """As `dimension`, but a plain number, as the 0 of max(0, x), tells nothing."""
    return None if isinstance(node, ast.Constant) else dimension(node)


def _product(parts: Sequence[tuple[float, Powers]], whole: Powers) -> Powers:
    """What is left of `whole` where these are divided out."""
    return tuple(w - sum(power * known[k] for power, known in parts) for k, w in enumerate(whole))


def _is_number(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant)


def _unknown(node: ast.expr) -> bool:
    return isinstance(node, ast.Name)


def _strange(part: Part) -> bool:
    """Whether a factor is a name of unknown dimension, as a column of the user's."""
    return _unknown(part.base)


def written(powers: Powers, units: Mapping[str, str]) -> str:
    """Powers of units as people write them: µm/s², 1/(µm s).

    Args:
        powers: of length, time, mass and charge.
        units: words for these.

    Returns:
        Empty for a pure number, and where a word is missing.
    """
    rounded = dict(zip(QUANTITIES, (round(p, 3) for p in powers), strict=True))
    if any(power and not units.get(name) for name, power in rounded.items()):
        return ""
    above = list(_powers(rounded, units, 1))
    below = list(_powers(rounded, units, -1))
    if not below:
        return " ".join(above)
    divisor = below[0] if len(below) == 1 else f"({' '.join(below)})"
    return f"{' '.join(above) or '1'}/{divisor}"


def _powers(powers: Mapping[str, float], units: Mapping[str, str], sign: int) -> Iterator[str]:
    for name, power in powers.items():
        if power * sign > 0:
            size = abs(power)
            yield units[name] + ("" if size == 1 else f"{size:g}".translate(HIGH))
