"""Short functions of the distance, gone through one by one: terms rᵃ × a shape, and sums of two of them.

All terms are put on a grid of lengths and exponents. One product of matrices then says how well each of them,
and each two of them, can fit; the constants of the best are fitted.

Shapes: G distances, C columns, P constants.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import sympy
from scipy.optimize import least_squares

from gnn_distill.arrays import Array
from gnn_distill.distil.expressions.evaluate import compiled
from gnn_distill.distil.expressions.front import complexity
from gnn_distill.distil.expressions.parse import parse

NARROW = (
    "1", "log(r)", "exp(-r/L)", "exp(-r**2/L**2)", "1/(r + L)", "1/(r + L)**2", "1/sqrt(r**2 + L**2)",
    "1/(r**2 + L**2)", "(r**2 + L**2)**(-3/2)", "1/(1 + (r/L)**3)", "1/(1 + (r/L)**4)", "sqrt(r + L)",
    "tanh(r/L)", "log(1 + r/L)", "cos(r/L)", "sin(r/L)",
)  # fmt: skip
"""Shapes of one length at most: alone, and with each other."""
WIDE = (
    "tanh((r - R)/L)",
    "exp(-r/L)*cos(r/R)",
    "exp(-r/L)*sin(r/R)",
    "exp(-r/L)/(r + R)",
    "tanh(r/R)*exp(-r/L)",
)
"""Shapes of two lengths: alone, and with a power or logarithm of the distance."""
STEEP = {
    "exp(-(r/L)**n)": (0.5, 1.3, 1.6, 2.0, 3.0),
    "(r + L)**n": (-3.0, -2.0, -1.0, 0.5),
    "(r**2 + L**2)**n": (-2.0, -1.5, -1.0, -0.5),
    "1/(1 + (r/L)**n)": (2.0, 3.0, 4.0, 6.0),
    "exp(-r/L)*(r + R)**n": (-2.0, -0.5, 0.5),
}
"""Shapes with a free exponent and its first values: alone."""
POWERS = (-3.0, -2.0, -1.0, -0.5, 0.0, 0.5, 1.0, 2.0)
SOME = (-2.0, -1.0, 0.0, 1.0)
"""Of the distance, in front of a narrow shape, and of the others."""
LENGTHS = {"L": np.geomspace(0.1, 4.0, 19), "R": np.geomspace(0.15, 3.0, 7)}
"""In median distances."""
FREE = (-5.0, -4.0, -3.4, *np.arange(-2.9, 2.6, 0.2))
"""Exponents of a power by itself."""
APART = 1e-5
"""Least 1 − cos² of two columns that are tried together."""
CLASSES, KEPT = 40, 6
"""Of each number of constants: sums whose constants are fitted, and the best of these that are kept."""
QUICK, THOROUGH = 8, 40
"""Steps of a fit, of all and of those that are kept."""
MANY, TRIED = 20_000, 2
"""Best places on the grid among which pairs are looked for, and from which a single term is fitted."""
WIDEST = 1e3
"""Bounds of a length, in median distances, and their inverse."""
SNAP = 0.12
"""An exponent this near to a whole or half number is tried there, too, and then is no constant."""


Mask = npt.NDArray[np.bool_]
Grid = tuple[tuple[float, ...], ...]
"""Constants of a term, one place after another."""


@dataclass(frozen=True)
class Short:
    """A sum of terms of the distance.

    Attributes:
        terms: up to their factors, in r and letters.
        letters: of the constants, [P].
        values: of these.
        loss: root of the mean squared error, in units of the weighted target.
    """

    terms: tuple[sympy.Expr, ...]
    letters: tuple[str, ...]
    values: tuple[float, ...]
    loss: float

    @property
    def cost(self) -> int:
        """Numbers that are fitted."""
        return len(self.terms) + len(self.letters)

    @property
    def size(self) -> int:
        """Complexity of the expression."""
        return sum(complexity(t) + 2 for t in self.terms) + len(self.terms) - 1


@dataclass(frozen=True)
class _Atom:
    """A term with letters, which of them are lengths, and its points on the grid."""

    term: sympy.Expr
    letters: tuple[str, ...]
    grid: Grid


def shortest(r: Array, y: Array, most: int) -> list[Short]:
    """The best short functions for values y [G] at distances r [G], best first of each number of constants.

    Args:
        r: distances.
        y: the target there.
        most: numbers that a function may have.
    """
    middle = float(np.median(r))
    weight = 1.0 / np.hypot(y, 0.3 * np.mean(np.abs(y)) + 1e-300)
    problem = _Target(r / middle, y * weight, weight)
    found: dict[int, list[Short]] = {}
    for short in itertools.chain.from_iterable(map(problem.fitted, problem.classes())):
        if short.cost <= most:
            found.setdefault(short.cost, []).append(short)
    best: list[Short] = []
    for cost in sorted(found):
        ranked = sorted(found[cost], key=lambda s: (s.loss, s.size))
        ranked = [s for k, s in enumerate(ranked) if all(s.terms != o.terms for o in ranked[:k])]
        refitted = [problem.fit(s.terms, s.letters, s.values, THOROUGH) for s in ranked[: 2 * KEPT]]
        best += sorted(refitted, key=lambda s: (s.loss, s.size))[:KEPT]
    return [_in_units(short, middle) for short in best]


def _in_units(short: Short, middle: float) -> Short:
    """The same with lengths in the units of the data."""
    values = (v * middle if n[0] in LENGTHS else v for n, v in zip(short.letters, short.values, strict=True))
    return Short(short.terms, short.letters, tuple(values), short.loss)


def _atoms() -> list[_Atom]:
    r, n, found = sympy.Symbol("r"), sympy.Symbol("n"), []
    for text in (*NARROW, *WIDE, *STEEP):
        shape = parse(text, ("r", "L", "R", "n"))
        letters = tuple(c for c in ("L", "R", "n") if shape.has(sympy.Symbol(c)))
        grids = [STEEP[text] if c == "n" else LENGTHS[c] for c in letters]
        grid: Grid = tuple(tuple(float(v) for v in c) for c in itertools.product(*grids))
        for power in POWERS if text in NARROW else SOME:
            whole = sympy.Integer(int(power)) if power.is_integer() else sympy.Rational(power)
            found.append(_Atom(r**whole * shape, letters, grid))
    free: Grid = tuple((float(v),) for v in FREE)
    return [*found, _Atom(r**n, ("n",), free)]


Place = tuple[_Atom, tuple[float, ...]]
"""A term and its constants on the grid."""


@dataclass(frozen=True)
class _Target:
    """Distances [G] in their median, a weighted target [G], and the weights [G]."""

    r: Array
    y: Array
    weight: Array

    def values(
        self, term: Callable[..., Array], letters: Sequence[str], constants: Sequence[float] | Array
    ) -> Array:
        """A term at the distances, weighted."""
        with np.errstate(all="ignore"):
            found = term({"r": self.r, **dict(zip(letters, constants, strict=True))})
        return np.asarray(np.broadcast_to(found, self.r.shape) * self.weight)

    def classes(self) -> list[list[Place]]:
        """The most promising terms and pairs of terms, with their constants on the grid."""
        places, columns, kind = [], [], []
        for k, atom in enumerate(_atoms()):
            function = compiled(atom.term)
            for constants in atom.grid:
                column = self.values(function, atom.letters, constants)
                size = float(np.linalg.norm(column))
                if np.isfinite(size) and size > 0:
                    columns.append(column / size)
                    places.append((atom, constants))
                    kind.append(k)
        table, of = np.stack(columns, axis=1), np.array(kind)
        free = np.array([len(atom.letters) for atom, _ in places])
        found = [[places[k] for k in both] for both in self._pairs(table, of, free, free <= 1, free <= 1)]
        found += [[places[k] for k in both] for both in self._pairs(table, of, free, free == 2, free == 0)]
        found += [[places[k] for k in both] for both in self._steep(places, table, of, free)]
        pull = np.abs(table.T @ self.y)
        for count in range(int(free.max()) + 1):
            for k in sorted(set(of[free == count])):
                own = np.flatnonzero(of == k)
                found += [[places[n]] for n in own[np.argsort(-pull[own])[:TRIED]]]
        return found

    def _steep(self, places: list[Place], table: Array, of: Array, free: Array) -> list[tuple[int, int]]:
        """Pairs of stretched exponentials, one place for two kinds with their exponents."""
        stretched = [atom.term.has(sympy.exp) and atom.letters == ("L", "n") for atom, _ in places]
        exponents = np.array([v[-1] if s else 0.0 for s, (_, v) in zip(stretched, places, strict=True)])
        kind = 100 * of + np.unique(exponents, return_inverse=True)[1]
        return self._pairs(table, kind, free, np.array(stretched), np.array(stretched))

    def _pairs(self, table: Array, of: Array, free: Array, one: Mask, two: Mask) -> list[tuple[int, int]]:
        """For each number of constants the best columns of `one` beside `two`, one place for two kinds."""
        rows, cols = np.flatnonzero(one), np.flatnonzero(two)
        a, b = table[:, rows], table[:, cols]
        pull_a, pull_b, gram = a.T @ self.y, b.T @ self.y, a.T @ b
        area = 1 - gram**2
        gain = pull_a[:, None] ** 2 + pull_b**2 - 2 * gram * np.outer(pull_a, pull_b)
        gain = np.where(area > APART, gain / np.maximum(area, APART), 0.0)
        cost = free[rows][:, None] + free[cols]
        found: list[tuple[int, int]] = []
        for count in np.unique(cost):
            of_cost = np.where(cost == count, gain, 0.0)
            best = np.argpartition(-of_cost.ravel(), min(MANY, of_cost.size - 1))[:MANY]
            known: set[tuple[int, ...]] = set()
            for place in best[np.argsort(-of_cost.ravel()[best])]:
                i, k = rows[place // len(cols)], cols[place % len(cols)]
                kinds = tuple(sorted((of[i], of[k])))
                if kinds not in known and len(known) < CLASSES and i != k:
                    known.add(kinds)
                    found.append((int(i), int(k)))
        return found

    def fitted(self, parts: list[Place]) -> list[Short]:
        """The sum with its constants fitted; once more with exponents made whole or half."""
        terms: list[sympy.Expr] = []
        letters: list[str] = []
        start: list[float] = []
        for k, (atom, constants) in enumerate(parts):
            new = {sympy.Symbol(n): sympy.Symbol(n + "ab"[k]) for n in atom.letters}  # no property ends so
            terms.append(atom.term.xreplace(new))
            letters += map(str, new.values())
            start += constants
        first = self.fit(terms, letters, start, QUICK)
        found = [first]
        steep = [n for n, v in zip(letters, first.values, strict=True) if n[0] == "n" and _near_half(v)]
        if steep:
            values = dict(zip(letters, first.values, strict=True))
            put = {sympy.Symbol(n): sympy.Rational(round(2 * values[n]), 2) for n in steep}
            rest = [n for n in letters if n not in steep]
            found.append(self.fit([t.xreplace(put) for t in terms], rest, [values[n] for n in rest], QUICK))
        return found

    def fit(
        self, terms: Sequence[sympy.Expr], letters: Sequence[str], start: Sequence[float], steps: int
    ) -> Short:
        """The terms with their constants fitted from a start on."""
        functions = [compiled(t) for t in terms]
        long = np.array([n[0] in LENGTHS for n in letters], dtype=bool)

        def constants(v: Array) -> Array:
            return np.where(long, np.exp(np.where(long, v, 0.0)), v)

        def rest(v: Array) -> Array:
            columns = [self.values(f, letters, constants(v)) for f in functions]
            table = np.nan_to_num(np.stack(columns, axis=1), nan=0.0, posinf=0.0, neginf=0.0)
            table /= np.maximum(np.linalg.norm(table, axis=0), 1e-300)
            return np.asarray(self.y - table @ np.linalg.lstsq(table, self.y, rcond=1e-12)[0])

        v = np.where(long, np.log(np.where(long, start, 1.0)), start) if letters else np.zeros(0)
        if letters:
            bound = np.where(long, np.log(WIDEST), 15.0)
            v = least_squares(rest, np.clip(v, -bound, bound), bounds=(-bound, bound), max_nfev=steps).x
        error = rest(v)
        return Short(
            tuple(terms), tuple(letters), tuple(map(float, constants(v))), float(np.sqrt(np.mean(error**2)))
        )


def _near_half(value: float) -> bool:
    return abs(2 * value - round(2 * value)) < 2 * SNAP and round(2 * value) != 0
