"""Which pairs act: a factor for each pair, where one law for all leaves what these explain.

Pairs keep their factors within a run: those fitted on some pieces of time must explain the others.

Shapes: R rows, D space dims, E edges, P pairs of all runs.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from gnn_distill.arrays import Array
from gnn_distill.data.graphs import Subset
from gnn_distill.distil.hidden.edges import NORMAL, SURE, Groups, factors, groups
from gnn_distill.distil.law.closed_form import Law
from gnn_distill.distil.motion.choose import ROUNDED, Tried, beaten, rated
from gnn_distill.distil.motion.fit import NOTHING, Fit, Form, fit, typical
from gnn_distill.distil.motion.law import numbers, spread, stated_potential, written
from gnn_distill.distil.motion.samples import Index, Motion
from gnn_distill.distil.motion.search import Chosen
from gnn_distill.distil.motion.trust import mean, unexplained, verdict
from gnn_distill.distil.problem import Evidence

Mask = npt.NDArray[np.bool_]

PIECES = 8
"""Pieces of time of a run at most: every second one is fitted, the others judge."""
ROUNDS = 3
"""Factors of pairs and numbers of the form, each beside the other."""
NEAR = 4
"""Forms beside the chosen one that are tried with factors of pairs."""
FEWEST = 3
"""Labels for each factor of a run at least."""
SOME, MUCH, FINALISTS = 0.8, 0.5, 2
"""Shares of the error of one law for all that factors of pairs may leave: with its form, for others to be
tried, and at last. So many of the others are tried on all rows."""


@dataclass(frozen=True)
class Pairs:
    """What shares a factor.

    Attributes:
        number: of each edge's pair, [E]; those of a run follow each other.
        block: pairs of a run.
        run: number of the run of each pair, [P]; `one` and `two` its particles, likewise.
        what: `pair`, in each run; `label`, the same in all runs; `run`, all pairs of a run alike.
        ways: whether a pair may act one way alone.
    """

    number: Index
    block: int
    run: Index
    one: Index
    two: Index
    what: str
    ways: bool

    @property
    def count(self) -> int:
        """Number of factors."""
        return len(self.run)


@dataclass(frozen=True)
class _Crossed:
    """What a form with factors of pairs says of unseen pieces of time, [R, D]."""

    chosen: Chosen
    pairs: Pairs
    predicted: Array

    @property
    def cost(self) -> tuple[int, int]:
        """The fewer numbers, the simpler."""
        return self.pairs.count, self.chosen.form.cost


@dataclass(frozen=True)
class Joined:
    """A law and the factors of its pairs.

    Attributes:
        chosen: its parts.
        fit: the law of a pair whose factor is one.
        pairs: which share a factor.
        factors: shape [P]; `errors` of them, likewise.
        groups: that factors fall into; None where they fall into none.
        predicted: rows of unseen pieces of time, by factors of the others; [R, D], NaN where none.
    """

    chosen: Chosen
    fit: Fit
    pairs: Pairs
    factors: Array
    errors: Array
    groups: Groups | None
    predicted: Array

    def each(self) -> Array:
        """The factor of each edge, shape [E]."""
        return self.factors[self.pairs.number]

    def table(self, names: Sequence[str]) -> pd.DataFrame:
        """A row for each pair; `names` of the particles of a frame."""
        p, found = self.pairs, dict[str, Any]()
        if p.what == "pair":
            found["run"] = p.run
        sides = ("receiver", "sender") if p.ways else ("one", "two")
        found |= {side: np.array(list(names))[of] for side, of in zip(sides, (p.one, p.two), strict=True)}
        found |= {"factor": self.factors, "error": self.errors}
        if self.groups is not None:
            found |= {"group": self.groups.centres[self.groups.of], "sure": self.groups.sure}
        return pd.DataFrame(found)

    def told(self) -> str:
        """What the factors are like, in one sentence."""
        where = "in each run" if self.pairs.what == "pair" else "in all runs"
        way = ", not the same both ways" if self.pairs.ways else ""
        count = f"{len(self.factors):,} factors"
        if self.groups is None:
            low, high = np.quantile(self.factors, [0.05, 0.95])
            said = f"that spread from {low:.2g} to {high:.2g}"
        else:
            several = zip(self.groups.centres, self.groups.shares, strict=True)
            said = ", ".join(f"{round(c, 3) + 0.0:.3g} ({100 * part:.0f} %)" for c, part in several)
            sure = f"{100 * float((self.groups.sure > SURE).mean()):.0f} %"
            said = f"that fall into {len(self.groups.centres)} groups, {said}; {sure} of them are sure"
        return (
            f"Each pair takes this law times a factor of its own {where}{way}: {count} {said} (law/edges.csv)"
        )


def joined(
    rows: tuple[Motion, Motion],
    graph: tuple[Index, Index],
    chosen: Chosen,
    more: Callable[[], Sequence[Form]],
    network: Array,
) -> Joined | None:
    """The law whose pairs have factors of their own; None where unseen pieces of time do not ask for them.

    Args:
        rows: of a few whole runs, on which forms are screened, and of all.
        graph: receivers and senders of one graph.
        chosen: the law for all.
        more: gives further forms of the part along Δ/d: an average of unlike pairs need not look like one.
        network: its word on the second rows, shape [R, D].
    """
    few, motion = (_Halves.of(part, graph) for part in rows)
    ways = [pairs for pairs in few.pairings() if pairs.count * FEWEST <= rows[0].labels.size / 2]
    if not ways or not chosen.pairs or not all(half.any() for half in (*few.halves, *motion.halves)):
        return None
    plain = [fit(part, chosen.form).predicted(part) for part in rows]
    first = few.simplest([few.crossed(chosen, pairs) for pairs in ways], plain[:1])
    if not few.clear([first.predicted, plain[0]], SOME):
        return None
    others = few.screened([chosen, *_forms(chosen, more())], first.pairs)
    others += [replace(one, own=()) for one in others if one.own]
    pairs = motion.paired(first.pairs.what, first.pairs.ways)
    rivals = [plain[1], network, motion.crossed(chosen, motion.runs()).predicted]
    best = motion.simplest([motion.crossed(one, pairs) for one in others], rivals)
    return motion.finished(best) if motion.clear([best.predicted, *rivals], MUCH) else None


def _forms(chosen: Chosen, more: Sequence[Form]) -> list[Chosen]:
    """Forms that came near the chosen one, and further ones."""
    found: list[Chosen] = []
    for key in chosen.pairs:
        rated = sorted(chosen.tried.get(key, []), key=lambda t: float(t.losses.mean()))
        near = [replace(t.fit.form, start=tuple(t.fit.constants)) for t in rated if t.fit.form.terms]
        for form in [*near[:NEAR], *(more if key == "u" else ())]:
            one = replace(chosen, pairs={**chosen.pairs, key: form})
            if all(one.form.terms != other.form.terms for other in found):
                found.append(one)
    return found


@dataclass(frozen=True)
class _Halves:
    """Rows of whole runs, of which every second piece of time is fitted and the others judge.

    Attributes:
        motion: the rows.
        run: number of the run of each edge, [E].
        ends: numbers of the edges' receivers and senders in their frames, each [E].
        halves: which rows are in every second piece of time, and which in the others.
    """

    motion: Motion
    run: Index
    ends: tuple[Index, Index]
    halves: tuple[Mask, Mask]

    @classmethod
    def of(cls, motion: Motion, graph: tuple[Index, Index]) -> _Halves:
        run, when = _times(motion)
        count = len(motion.nodes) // motion.n
        return cls(motion, run, (np.tile(graph[0], count), np.tile(graph[1], count)), _pieces(motion, when))

    @property
    def judge(self) -> Mask:
        """Rows that are predicted by others."""
        return np.asarray(self.halves[0] | self.halves[1])

    def runs(self) -> Pairs:
        """All pairs of a run share a factor."""
        count = np.arange(int(self.run.max()) + 1)
        return Pairs(self.run, 1, count, 0 * count, 0 * count, "run", False)

    def pairings(self) -> list[Pairs]:
        """Ways in which edges may share factors: in all runs, or in each; both ways, or one."""
        if len(self.ends[0]) != len(self.run):  # some edges were left out
            return []
        return [self.paired(what, ways) for what in ("label", "pair") for ways in (False, True)]

    def paired(self, what: str, ways: bool) -> Pairs:
        """One of these ways."""
        one, two = self.ends
        i, j = (one, two) if ways else (np.minimum(one, two), np.maximum(one, two))
        known, place = np.unique(i * self.motion.n + j, return_inverse=True)
        block, runs = len(known), int(self.run.max()) + 1 if what == "pair" else 1
        number = self.run * block + place if what == "pair" else place
        which, of = np.tile(known, runs), np.repeat(np.arange(runs), block)
        return Pairs(number, block, of, which // self.motion.n, which % self.motion.n, what, ways)

    def compared(self, predicted: Sequence[Array]) -> list[Tried]:
        """Losses of predictions [R, D]."""
        judge = self.judge[:, None]
        errors = [np.where(judge, p - self.motion.labels, 0.0) for p in predicted]
        nothing = Fit(NOTHING, np.zeros(0), np.zeros(0), np.zeros(0))
        return rated([nothing] * len(errors), errors, _trusting(self.motion, self.judge))

    def crossed(self, chosen: Chosen, pairs: Pairs) -> _Crossed:
        """Each half of the pieces of time predicted by numbers of the other; 0 elsewhere."""
        found = np.zeros_like(self.motion.labels)
        for seen, unseen in (self.halves, self.halves[::-1]):
            last, k, _ = _fitted(_trusting(self.motion, seen), chosen.form, pairs)
            predicted = last.predicted(self.motion.weighed(None, k[pairs.number]))
            found = np.where(unseen[:, None], predicted, found)
        return _Crossed(chosen, pairs, found)

    def simplest(self, found: Sequence[_Crossed], others: Sequence[Array] = ()) -> _Crossed:
        """The one of fewest numbers that no other beats; `others` are further predictions."""
        tried = self.compared([*(one.predicted for one in found), *others])[: len(found)]
        best, size = min(tried, key=lambda t: float(t.losses.mean())), typical(self.motion.labels)
        level = [k for k, t in enumerate(tried) if t is best or not beaten(t, best, size)]
        return found[min(level, key=lambda k: (*found[k].cost, float(tried[k].losses.mean())))]

    def clear(self, predicted: Sequence[Array], much: float) -> bool:
        """Whether the first is better than all others, by more than chance and by so much."""
        best, *rest = self.compared(predicted)
        size = typical(self.motion.labels)
        enough = [float(best.losses.mean()) < much**2 * float(one.losses.mean()) for one in rest]
        return all(enough) and all(beaten(one, best, size) for one in rest)

    def screened(self, forms: Sequence[Chosen], like: Pairs) -> list[Chosen]:
        """The simplest of those that fit these rows best with factors of their pairs."""
        pairs = self.paired(like.what, like.ways)
        found = [self.crossed(one, pairs) for one in forms]
        tried = self.compared([one.predicted for one in found])
        order = np.argsort([float(t.losses.mean()) for t in tried])
        picked = [self.simplest(found), *(found[k] for k in order[:FINALISTS])]
        return list({id(one): one.chosen for one in picked}.values())

    def finished(self, best: _Crossed) -> Joined:
        """The law on all rows, its factors in units of the strongest group, or of the largest ones."""
        motion, form, pairs = self.motion, best.chosen.form, best.pairs
        last, k, error = _fitted(motion, form, pairs)
        parts = [_fitted(_trusting(motion, half), form, pairs) for half in self.halves]
        same = float(parts[0][1] @ parts[1][1]) / float(parts[0][1] @ parts[0][1])  # a scale is free
        apart = (same * parts[0][1] - parts[1][1]) / np.hypot(same * parts[0][2], parts[1][2])
        error = error * max(
            1.0, float(np.median(np.abs(apart))) / NORMAL
        )  # what errors of neighbouring rows have in common
        error = np.hypot(error, ROUNDED * np.abs(k).max())
        kinds = groups(k, error)
        if kinds is None:
            unit = float(np.quantile(np.abs(k), 0.95))
        else:
            unit = float(kinds.centres[np.argmax(np.abs(kinds.centres))])
            kinds = replace(kinds, centres=kinds.centres / unit)
        k, error = k / unit, np.abs(error / unit)
        last = fit(motion.weighed(None, k[pairs.number]), replace(form, start=tuple(last.constants)))
        judged = np.where(self.judge[:, None], best.predicted, np.nan)
        return Joined(best.chosen, last, pairs, k, error, kinds, judged)


def joined_law(
    found: Joined, motion: Motion, network: Array, evidence: Evidence, content: Mapping[str, Any]
) -> tuple[tuple[Law, dict[str, Any]], pd.DataFrame]:
    """The law with the content of `law.json`, and a table of its pairs.

    Args:
        found: the law of pairs with factors of their own.
        motion: the rows that it was found from.
        network: its word on these rows, shape [R, D].
        evidence: whose particles they are.
        content: of the law that is the same for all pairs.
    """
    columns, judged = evidence.test.columns, np.asarray(np.isfinite(found.predicted).all(axis=1))
    law = written(found.fit, columns, evidence.order)
    rows, every = _trusting(motion, judged), motion.weighed(None, found.each())
    size, off = mean(np.abs(motion.labels), rows), {}
    for name, predicted in (("test", np.nan_to_num(found.predicted)), ("network", network)):
        mae = mean(np.abs(predicted - motion.labels), rows)
        off[name] = {"mae": mae, "share": mae / max(size, 1e-300)}
    rest = unexplained(off["test"]["mae"], rows, evidence.noise)
    bounds, alone = numbers(found.fit, law, columns, spread(found.fit, every, evidence.seed), rest)
    before = {k: v for k, v in content.items() if not k.startswith("hidden") and k != "tested"}
    kept = before | law.to_dict() | off
    kept |= {"intervals": bounds, "one_body_intervals": [a.tolist() for a in alone], "level": {}}
    kept |= {"names": {key: form.name for key, form in found.chosen.pairs.items()}, "r2_truth": None}
    kept |= {"own": [form.name for form in found.chosen.own]}
    farthest = float(np.max(motion.named["d"], initial=0.0))
    kept |= {"potential": stated_potential(law, farthest, columns.softening)}
    trust, _ = verdict(kept, rows, evidence.noise)
    told = found.told()
    sentence = f"{told}. With these factors: {trust['sentence'][0].lower()}{trust['sentence'][1:]}"
    doubts = ["Which pairs act is known for the runs of law/edges.csv alone"]
    kept |= {"edges": told, "trust": trust | {"sentence": sentence}, "doubts": doubts}
    first = evidence.test.features[0, :, columns.individual] if evidence.individuals else None
    count = range(motion.n)
    names = [str(k) for k in count] if first is None else [evidence.individuals[int(k)] for k in first]
    return (law, kept), found.table(names)


def _fitted(motion: Motion, form: Form, pairs: Pairs) -> tuple[Fit, Array, Array]:
    """The form, the factors [P] of its pairs, and their errors [P]."""
    now, found = motion, fit(motion, form)
    for _ in range(ROUNDS):
        constants = dict(zip(found.form.symbols, found.constants, strict=True))
        terms = list(zip(found.form.terms, found.factors, strict=True))
        each = sum(f * t.each(motion, constants) for t, f in terms if t.along is not None)
        alone = sum(
            (f * t.column(motion, constants) for t, f in terms if t.along is None), 0.0 * motion.labels
        )
        a = motion.by_sender(np.nan_to_num(np.asarray(each)), pairs.number, len(pairs.run))
        trust = np.repeat(motion.trust[:, 0], motion.labels.shape[1])
        k, error = factors(a, (motion.labels - alone).ravel(), trust, pairs.block)
        now = motion.weighed(None, k[pairs.number])
        found = fit(now, replace(form, start=tuple(found.constants)))
    return found, k, error


def _trusting(motion: Motion, rows: Mask) -> Motion:
    """The same rows of which only these [R] count."""
    found = motion.weighed(motion.strengths, motion.factors)
    found.__dict__["trust"] = motion.trust * rows[:, None]
    return found


def _times(motion: Motion) -> tuple[Index, Index]:
    """Numbers of the edges' runs [E], and of the rows' frames within theirs [R]."""
    of = motion.graphs.trajectory if isinstance(motion.graphs, Subset) else None
    graph = np.arange(len(motion.nodes) // motion.n)
    runs = graph if of is None else np.unique(of.cpu().numpy(), return_inverse=True)[1]
    frame = graph - np.searchsorted(runs, runs)  # runs follow each other
    return runs[motion.edges.receiver // motion.n], motion.inner(np.repeat(frame, motion.n)[:, None])[:, 0]


def _pieces(motion: Motion, when: Index) -> tuple[Mask, Mask]:
    """Which rows lie in every second piece of time, and which in the others, with no frame in common."""
    width, place = len(motion.kernel), when - when.min()
    frames = int(place.max()) + 1
    count = int(np.clip(frames // (4 * width), 2, PIECES))
    piece = place * count // frames
    inner = (piece == 0) | (place - -(-piece * frames // count) >= width - 1)
    return inner & (piece % 2 == 0), inner & (piece % 2 == 1)
