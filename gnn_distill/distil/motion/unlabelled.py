"""Whether individuals are of kinds that nobody labelled: asked of labels that no fit has seen.

Shapes: R rows, D space dims, K individuals, C curves, G distances.
"""

from __future__ import annotations

import itertools
import string
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from scipy import sparse
from scipy.interpolate import BSpline

from gnn_distill.arrays import Array
from gnn_distill.distil.hidden.kinds import (
    LEAST,
    Index,
    Kinds,
    Product,
    Values,
    found,
    paired,
    products,
    split,
    sure,
)
from gnn_distill.distil.motion.choose import Tried, beaten, rated
from gnn_distill.distil.motion.fit import NOTHING, Fit, Form, typical
from gnn_distill.distil.motion.samples import Motion
from gnn_distill.distil.motion.search import Rows, Search, alive
from gnn_distill.distil.problem import Evidence
from gnn_distill.model.network import ISOTROPIC

MOST = 5
"""Kinds."""
ROWS, PAIRS = 12, (160_000, 500_000)
"""Rows of each individual by which its kind is told, and edges of all of them, least and most."""
WEIGHED = 50
"""Individuals up to which strengths are looked for even where free curves see none."""
SPLINES, EACH = (6, 20), 10
"""Curves of a direction, least and most; values for each number that is fitted, at least."""
ENDS = (0.002, 0.998)
"""Of the distances: between these are the knots of a curve."""
GRID = 100
LETTERS = string.ascii_uppercase
NO_FIT = Fit(NOTHING, np.zeros(0), np.zeros(0), np.zeros(0))


@dataclass(frozen=True)
class Labelled:
    """What individuals are, and by which errors that was told.

    Attributes:
        verdict: `kinds` between which laws differ, `strengths` of their own, or `alike`.
        label: kind of each individual, shape [K].
        sure: probability of each, shape [K].
        errors: typical error on unseen rows, as a share of the typical label, by what it was made with:
            `alike`, `strengths`, and by the number of kinds.
        curves: distances [G] as `d`, and by `u A-B`, direction, receiver's and sender's kind, the free curve
            that was fitted, [G].
    """

    verdict: str
    label: Index
    sure: Array
    errors: dict[str, float]
    curves: dict[str, Array]

    @property
    def members(self) -> str:
        """How many are of each kind, in words."""
        count = np.bincount(self.label)
        return f"{len(count)} kinds, {', '.join(f'{n} of {k}' for k, n in zip(LETTERS, count, strict=False))}"

    @property
    def unsettled(self) -> bool:
        """Whether individuals may have strengths: of a few, closed forms are asked in any case."""
        return self.verdict == "strengths" or (self.verdict == "alike" and len(self.label) <= WEIGHED)


def kind_names(count: int) -> tuple[str, ...]:
    """Columns of so many kinds, as if a file had named them A, B, ….

    >>> kind_names(2)
    ('kind_A', 'kind_B')
    """
    return tuple(f"kind_{letter}" for letter in LETTERS[:count])


def labelled(motion: Motion, label: Index) -> Motion:
    """The same rows with columns of kinds, 1 for the particles of a kind and 0 for all others.

    Args:
        motion: rows whose individuals are told apart.
        label: kind of each individual, shape [K].
    """
    if motion.individuals is None or motion.edges.individuals is None:
        return motion
    names, one, two = kind_names(int(label.max()) + 1), *(label[who] for who in motion.edges.individuals)
    pairs = {f"{n}1": (one == k).astype(float) for k, n in enumerate(names)}
    pairs |= {f"{n}2": (two == k).astype(float) for k, n in enumerate(names)}
    own = {f"{n}1": (label[motion.individuals] == k).astype(float) for k, n in enumerate(names)}
    columns = replace(motion.edges.columns, further=(*motion.edges.columns.further, *names))
    edges = replace(motion.edges, columns=columns, properties=motion.edges.properties | pairs)
    return replace(motion, edges=edges, nodes=replace(motion.nodes, named=motion.nodes.named | own))


def asked(
    evidence: Evidence, few: Rows, halves: tuple[Any, Any], rows: Callable[[Evidence, Any, int, int], Rows]
) -> Labelled | None:
    """What individuals are; None where they are not told apart.

    Args:
        evidence: whose individuals they are.
        few: some rows.
        halves: graphs that fits see, and graphs that judge.
        rows: makes rows of graphs, of about so many edges, with the number of a draw.
    """
    if not evidence.individuals or evidence.model.basis != ISOTROPIC:
        return None
    degree = len(few.motion.edges.r) / max(1, len(few.motion.nodes))
    edges = int(np.clip(ROWS * degree * len(evidence.individuals), *PAIRS))
    alone = replace(evidence, kernel=())  # each row by itself, so that all individuals are among few rows
    seen, unseen = (rows(alone, part, edges, k) for k, part in enumerate(halves, 7))
    spare = Search(few, seen, unseen, evidence.order, lambda key: []).spare()
    return told(seen, unseen, alive(seen, unseen), spare, evidence.seed)


def told(seen: Rows, unseen: Rows, keys: Sequence[str], spare: Sequence[Form], seed: int) -> Labelled | None:
    """The fewest kinds that unseen rows ask for, where strengths of individuals do not say it as well.

    None where there are too few individuals, or no pairs act.

    Args:
        seen: rows that are fitted, each with the label of its own instant.
        unseen: rows that judge.
        keys: directions along which pairs act.
        spare: what may act on one particle, beside what the network says of it.
        seed: of first labels.
    """
    count = 1 if seen.motion.usual is None else len(seen.motion.usual)
    if count < 2 * LEAST or not keys:
        return None
    d = seen.motion.named["d"]
    many = seen.motion.labels.size // (EACH * len(keys) * MOST)
    basis = _Curves(d[d > 0], int(np.clip(many, *SPLINES)))
    values, others = (basis.values(r, keys, spare, count) for r in (seen, unseen))
    one = found(values, 1, ())
    if one is None:
        return None
    errors, size = {}, typical(unseen.motion.labels)

    def tried(name: str, by: Kinds | Product) -> Tried:
        rest = by.predicted(others) - others.y
        errors[name] = typical(rest) / size
        return rated([NO_FIT], [rest.reshape(unseen.motion.labels.shape)], unseen.motion)[0]

    def better(a: Tried, b: Tried) -> bool:
        one, other = rated([NO_FIT] * 2, [a.errors, b.errors], unseen.motion)
        return beaten(one, other, size)

    alike = tried("alike", one)
    best, now = one, alike
    signs: list[Array] = [np.ones(count)]
    for many in range(2, min(MOST, count // LEAST) + 1):
        by_pairs = paired(values, many)
        starts = [split(values, one, many), *([] if by_pairs is None else [by_pairs]), *_halved(values, best)]
        more = found(values, many, starts, seed)
        if more is None:
            break
        if many == 2:
            signs.append(1.0 - 2.0 * more.label.astype(np.float64))
        then = tried(f"{many} kinds", more)
        if not better(now, then):
            break
        best, now = more, then
    strengths = tried("strengths", products(values, signs))
    verdict = "strengths" if better(alike, strengths) else "alike"
    verdict = "kinds" if best.count > 1 and better(strengths, now) else verdict
    order = np.argsort(np.unique(best.label, return_index=True)[1])  # A is the kind of the first individual
    curves = basis.drawn(best.factors, order, keys)
    return Labelled(verdict, np.argsort(order)[best.label], sure(values, best), errors, curves)


def _halved(values: Values, known: Kinds) -> list[Index]:
    """Labels [K] where one of the kinds is split in two, for each of the kinds."""
    found = []
    for k in range(known.count if known.count > 1 else 0):
        label = known.label.copy()
        label[(label == k) & (split(values, known, 2) == 1)] = known.count
        found.append(label)
    return found


class _Curves:
    """Cubic splines of the distance, with knots dense where pairs are."""

    def __init__(self, d: Array, count: int) -> None:
        low, high = np.quantile(d, ENDS)
        dense = np.quantile(d, np.linspace(ENDS[0], ENDS[1], count - 2))
        inner = (np.linspace(low, high, count - 2) + dense) / 2
        self.knots, self.count = np.concatenate([[inner[0]] * 3, inner, [inner[-1]] * 3]), count

    def drawn(self, factors: Array, order: Index, keys: Sequence[str]) -> dict[str, Array]:
        """The curves of fitted factors, kinds in this order, see `Labelled`."""
        d, count = np.linspace(self.knots[0], self.knots[-1], GRID), len(order)
        basis = BSpline.design_matrix(d, self.knots, 3).toarray()
        parts = factors[:, : count * len(keys) * self.count].reshape(count, count, len(keys), self.count)
        found = {"d": d}
        for (i, one), (j, two) in itertools.product(enumerate(order), repeat=2):
            for k, key in enumerate(keys):
                found[f"{key} {LETTERS[i]}-{LETTERS[j]}"] = basis @ parts[one, two, k]
        return found

    def values(self, rows: Rows, keys: Sequence[str], spare: Sequence[Form], count: int) -> Values:
        """What each of so many individuals does, and what others might add to it."""
        motion, dim = rows.motion, rows.motion.labels.shape[1]
        d = motion.named["d"]
        sender = np.zeros(len(d), dtype=np.int64) if (two := motion.edges.individuals) is None else two[1]
        here = BSpline.design_matrix(np.clip(d, self.knots[0], self.knots[-1]), self.knots, 3)
        splines, weights = (part.reshape(len(d), 4) for part in (here.indices, here.data))
        curves, total = len(keys) * self.count, None
        for k, key in enumerate(keys):
            way = np.where((d > 0)[:, None], motion.directions[key], 0.0)
            for spline, weight in zip(splines.T, weights.T, strict=True):
                column = sender * curves + k * self.count + spline
                part = motion.by_sender(weight[:, None] * way, column, count * curves)
                total = part if total is None else total + part
        beside = rows.beside([k for k in rows.network if k == "own"], spare)
        y, who = motion.labels.ravel(), np.repeat(motion.who, dim)
        return Values(y, who, np.repeat(motion.trust[:, 0], dim), sparse.csr_array(total), beside, curves)
