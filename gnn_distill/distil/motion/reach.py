"""How far forces reach: the distance at which a simulation has cut them off.

A force that ends with a jump is no smooth function of the distance. Where the law leaves more than labels do,
the distance is sought beyond which pairs had better not act.

Shapes: E edges, N nodes, R rows, D space dims, B bins.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from gnn_distill.arrays import Array
from gnn_distill.distil.motion.choose import beaten, rated
from gnn_distill.distil.motion.fit import Fit, Form, fit, together, typical
from gnn_distill.distil.motion.friction import damped, length_of
from gnn_distill.distil.motion.rounds import DONE, MUCH, Rounds
from gnn_distill.distil.motion.search import Chosen, Rows, Search
from gnn_distill.distil.motion.trust import mean

BINS = 40
"""Distances that are compared at a time; each time between the neighbours of the best, …"""
FINER = 3
"""… so many times."""
SHARES = 0.002, 0.995
"""Of the pairs that may lie within."""
TRIED = 4
"""Forms that are cut off, or about so many combinations of forms of several directions."""


class Cut(NamedTuple):
    """A law of pairs within a distance.

    Attributes:
        reach: the distance.
        rounds: the search among nearer pairs.
        chosen: what it has chosen.
        rest: share of the motion beyond noise that this leaves.
    """

    reach: float
    rounds: Rounds
    chosen: Chosen
    rest: float

    def holds(self, rest: float = 0.0) -> bool:
        """Whether it is as exact as the labels, or leaves much less than another law, which leaves `rest`.

        Any wrong form is the better for being cut.
        """
        return self.rest < max(DONE, MUCH * rest)


def nearer(rounds: Rounds, chosen: Chosen, wider: Callable[[float, Search, Chosen], Chosen]) -> Cut | None:
    """The distance beyond which pairs had better not act, and the law within; None where there is none.

    Args:
        rounds: the search so far.
        chosen: what was found without such a distance.
        wider: asks all rows for what acts on single particles, given such a distance.
    """
    best: Cut | None = None
    search = rounds.search
    reach = ended(search, chosen)
    while reach is not None:
        few = None if search.few is None else search.few.nearer(reach)
        seen, unseen = (rows.nearer(reach) for rows in (search.seen, search.unseen))
        points = {key: told.take(np.flatnonzero(told.X[:, 0] < reach)) for key, told in rounds.points.items()}
        closer = replace(search, few=few, seen=seen, unseen=unseen, begun=time.process_time())
        found, within = closer.run(), replace(rounds, search=closer, points=points)
        if within.rest(found) >= DONE:
            for key in list(found.pairs):
                _, forms = within.damped(found, key)
                found = closer.bettered(found, key, forms) if forms else found
        if within.rest(found) >= DONE:
            found = wider(reach, closer, found)
        last, cut = best, Cut(reach, within, found, within.rest(found))
        if best is None or cut.rest < best.rest:
            best = cut
        if cut.rest < DONE or (last is not None and cut.rest > MUCH * last.rest):
            break
        reach = ended(search, found, reach)  # better forms know better where they end
    return best


def ended(search: Search, chosen: Chosen, guess: float = np.inf) -> float | None:
    """The distance beyond which the forms that were tried had better not act; None where there is none."""
    if not chosen.pairs or search.seen.motion.groups:
        return None
    every = []
    for key, form in chosen.pairs.items():
        tried = sorted(chosen.tried.get(key, []), key=lambda t: float(t.losses.mean()))
        every.append([form, *(t.fit.form for t in tried if t.fit.form.terms)][:TRIED])
    few = round(TRIED ** (1 / len(every)))
    forms = [together(*some) for some in itertools.product(*(each[:few] for each in every))]
    found = [_cut(search, form, chosen.own, guess) for form in forms]
    if search.order == 2 and key[:1] == "u" and len(every) == 1:  # a dashpot ends with the contact
        d = search.seen.motion.named["d"]
        found += [_cut(search, damped(f, key, d)[0], chosen.own, length_of(f, d)) for f in every[0]]
    reach, cut = min(found, key=lambda one: float(np.mean(np.abs(one[1][0]))))
    whole = fit(search.seen.motion, chosen.form, search.seen.beside([]))
    both = [_errors(whole, search.unseen), cut[1]]
    plain, better = rated([whole, whole], both, search.unseen.motion)
    return reach if beaten(plain, better, typical(search.unseen.motion.labels)) else None


def _cut(
    search: Search, form: Form, own: Sequence[Form], reach: float = np.inf
) -> tuple[float, tuple[Array, Array]]:
    """The best distance to cut a form off, and what it then leaves of rows that were and were not fitted.

    `reach` is a first guess.
    """
    rows, law = search.seen, together(form, *own)
    for _ in range(2):  # constants that were fitted to what lies beyond are wrong at first
        near = rows.nearer(reach)
        found = fit(near.motion, law, near.beside([]))
        reach = _best(rows, near, found, len(form.terms))
    near, others = rows.nearer(reach), search.unseen.nearer(reach)
    found = fit(near.motion, law, near.beside([]))
    return reach, (_errors(found, near), _errors(found, others))


def _best(rows: Rows, near: Rows, found: Fit, count: int) -> float:
    """The distance beyond which the first terms of a fit are best left out, if its other ones stay."""
    motion, form = rows.motion, found.form
    constants = dict(zip(form.symbols, found.constants, strict=True))
    own = form.columns(near.motion, found.constants)[:, count:] @ found.factors[count:]
    rest = motion.labels - (own + near.beside([]) @ found.extra).reshape(motion.labels.shape)
    force: Array = np.zeros_like(motion.edges.delta)
    for term, factor in zip(form.terms[:count], found.factors[:count], strict=True):
        force += factor * np.nan_to_num(term.each(motion, constants), posinf=0.0, neginf=0.0)
    d, nodes = motion.named["d"], len(motion.nodes)
    low, high = np.quantile(d[d > 0], SHARES)
    best = float(high)
    for _ in range(FINER):
        edges = np.linspace(low, high, BINS + 1)
        place = motion.edges.receiver * (BINS + 2) + np.searchsorted(edges, d)
        parts = [np.bincount(place, f, minlength=nodes * (BINS + 2)).reshape(nodes, -1) for f in force.T]
        within: Array = np.cumsum(np.stack(parts, axis=1), axis=2)  # [N, D, B]
        sizes = [mean(np.abs(rest - motion.averaged(within[..., k])), motion) for k in range(BINS + 1)]
        k = int(np.argmin(sizes))
        best = float(edges[k])
        low, high = float(edges[max(k - 1, 0)]), float(edges[min(k + 1, BINS)])
    return best


def _errors(found: Fit, rows: Rows) -> Array:
    """What a fit leaves of rows, shape [R, D]."""
    return found.predicted(rows.motion, rows.beside([])) - rows.motion.labels
