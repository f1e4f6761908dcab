"""What each individual brings to a law as a source and as a receiver, fitted end to end with the law.

a_i = t_i Σ_j s_j f(d_ij, …) Δ/d + …: linear in the strengths s of the sources, linear in the responses t.

Shape letters: E edges, N nodes, R rows, D space dims, K individuals, P numbers, U units.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import sympy
from scipy import sparse

from gnn_distill.arrays import Array
from gnn_distill.distil.motion.choose import Tried, beaten, rated
from gnn_distill.distil.motion.fit import TUNING, Fit, Form, Term, bounds, typical
from gnn_distill.distil.motion.kicks import hearsay
from gnn_distill.distil.motion.samples import Motion, Strengths

MODES = ("source", "response", "symmetric", "both")
"""What is free: the sources alone, all respond alike; the responses; t = s; both. In `none` nothing is."""
STEPS, SETTLED, HALVINGS = 40, 1e-10, 6
MANY = 150
"""Numbers up to which each draw of a bootstrap has normal equations of its own."""
RIDGE = 1e-13
"""Of the normal equations, in their largest entry: a factor that may go to and fro between s, t and f."""


@dataclass(frozen=True)
class Weighed:
    """A form with its numbers and the strengths that go with it.

    Attributes:
        fit: of the form.
        strengths: as sources and as receivers.
        mode: which of them were free.
    """

    fit: Fit
    strengths: Strengths
    mode: str

    def predicted(self, motion: Motion, extra: Array) -> Array:
        """Values [R, D] on rows, with further columns [R D, X]."""
        return self.fit.predicted(motion.weighed(self.strengths), extra)

    @property
    def cost(self) -> int:
        """Numbers that were fitted."""
        free = {"none": 0, "both": 2}.get(self.mode, 1)
        return self.fit.form.cost + free * (len(self.strengths.source) - 1)


class _Problem:
    """A form with free strengths on some rows, as one vector of numbers: constants, factors, s, t.

    Terms of pairs are taken times s2 of the sender and t1 of the receiver.
    """

    def __init__(self, motion: Motion, form: Form, extra: Array, mode: str) -> None:
        self.motion, self.form, self.extra, self.mode = motion, form, extra, mode
        self.y = motion.labels.ravel()
        self.trust = np.repeat(motion.trust[:, 0], motion.labels.shape[1])
        self.count = 1 if motion.usual is None else len(motion.usual)
        self.row = np.repeat(motion.who, motion.labels.shape[1])
        self.sizes = [len(form.symbols), len(form.terms) + extra.shape[1], self.count, self.count]

    def split(self, v: Array) -> tuple[Array, Array, Strengths]:
        """Constants, factors (also of further columns), and strengths."""
        constants, factors, s, t = np.split(v, np.cumsum(self.sizes)[:-1])
        return constants, factors, Strengths(s, s if self.mode == "symmetric" else t)

    def predicted(self, v: Array) -> Array:
        constants, factors, strengths = self.split(v)
        a = self.form.columns(self.motion.weighed(strengths), constants)
        found = np.concatenate([a, self.extra], axis=1) @ factors
        return np.nan_to_num(found, nan=1e100, posinf=1e100, neginf=-1e100)

    def slopes(self, v: Array) -> sparse.csr_array:
        """Change of the prediction with each number, shape [R D, P]."""
        constants, factors, strengths = self.split(v)
        base, steps = self.predicted(v), 1e-6 * np.maximum(np.abs(constants), 1e-6)
        found = []
        for k, step in enumerate(steps):
            moved = v.copy()
            moved[k] += step
            found.append((self.predicted(moved) - base) / step)
        found += [*self.form.columns(self.motion.weighed(strengths), constants).T, *self.extra.T]
        by_source, by_response = self._by(constants, factors, strengths)
        if self.mode == "symmetric":
            by_source, by_response = by_source + by_response, 0 * by_response
        if self.mode in ("none", "response"):
            by_source = 0 * by_source
        if self.mode in ("none", "source"):
            by_response = 0 * by_response
        dense = np.nan_to_num(np.stack(found, axis=1), nan=0.0, posinf=0.0, neginf=0.0)
        return sparse.hstack([sparse.csr_array(dense), by_source, by_response]).tocsr()

    def _by(
        self, constants: Array, factors: Array, known: Strengths
    ) -> tuple[sparse.csr_array, sparse.csr_array]:
        """Change with the strength of each source and with the response of each receiver, each [R D, K]."""
        motion, ones = self.motion, np.ones(self.count)
        pairs = [(t, f) for t, f in zip(self.form.terms, factors, strict=False) if t.along is not None]
        plain = motion.weighed(Strengths(ones, ones))
        values = dict(zip(self.form.symbols, constants, strict=True))
        each = sum((f * term.each(plain, values) for term, f in pairs), np.zeros_like(motion.edges.delta))
        each = np.nan_to_num(each, nan=0.0, posinf=0.0, neginf=0.0)
        one, two = motion.edges.individuals or (motion.edges.receiver * 0, motion.edges.receiver * 0)
        source = motion.by_sender(each * known.response[one, None], two, self.count)
        total = motion.pairs(each * known.source[two, None]).ravel()
        own = self._own(constants, factors, known)
        return source + self._each(own[0]), self._each(total + own[1])

    def _each(self, slopes: Array) -> sparse.csr_array:
        """Slopes [R D] as columns of the individuals that rows belong to, [R D, K]."""
        place = np.arange(len(slopes)), self.row
        return sparse.coo_array((slopes, place), shape=(len(slopes), self.count)).tocsr()

    def _own(self, constants: Array, factors: Array, known: Strengths) -> tuple[Array, Array]:
        """Change of what acts on single particles with their own strengths, s and t, each [R D].

        Exact, as the slopes of pairs are: a common factor of strengths must not seem to change anything.
        """
        ones, values = np.ones(self.count), dict(zip(self.form.symbols, constants, strict=True))
        plain = self.motion.weighed(Strengths(ones, ones))
        s, t = known.source[self.row], known.response[self.row]
        found = np.zeros((2, len(self.y)))
        for term, factor in zip(self.form.terms, factors, strict=False):
            if term.along is None and any(both := powers(term)):
                column, (q, p) = factor * term.column(plain, values).ravel(), both
                found[0] += q * s ** (q - 1) * t**p * column if q else 0.0
                found[1] += p * s**q * t ** (p - 1) * column if p else 0.0
        return found[0], found[1]


def powers(term: Term) -> tuple[float, float]:
    """Powers of s1 and t1 in the factor of a term of single particles."""
    known = next((f for f in term.forms if f != 0), sympy.S.One).as_powers_dict()
    return float(known[sympy.Symbol("s1")]), float(known[sympy.Symbol("t1")])


def weighed(
    motion: Motion, form: Form, extra: Array, mode: str, start: Strengths, factors: Array | None = None
) -> Weighed:
    """The robust fit of a form and of the strengths that `mode` leaves free.

    Damped Gauss-Newton steps on all numbers at once, weights of rows renewed at each step. What two
    numbers can only tell together stays shared between them, see `Convention`.

    Args:
        motion: labels.
        form: to be fitted, times s2 of the sender and t1 of the receiver.
        extra: further columns [R D, X] with factors of their own.
        mode: one of `MODES`.
        start: first strengths; those that are not free stay.
        factors: first factors of terms and further columns; those of a linear fit if None.
    """
    job = _Problem(motion, form, extra, mode)
    if mode == "symmetric":
        start = Strengths(start.source, start.source)
    low, high = bounds(form)
    constants = np.clip(np.array(form.start, dtype=np.float64), low, high)
    if factors is None:
        a = np.concatenate([form.columns(motion.weighed(start), constants), extra], axis=1)
        a = np.nan_to_num(a, nan=0.0, posinf=0.0, neginf=0.0)
        factors = _solved(a, job.y, job.trust)
    v = np.concatenate([constants, factors, start.source, start.response])
    rest = job.y - job.predicted(v)
    for _ in range(STEPS):
        size = TUNING * typical(rest)
        weight = job.trust / np.sqrt(1.0 + (rest / size) ** 2)
        step = _solved(job.slopes(v), rest, weight)
        before, gained = _loss(rest, size, job.trust), 0.0
        for halving in range(HALVINGS):
            moved = v + step * 0.5**halving
            moved[: len(constants)] = np.clip(moved[: len(constants)], low, high)
            left = job.y - job.predicted(moved)
            gained = before - _loss(left, size, job.trust)
            if gained > 0:
                v, rest = moved, left
                break
        if gained <= SETTLED * before:
            break
    return _told(job, v)


def _told(job: _Problem, v: Array) -> Weighed:
    constants, factors, strengths = job.split(v)
    count = len(job.form.terms)
    return Weighed(Fit(job.form, constants, factors[:count], factors[count:]), strengths, job.mode)


def _loss(rest: Array, size: float, trust: Array) -> float:
    return float((trust * (np.sqrt(1.0 + (np.minimum(np.abs(rest), 1e100) / size) ** 2) - 1.0)).sum())


def _solved(a: Array | sparse.csr_array, y: Array, weight: Array) -> Array:
    """Weighted least squares of y on columns a [R D, P]; columns that are alike share."""
    left, norm = _normal(a, weight)
    return np.asarray(_divided(left, (a.T @ (y * weight)) / norm) / norm)


def _normal(a: Array | sparse.csr_array, weight: Array) -> tuple[Array, Array]:
    """The matrix [P, P] of normal equations for columns of norm one, and the norms [P]."""
    left = a.T @ (sparse.diags_array(weight) @ a)
    left = left.toarray() if sparse.issparse(left) else np.asarray(left)
    norm = np.sqrt(np.maximum(np.diag(left), 0.0))
    norm = np.where(norm > 0, norm, 1.0)
    return left / norm / norm[:, None], norm


def _divided(left: Array, right: Array) -> Array:
    """The solution of normal equations whose matrix may lack some directions."""
    ridge = RIDGE * max(float(np.trace(left)), 1e-300) * np.eye(len(left))
    return np.asarray(np.linalg.solve(left + ridge, right))


def chosen(
    seen: Motion,
    unseen: Motion,
    forms: Sequence[Form],
    extra: tuple[Array, Array],
    starts: Sequence[Strengths],
    more: Sequence[str] = (),
) -> tuple[Weighed, list[Tried]]:
    """The simplest of forms and modes that no other beats on unseen rows.

    Args:
        seen: rows that are fitted.
        unseen: rows that choose.
        forms: to be fitted.
        extra: further columns [R D, X] on both.
        starts: first strengths; the best end counts.
        more: modes beside `MODES`.
    """
    found = [
        min(
            (weighed(seen, form, extra[0], mode, start) for start in _starts(mode, starts)),
            key=lambda w: typical(w.predicted(seen, extra[0]) - seen.labels),
        )
        for form in forms
        for mode in (*more, *MODES)
    ]
    errors = [w.predicted(unseen, extra[1]) - unseen.labels for w in found]
    tried = rated([w.fit for w in found], errors, unseen)
    size = typical(unseen.labels)
    best = min(range(len(tried)), key=lambda k: float(tried[k].losses.mean()))
    standing = [k for k in range(len(tried)) if k == best or not beaten(tried[k], tried[best], size)]
    picked = min(standing, key=lambda k: (found[k].cost, float(tried[k].losses.mean())))
    return found[picked], tried


def _starts(mode: str, starts: Sequence[Strengths]) -> Iterator[Strengths]:
    ones = np.ones_like(starts[0].source)
    if mode == "none":
        yield Strengths(ones, ones)
    elif mode == "source":  # linear in what is free: one start will do
        yield Strengths(starts[0].source, ones)
    elif mode == "response":
        yield Strengths(ones, starts[0].response)
    else:
        yield from starts


@dataclass(frozen=True)
class Drawn:
    """Numbers of a fit over draws of units with replacement, factors shared out by a convention.

    Attributes:
        weighed: the fit, likewise shared out.
        numbers: constants and factors, shape [W, P].
        source: shape [W, K]; `response` likewise.
        faint: by what share a strength would change if it took up a rest as large as the labels, as source
            and as receiver, each [K]: the less an individual pulls, the more.
    """

    weighed: Weighed
    numbers: Array
    source: Array
    response: Array
    faint: tuple[Array, Array]


def drawn(
    found: Weighed, motion: Motion, extra: Array, convention: Convention, seed: int, replicates: int
) -> Drawn:
    """Bootstrap over units: each draw moves all numbers to the optimum of the linearised robust fit."""
    job, fit = _Problem(motion, found.fit.form, extra, found.mode), found.fit
    v = np.concatenate(
        [fit.constants, fit.factors, fit.extra, found.strengths.source, found.strengths.response]
    )
    rest = job.y - job.predicted(v)
    root = 1.0 / np.sqrt(1.0 + (rest / (TUNING * typical(rest))) ** 2)
    weight, slope = job.trust * root, job.trust * root**3  # of an error's pull, and of how that grows with it
    a = job.slopes(v)
    normal, norm = _normal(a, slope)
    whole = float(np.sqrt((slope * job.y**2).sum()))
    pulls = np.abs(v[-2 * job.count :]) * norm[-2 * job.count :]
    faint = whole / np.maximum(pulls, 1e-9 * whole)
    unit = np.repeat(np.unique(motion.pieces, return_inverse=True)[1], motion.labels.shape[1])
    order, units = np.argsort(unit, kind="stable"), int(unit.max()) + 1
    parts = np.split(order, np.searchsorted(unit[order], np.arange(1, units)))
    terms = slice(len(fit.constants), len(fit.constants) + len(fit.factors))
    law = np.setdiff1d(np.arange(len(v)), np.arange(extra.shape[1]) + terms.stop)
    pulls = a.multiply((rest * weight)[:, None]).toarray()
    pulls[:, law] += hearsay(a[:, law].toarray(), slope, extra, fit.extra, terms)
    pull = np.stack([pulls[p].sum(axis=0) for p in parts]) / norm
    counts = np.random.default_rng([seed, 7]).multinomial(units, np.full(units, 1 / units), size=replicates)
    if len(v) <= MANY:
        each = [_normal(a[p], slope[p]) for p in parts]
        normals = np.stack([m * n * n[:, None] for m, n in each]) / norm / norm[:, None]
        left = [np.einsum("u,upq->pq", c, normals) for c in counts.astype(np.float64)]
        moves = [_divided(m, c @ pull) / norm for m, c in zip(left, counts, strict=True)]
    else:  # to first order
        moves = list((_divided(normal, ((counts - 1.0) @ pull).T).T) / norm)
    shared = [convention.shared(_told(job, v + move)) for move in moves]
    return Drawn(
        convention.shared(found),
        np.stack([np.concatenate([w.fit.constants, w.fit.factors]) for w in shared]),
        np.stack([w.strengths.source for w in shared]),
        np.stack([w.strengths.response for w in shared]),
        (faint[: job.count], faint[job.count :]),
    )


def scatter(found: Weighed, motion: Motion, extra: Array, replicates: int = 200) -> float:
    """How far strengths are from their mean, in standard errors of a bootstrap over units.

    Their RMS, or half of the largest where one stands out. Near 1 where individuals are all alike; infinite
    where strengths differ in sign.
    """
    plain = Convention((0, found.strengths.source[0]), (0, found.strengths.response[0]))
    draws, off = drawn(found, motion, extra, plain, 0, replicates), []
    for values, scattered in (
        (found.strengths.source, draws.source),
        (found.strengths.response, draws.response),
    ):
        if np.ptp(np.sign(values)) > 0:
            return math.inf
        relative = scattered / scattered.mean(axis=1, keepdims=True)
        error = relative.std(axis=0)
        if error.any():
            off.append((values / values.mean() - 1) / np.where(error > 0, error, math.inf))
    free = len(found.strengths.source) - 1
    if not off:
        return 0.0
    return float(max(np.sqrt(np.square(off).sum(axis=-1).mean() / free), np.abs(off).max() / 2))


@dataclass(frozen=True)
class Convention:
    """Which individual has which strength, since a factor is free.

    Args:
        source: number of the individual, and its strength as a source.
        response: the same as a receiver.
    """

    source: tuple[int, float]
    response: tuple[int, float]

    def shared(self, found: Weighed) -> Weighed:
        """The same law with what is free shared out so."""
        s, t = found.strengths.source, found.strengths.response
        (k, value), (i, other) = self.source, self.response
        by = s[k] / value if found.mode != "response" and s[k] else 1.0
        back = t[i] / other if found.mode in ("response", "both") and t[i] else 1.0
        back = by if found.mode == "symmetric" else back
        each = [(1.0, 1.0) if term.along else powers(term) for term in found.fit.form.terms]
        factors = found.fit.factors * [by**p * back**q for p, q in each]
        return replace(found, fit=replace(found.fit, factors=factors), strengths=Strengths(s / by, t / back))
