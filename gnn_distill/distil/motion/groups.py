"""Groups of pairs between which laws may differ: kinds of receivers and senders, kinds of edges.

All pairs share one law unless runs that no fit has seen say otherwise. They are asked with free curves of the
distance, one for each group: which groups can share one? Later, with closed forms, they are asked once more.

Shapes: E edges, R rows, D space dims, G groups, K splines.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import sympy

from gnn_distill.arrays import Array
from gnn_distill.distil.expressions.points import Points
from gnn_distill.distil.motion.choose import Tried, beaten, compared, rated
from gnn_distill.distil.motion.fit import NOTHING, Fit, Form, fit, typical
from gnn_distill.distil.motion.samples import Motion
from gnn_distill.distil.motion.search import Rows
from gnn_distill.distil.motion.target import FEW, Splines, columns, products
from gnn_distill.physics.variables import BETWEEN, PROPERTIES

MOST = 36
"""Groups that are looked at: the pairs of six kinds."""
LEAST = 100
"""Pairs of a group from which on it may have a law of its own."""


@dataclass(frozen=True)
class Group:
    """Pairs that share a law.

    Attributes:
        labels: what pairs these are: `RECEIVER-SENDER` of kinds of particles, the label of an edge's kind.
        where: 1 for these pairs, 0 for all others.
    """

    labels: tuple[str, ...]
    where: sympy.Expr

    @property
    def name(self) -> str:
        """All labels in one word."""
        return ",".join(self.labels)

    def __mul__(self, other: Group) -> Group:
        """Pairs that are in both."""
        return Group((f"{self.name} {other.name}",), self.where * other.where)


@dataclass(frozen=True)
class Groups:
    """All pairs, group by group.

    Attributes:
        each: the groups that have enough pairs.
        rare: labels of those that have some, and too few.
        whole: sums of variables that are 1 for all pairs.
        kinds: columns that are 1 for the particles of a kind, by its label.
        many: number of the groups where they are too many to be looked at; `each` is then empty.
    """

    each: tuple[Group, ...]
    rare: tuple[str, ...] = ()
    whole: tuple[sympy.Expr, ...] = ()
    kinds: Mapping[str, str] = field(default_factory=dict)
    many: int = 0

    @property
    def doubts(self) -> list[str]:
        """What is not known of them, in sentences."""
        told = (
            [f"There are {self.many} groups of pairs, too many to look for a law of each"]
            if self.many
            else []
        )
        if not self.rare:
            return told
        return [
            *told,
            f"There are too few pairs of {', '.join(self.rare)} to tell their law by themselves",
        ]

    @property
    def names(self) -> set[str]:
        """The variables that say which pairs are in which group."""
        return {str(s) for one in self.whole for s in one.free_symbols}

    def joined(self, which: Sequence[int]) -> Group:
        """Several groups as one, its indicator as short as can be."""
        found = [self.each[k] for k in which]
        where = sympy.factor(sympy.Add(*(g.where for g in found)))
        for one in self.whole:
            where = where.subs(one, 1)
        return Group(tuple(label for g in found for label in g.labels), where)


def switches(named: Mapping[str, Array], names: Sequence[str]) -> list[list[str]]:
    """Sets of neighbouring columns of which each row has a one in exactly one, and zeros else."""
    found, start = [], 0
    while start < len(names):
        total = np.zeros_like(named[names[start]])
        for stop in range(start, len(names)):
            values = named[names[stop]]
            total = total + values
            if not np.isin(values, (0.0, 1.0)).all() or total.max(initial=0.0) > 1:
                break
            if stop > start and (total == 1).all():
                found.append(list(names[start : stop + 1]))
                start = stop
                break
        start += 1
    return found


def labels(names: Sequence[str]) -> list[str]:
    """What columns of kinds say, without the word that all of them begin with.

    >>> labels(["kind_Na", "kind_Ne"])
    ['Na', 'Ne']
    """
    shared = os.path.commonprefix(list(names))
    return [name[shared.rfind("_") + 1 :] for name in names]


def found(motion: Motion) -> Groups:
    """The groups of pairs that a law may tell apart; one at most where nothing does."""
    named = motion.edges.properties
    plain = [n[:-1] for n in named if n not in PROPERTIES and n.endswith("1") and n[:-1] + "2" in named]
    plain = [n for n in plain if np.ptp(named[n + "1"]) > 0]
    kinds = switches({n: named[n + "1"] for n in plain}, plain)
    edges = switches(named, [n for n in named if n.endswith(BETWEEN)])
    parts = []
    of: dict[str, str] = {}
    for names in kinds:
        side = list(zip(labels([n.rstrip("_") for n in names]), names, strict=True))
        of |= {label: name.rstrip("_") for label, name in side}
        parts.append(
            [
                Group((f"{one}-{two}",), sympy.Symbol(a + "1") * sympy.Symbol(b + "2"))
                for (one, a), (two, b) in itertools.product(side, side)
            ]
        )
    bonds = motion.edges.columns.bonds
    if bonds is not None and edges:
        parts.append(
            [
                Group((f"{kind:g}",), sympy.Symbol(n))
                for n, kind in zip(bonds.names[1:], bonds.kinds, strict=True)
            ]
        )
    sums = [*([n + side for n in names] for names in kinds for side in "12"), *edges]
    whole = tuple(sympy.Add(*map(sympy.Symbol, names)) for names in sums)
    every = _product(parts)
    counts = [len(m) for m in motion.grouped({g.name: g.where for g in every}).members.values()]
    each = tuple(g for g, count in zip(every, counts, strict=True) if count >= LEAST)
    rare = tuple(g.name for g, count in zip(every, counts, strict=True) if 0 < count < LEAST)
    many = len(each) > MOST
    return Groups(() if many else each, () if many else rare, whole, of, len(each) if many else 0)


def _product(parts: Sequence[Sequence[Group]]) -> list[Group]:
    every = list(parts[0]) if parts else []
    for more in parts[1:]:
        every = [one * other for one, other in itertools.product(every, more)]
    return every


@dataclass(frozen=True)
class Columns:
    """What each group adds with free factors, on rows that are fitted and on those that judge.

    Attributes:
        seen, unseen: the rows.
        each: of each group, columns [R D, K] on both.
        beside: columns [R D, X] of all else that acts, on both.
    """

    seen: Motion
    unseen: Motion
    each: Sequence[tuple[Array, Array]]
    beside: tuple[Array, Array]

    def fitted(self, classes: Sequence[Sequence[int]]) -> Tried:
        """Groups of a class share their factors."""
        both = [
            np.concatenate([*(np.add.reduce([self.each[k][side] for k in c]) for c in classes), more], axis=1)
            for side, more in enumerate(self.beside)
        ]
        return compared([fit(self.seen, NOTHING, both[0])], self.unseen, both[1])[0]

    def worse(self, one: Tried, other: Tried) -> bool:
        """Whether `other` explains more of the rows that judge, by more than chance."""
        both = rated([one.fit, other.fit], [one.errors, other.errors], self.unseen)
        return beaten(both[0], both[1], typical(self.unseen.labels))

    def classes(self, whole: Tried | None = None) -> list[list[int]]:
        """Groups that share their factors, since unseen rows do not ask for more.

        Args:
            whole: a fit in which all of them share one law; that of these columns if None.
        """
        found = [[k] for k in range(len(self.each))]
        best = self.fitted(found)
        if not self.worse(whole or self.fitted([list(range(len(found)))]), best):
            return [list(range(len(found)))]
        near, now = self._near(best.fit), best
        apart: set[tuple[int, ...]] = set()
        while True:
            pairs = [(a, b) for a, b in itertools.combinations(found, 2) if (*a, *b) not in apart]
            if not pairs:
                return [sorted(c) for c in found]
            a, b = min(pairs, key=lambda p: min(near[i, k] for i, k in itertools.product(*p)))
            tried = [c for c in found if c is not a and c is not b] + [a + b]
            then = self.fitted(tried)
            if self.worse(then, now) or self.worse(then, best):
                apart.add((*a, *b))
            else:
                found, now = tried, then

    def _near(self, known: Fit) -> Array:
        """How much the factors of two groups differ, by what rows can tell of it, shape [G, G]."""
        count, width = len(self.each), self.each[0][0].shape[1]
        factors = known.extra[: count * width].reshape(count, width)
        norms = np.stack([(c**2).sum(axis=0) for c, _ in self.each])
        shared = np.minimum(norms[:, None], norms)
        return np.asarray((shared * (factors[:, None] - factors) ** 2).sum(axis=-1))


Classes = Mapping[str, Mapping[str, sympy.Expr]]
"""By direction, as far as it has several laws: what is 1 for the pairs of each, and 0 for all others."""


def told_apart(
    groups: Groups, rows: Sequence[Rows], points: Mapping[str, Points], spare: Sequence[Form]
) -> dict[str, dict[str, sympy.Expr]]:
    """The groups that have a law of their own, as free curves of the distance tell it.

    Args:
        groups: of all pairs.
        rows: few ones, on which products are compared; those that are fitted, and those that judge.
        points: by direction, properties that curves may be multiplied with.
        spare: what acts on one particle, beside what the network says of it.
    """
    found = {}
    for way, at in points.items():
        beside = [r.beside([k for k in r.network if k != way], spare) for r in rows]
        classes = _by_curves(groups, way, [r.motion for r in rows], beside, products(at))
        if len(classes) > 1:
            found[way] = {c.name: c.where for c in classes}
    return found


def _by_curves(
    groups: Groups,
    way: str,
    rows: Sequence[Motion],
    beside: Sequence[Array],
    products: Sequence[sympy.Expr],
) -> list[Group]:
    """Groups that share a law along one direction; arguments as above."""
    few, seen, unseen = (r.grouped({g.name: g.where for g in groups.each}) for r in rows)
    d = seen.named["d"]
    splines = Splines(d[d > 0], FEW)

    def each(motion: Motion, product: sympy.Expr) -> list[Array]:
        return [columns(motion, product, f"{way}:{g.name}", FEW, splines) for g in groups.each]

    errors = []
    for product in products if len(products) > 1 else ():
        table = each(few, product)
        both = np.add.reduce(table), np.concatenate(table, axis=1)
        errors.append([_error(few, np.concatenate([part, beside[0]], axis=1)) for part in both])
    best = np.argmin(errors, axis=0) if errors else (0, 0)
    one, many = (
        Columns(seen, unseen, list(zip(each(seen, p), each(unseen, p), strict=True)), (beside[1], beside[2]))
        for p in (products[k] for k in best)
    )
    whole = one.fitted([list(range(len(groups.each)))])
    return [groups.joined(c) for c in many.classes(whole)]


def _error(motion: Motion, columns: Array) -> float:
    rest = fit(motion, NOTHING, columns).predicted(motion, columns) - motion.labels
    return float(np.mean(np.abs(rest) * motion.trust))
