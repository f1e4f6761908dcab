"""Kinds of particles that nobody labelled: which individuals obey the same laws, told by their motion.

Each pair of kinds has free curves of the distance. By turns curves are fitted to what particles of each kind
do, and each particle takes the kind under which its own motion and that of its partners is explained best
(clusterwise regression; H. Späth 1979, Computing 22, 367).

Shapes: V values (rows times space dims), K individuals, C curves, T kinds, X further columns, P pairs of a
value and a sender.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt
from scipy import sparse
from scipy.cluster.vq import kmeans2
from scipy.special import expit

from gnn_distill.arrays import Array

Index = npt.NDArray[np.int64]

TURNS = 40
"""Of fitting and labelling, at most."""
RANDOM = 3
"""Starts from labels drawn by chance, beside those that are given."""
SETTLED = 1e-6
"""Gain of a turn, as a share of the loss, below which the labels stand."""
TUNING = 1.5
"""Residuals beyond so many medians count linearly."""
NORMAL = 0.6745
"""Median size of a normal error of one standard deviation."""
SLOW = 1e-3
"""Gain of a turn, as a share of the loss, below which strengths stand."""
RIDGE = 1e-9
WAYS, FULL = 2, 2.0
"""Curves by which each pair of individuals is told by itself, and values for each unknown that this takes."""
LEAST = 2
"""Individuals of a kind."""


@dataclass(frozen=True, eq=False)
class Values:
    """What individuals do, and what each sender might add to it.

    Attributes:
        y: components of labels, shape [V].
        who: the individual that moves so, shape [V].
        trust: weights, shape [V].
        pairs: what sender k would add by curve c, column k C + c, shape [V, K C].
        beside: all else that may act, shape [V, X].
        curves: number C.
    """

    y: Array
    who: Index
    trust: Array
    pairs: sparse.csr_array
    beside: Array
    curves: int

    @property
    def count(self) -> int:
        """Number of individuals."""
        return self.pairs.shape[1] // self.curves

    @cached_property
    def places(self) -> tuple[Index, Index, Index]:
        """Of each entry of `pairs`: value, sender and curve."""
        value = np.repeat(np.arange(self.pairs.shape[0]), np.diff(self.pairs.indptr))
        column = self.pairs.indices.astype(np.int64)
        return value, column // self.curves, column % self.curves

    @cached_property
    def meetings(self) -> tuple[Index, Index, Index]:
        """First entry, value and sender of each value and sender that meet, [P]."""
        value, sender, _ = self.places
        first = np.flatnonzero(np.diff(value * self.count + sender, prepend=-1))
        return first, value[first], sender[first]

    @cached_property
    def of_individuals(self) -> list[Index]:
        """Numbers of the values of each individual."""
        order = np.argsort(self.who, kind="stable")
        return np.split(order, np.searchsorted(self.who[order], np.arange(1, self.count)))

    def columns(self, label: Index, kinds: int) -> Array:
        """Curves summed over the senders of each kind, then further columns, shape [V, T C + X]."""
        value, sender, curve = self.places
        width = kinds * self.curves
        place = value * width + label[sender] * self.curves + curve
        found = np.bincount(place, self.pairs.data, minlength=len(self.y) * width)
        return np.concatenate([found.reshape(-1, width), self.beside], axis=1)

    def of_each(self, factors: Array) -> Array:
        """Each meeting's contribution by curves of the receiver's kind: `factors` [V or 1, C], shape [P]."""
        value, _, curve = self.places
        rows = value if len(factors) > 1 else 0 * value
        return np.add.reduceat(self.pairs.data * factors[rows, curve], self.meetings[0])


@dataclass(frozen=True, eq=False)
class Kinds:
    """Individuals by kinds, and the laws between them.

    Attributes:
        label: kind of each individual, shape [K].
        factors: of the columns of `Values.columns`, for receivers of each kind, shape [T, T C + X].
        loss: on the values that were fitted.
    """

    label: Index
    factors: Array
    loss: float

    @property
    def count(self) -> int:
        """Number of kinds T."""
        return len(self.factors)

    def predicted(self, values: Values) -> Array:
        """Values [V] by these laws."""
        columns = values.columns(self.label, self.count)
        return np.asarray(np.einsum("vc,vc->v", columns, self.factors[self.label[values.who]]))


def found(values: Values, kinds: int, starts: Sequence[Index], seed: int = 0) -> Kinds | None:
    """The best account by so many kinds; None where one of them would have hardly a member.

    Args:
        values: what individuals do.
        kinds: their number T.
        starts: first labels, each [K].
        seed: of further ones, drawn by chance.
    """
    rng = np.random.default_rng([seed, kinds])
    first = [label for label in starts if label.max(initial=0) < kinds]
    first += [rng.integers(0, kinds, values.count) for _ in range(RANDOM if kinds > 1 else 0)]
    if kinds == 1:
        first = [np.zeros(values.count, dtype=np.int64)]
    best = min((_settled(values, label, kinds) for label in first), key=lambda one: one.loss)
    few = np.bincount(best.label, minlength=kinds).min() < LEAST
    return None if few else best


def split(values: Values, known: Kinds, parts: int) -> Index:
    """Labels [K] by what each individual does otherwise than its kind, in so many parts.

    Each one's own correction of the curves is a weighted fit to few values, so what is compared are the
    corrections along the directions that values tell best.
    """
    columns = values.columns(np.zeros(values.count, dtype=np.int64), 1)
    rest = values.y - known.predicted(values)
    table = columns @ _axes(columns, values.trust, values.curves // 2)
    found = []
    for part in values.of_individuals:
        a, b = table[part] * values.trust[part, None], table[part]
        square = a.T @ b + 0.1 * max(1, len(part)) * np.eye(table.shape[1])
        found.append(np.linalg.solve(square, a.T @ rest[part]))
    return np.asarray(kmeans2(np.stack(found), parts, minit="++", seed=0)[1], dtype=np.int64)


def paired(values: Values, parts: int) -> Index | None:
    """Labels [K] by what each individual does to each other one; None where too little is known of a pair.

    Two kinds may feel and do the same on the whole, and yet like each other less than their own.
    """
    columns = values.columns(np.zeros(values.count, dtype=np.int64), 1)[:, : values.curves]
    axes, width = _axes(columns, values.trust, WAYS), WAYS * values.count
    value, sender, curve = values.places
    found = np.zeros((values.count, values.count, WAYS))
    for who, part in enumerate(values.of_individuals):
        if len(part) < FULL * (width + values.beside.shape[1]):
            return None
        row = np.full(len(values.y), -1)
        row[part] = np.arange(len(part))
        here = row[value] >= 0
        table = np.zeros((len(part), values.count, WAYS))
        np.add.at(table, (row[value[here]], sender[here]), values.pairs.data[here, None] * axes[curve[here]])
        table = np.concatenate([table.reshape(len(part), -1), values.beside[part]], axis=1)
        a = table * values.trust[part, None]
        square = a.T @ table + 1e-3 * len(part) * np.eye(table.shape[1])
        found[who] = np.linalg.solve(square, a.T @ values.y[part])[:width].reshape(-1, WAYS)
    apart = ~np.eye(values.count, dtype=bool)
    found = np.where(apart[..., None], found - found[apart].mean(axis=0), 0.0)
    rows = np.concatenate(
        [found.reshape(values.count, -1), found.swapaxes(0, 1).reshape(values.count, -1)], 1
    )
    left, size, _ = np.linalg.svd(rows, full_matrices=False)
    return np.asarray(kmeans2(left[:, :parts] * size[:parts], parts, minit="++", seed=0)[1], dtype=np.int64)


def _axes(columns: Array, trust: Array, count: int) -> Array:
    """So many directions among columns [V, C] that values tell best, scaled to one, shape [C, count]."""
    whole = (columns * trust[:, None]).T @ columns / len(columns)
    size, axes = np.linalg.eigh(whole)
    return np.asarray(axes[:, -count:] / np.sqrt(np.maximum(size[-count:], 1e-300)))


def sure(values: Values, known: Kinds) -> Array:
    """Probability of each individual's kind beside the next best one, shape [K]."""
    if known.count == 1:
        return np.ones(values.count)
    costs, size = _costs(values, known)
    place = np.arange(len(costs)), known.label
    own = costs[place]
    costs[place] = np.inf
    return np.asarray(expit((costs.min(axis=1) - own) / (2 * size**2)))


@dataclass(frozen=True, eq=False)
class Product:
    """One law for all, times a strength of each sender and a response of each receiver.

    Attributes:
        factors: of the curves and further columns, shape [C + X].
        source: shape [K]; `response` likewise.
    """

    factors: Array
    source: Array
    response: Array

    def columns(self, values: Values) -> Array:
        """Curves summed over weighed senders, for weighed receivers, then others, shape [V, C + X]."""
        value, sender, curve = values.places
        width, place = values.curves, self.source[sender] * values.pairs.data
        found = np.bincount(value * width + curve, place, minlength=len(values.y) * width).reshape(-1, width)
        return np.concatenate([found * self.response[values.who, None], values.beside], axis=1)

    def predicted(self, values: Values) -> Array:
        """Values [V] by this law."""
        return np.asarray(self.columns(values) @ self.factors)


def product(values: Values, signs: Array) -> Product:
    """The best law with a strength of each individual, by turns of least squares.

    Args:
        values: what individuals do.
        signs: first strengths, shape [K].
    """
    width, last = values.curves, np.inf
    found = Product(np.zeros(width + values.beside.shape[1]), signs, signs)
    columns = found.columns(values)
    weighted = columns * values.trust[:, None]
    found = Product(_solved(weighted.T @ columns, weighted.T @ values.y), signs, signs)
    for _ in range(TURNS):
        rest = values.y - found.predicted(values)
        weight, loss = _weight(values, rest), _loss(values, rest)
        if loss > last * (1 - SLOW):
            break
        last = loss
        target = values.y - values.beside @ found.factors[width:]
        _, value, sender = values.meetings
        each = values.of_each(found.factors[None, :width])
        shape, pulls = (len(target), values.count), each * found.response[values.who[value]]
        added = sparse.coo_array((pulls, (value, sender)), shape=shape).tocsr()
        source = _solved((added.T @ (added * weight[:, None])).toarray(), added.T @ (weight * target))
        source /= max(float(np.sqrt((source**2).mean())), 1e-300)
        total = np.bincount(value, each * source[sender], minlength=len(target))
        above = np.bincount(values.who, weight * total * target, minlength=values.count)
        below = np.bincount(values.who, weight * total**2, minlength=values.count)
        response = np.where(below > 0, above / np.where(below > 0, below, 1.0), 0.0)
        found = Product(found.factors, source, response)
        columns = found.columns(values)
        factors = _solved((columns * weight[:, None]).T @ columns, columns.T @ (weight * values.y))
        found = Product(factors, source, response)
    return found


def products(values: Values, starts: Sequence[Array]) -> Product:
    """The best of the laws that begin with these strengths, each [K]: charges need their signs."""
    found = [product(values, start) for start in starts]
    return min(found, key=lambda one: _loss(values, values.y - one.predicted(values)))


def _solved(square: Array, right: Array) -> Array:
    """The solution of normal equations [C, C] whose columns may be alike or empty."""
    norm = np.sqrt(np.maximum(np.diag(square), 1e-300))
    norm = np.where(norm > 1e-12 * norm.max(initial=0.0), norm, np.inf)
    return np.asarray(
        np.linalg.solve(square / norm / norm[:, None] + RIDGE * np.eye(len(norm)), right / norm) / norm
    )


def _loss(values: Values, rest: Array) -> float:
    size = TUNING * typical(rest)
    return float((size**2 * (np.sqrt(1 + (rest / size) ** 2) - 1) * values.trust).sum())


def _settled(values: Values, label: Index, kinds: int) -> Kinds:
    """Turns of fitting and labelling until nobody gains by another kind."""
    best = _fitted(values, label, kinds)
    share = 1.0
    for _ in range(TURNS):
        if kinds == 1:
            break
        costs, _ = _costs(values, best)
        gain = costs[np.arange(len(costs)), best.label] - costs.min(axis=1)
        movers = np.flatnonzero(gain > 0)
        if not len(movers):
            break
        movers = movers[np.argsort(-gain[movers])][: max(1, int(share * len(movers)))]
        moved = best.label.copy()
        moved[movers] = costs.argmin(axis=1)[movers]
        if np.bincount(moved, minlength=kinds).min() == 0:
            break
        tried = _fitted(values, moved, kinds)
        if tried.loss < best.loss * (1 - SETTLED):
            best, share = tried, min(1.0, 2 * share)
        elif len(movers) == 1:
            break
        else:
            share = min(share, len(movers) / (gain > 0).sum()) / 3
    return best


def _fitted(values: Values, label: Index, kinds: int) -> Kinds:
    """Laws of the receivers of each kind by robust least squares."""
    columns, of = values.columns(label, kinds), label[values.who]
    factors = np.zeros((kinds, columns.shape[1]))
    rest, weight = values.y.copy(), values.trust.copy()
    for _ in range(3):
        for k in range(kinds):
            some = of == k
            a, w = columns[some], weight[some]
            factors[k] = _solved((a * w[:, None]).T @ a, a.T @ (w * values.y[some]))
            rest[some] = values.y[some] - a @ factors[k]
        weight = _weight(values, rest)
    return Kinds(label, factors, _loss(values, rest))


def _costs(values: Values, known: Kinds) -> tuple[Array, float]:
    """Squared error of all values that an individual of each kind would make, up to a part of its own.

    Shape [K, T], and the size of an error.
    """
    columns, kinds = values.columns(known.label, known.count), known.count
    of = known.label[values.who]
    each = columns @ known.factors.T
    rest = values.y - each[np.arange(len(of)), of]
    weight = _weight(values, rest)
    error = weight[:, None] * (values.y[:, None] - each) ** 2
    costs: Array = np.stack([np.bincount(values.who, e, minlength=values.count) for e in error.T], axis=1)
    if kinds == 1:
        return costs, typical(rest) / NORMAL
    _, value, sender = values.meetings
    parts = known.factors[:, : kinds * values.curves].reshape(kinds, kinds, values.curves)
    added = np.stack([values.of_each(parts[of, k]) for k in range(kinds)], axis=1)
    change = added - added[np.arange(len(sender)), known.label[sender]][:, None]
    moved = weight[value, None] * (change**2 - 2 * rest[value, None] * change)
    costs = costs + np.stack([np.bincount(sender, m, minlength=values.count) for m in moved.T], axis=1)
    return costs, typical(rest) / NORMAL


def _weight(values: Values, rest: Array) -> Array:
    return values.trust / np.sqrt(1.0 + (rest / (TUNING * typical(rest))) ** 2)


def typical(rest: Array) -> float:
    """The median size of errors."""
    return max(float(np.median(np.abs(rest))), 1e-300)
