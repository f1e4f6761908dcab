"""What groups of pairs share once their forms are known: constants, strengths, or the whole law.

Closed forms are sharper than free curves: where they hold, a difference of a few per cent in strength shows.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import sympy

from gnn_distill.arrays import Array
from gnn_distill.distil.motion.choose import beaten, compared
from gnn_distill.distil.motion.fit import Fit, Form, fit, together, typical
from gnn_distill.distil.motion.groups import Columns, Groups
from gnn_distill.distil.motion.samples import Motion
from gnn_distill.distil.motion.search import Chosen, Rows


def settled(chosen: Chosen, rows: tuple[Rows, Rows], groups: Groups) -> tuple[Chosen, dict[str, sympy.Expr]]:
    """The choice with as little told apart as unseen rows ask for, and as much.

    Groups take the form of others where it does as well. Those of one form share its constants unless that is
    beaten, and their strengths, too.

    Args:
        chosen: forms of classes of groups.
        rows: that are fitted, and that judge.
        groups: of all pairs.

    Returns:
        The choice, and what is 1 for the pairs of each group that it names.
    """
    known = {**rows[0].motion.groups, **{g.name: g.where for g in groups.each}}
    job = _Job(chosen, rows, groups, known).of_fewer_forms()
    for keys in job.families():
        job = job.with_family(keys)
    return job.chosen, job.known


@dataclass(frozen=True)
class _Job:
    chosen: Chosen
    rows: tuple[Rows, Rows]
    groups: Groups
    known: dict[str, sympy.Expr]

    def of_fewer_forms(self) -> _Job:
        """The choice where a direction of a group has the form of another group's that is no worse."""
        job = self
        for key, form in self.chosen.pairs.items():
            for other, its in self.chosen.pairs.items():
                now = job.chosen.pairs[key]
                if (
                    other[:1] != key[:1]
                    or _like(its) == _like(now)
                    or its.cost > form.cost
                    or now is not form
                ):
                    continue
                taken = {key: _over(replace(its, start=job.chosen.pairs[other].start), [key])}
                if _like(its) == _like(job.chosen.pairs[other]) and not job.worse(taken, {}, [key]):
                    start = job.fitted(taken, [key]).constants[: len(its.symbols)]
                    taken = {key: replace(taken[key], start=tuple(map(float, start)))}
                    job = job.put(taken, {}, [key])
        return job

    def families(self) -> list[list[str]]:
        """Directions that have the same form but for its numbers."""
        found: dict[tuple[object, ...], list[str]] = {}
        for key, form in self.chosen.pairs.items():
            found.setdefault((key[:1], *_like(form)), []).append(key)
        return list(found.values())

    def with_family(self, keys: Sequence[str]) -> _Job:
        """The choice where directions of one form share what they can."""
        form, way = self.chosen.pairs[keys[0]], keys[0][:1]
        if len(keys) > 1 and form.symbols and self.worse({way: _over(form, keys)}, {}, keys):
            job = self
            for key in keys:
                job = job.with_family([key])
            return job
        inside = {label for key in keys for label in key[2:].split(",")}
        which = [k for k, g in enumerate(self.groups.each) if way in keys or g.name in inside]
        if len(which) < 2:
            return self
        start = self.fitted({way: _over(form, keys)}, keys).constants[: len(form.symbols)]
        form = replace(form, start=tuple(map(float, start)))
        parts = [[which[k] for k in part] for part in self.strengths(form, way, which, keys)]
        if len(parts) == 1 and way in keys:
            return self
        named = {f"{way}:{(c := self.groups.joined(p)).name}": c.where for p in parts}
        if len(parts) == 1 and len(which) == len(self.groups.each):
            return self.put({way: _over(form, [way])}, {}, keys)
        more = {key[2:]: where for key, where in named.items()}
        one = {f"{way}:{self.groups.joined(sorted(which)).name}": _over(form, list(named))}
        each = {key: _over(form, [key]) for key in named}
        job = replace(self, known=self.known | more)
        alike = len(parts) > 1 and form.symbols and job.worse(one, each, keys)
        return job.put(each if alike else one, more, keys)

    def put(self, pairs: Mapping[str, Form], more: Mapping[str, sympy.Expr], keys: Sequence[str]) -> _Job:
        """These forms in the place of those of `keys`."""
        rest = {k: f for k, f in self.chosen.pairs.items() if k not in keys}
        return replace(self, chosen=replace(self.chosen, pairs=rest | {**pairs}), known=self.known | {**more})

    def fitted(self, pairs: Mapping[str, Form], keys: Sequence[str]) -> Fit:
        """All parts fitted to the first rows: these forms in the place of those of `keys`, and the rest."""
        rest = [f for k, f in self.chosen.pairs.items() if k not in keys]
        seen, extra = self._rows(0)
        return fit(seen, together(*pairs.values(), *rest, *self.chosen.own), extra)

    def worse(self, one: Mapping[str, Form], other: Mapping[str, Form], keys: Sequence[str]) -> bool:
        """Whether `other`, the present forms if empty, explains more of the rows that judge."""
        now = other or {k: self.chosen.pairs[k] for k in keys}
        fits = [self.fitted(pairs, keys) for pairs in (one, now)]
        unseen, extra = self._rows(1)
        both = compared(fits, unseen, extra)
        return beaten(both[0], both[1], typical(unseen.labels))

    def strengths(self, form: Form, way: str, which: Sequence[int], keys: Sequence[str]) -> list[list[int]]:
        """Which of these groups have one strength, as numbers among them."""
        rest = [f for k, f in self.chosen.pairs.items() if k not in keys]
        each, beside = [], []
        for side in (0, 1):
            motion, extra = self._rows(side)
            own = [f.columns(motion, f.start) for f in (*rest, *self.chosen.own)]
            beside.append(np.concatenate([*own, extra], axis=1))
            here = [_over(form, [f"{way}:{self.groups.each[k].name}"]) for k in which]
            each.append([f.columns(motion, form.start) for f in here])
        columns = list(zip(*each, strict=True))
        seen, unseen = (self._rows(side)[0] for side in (0, 1))
        return Columns(seen, unseen, columns, (beside[0], beside[1])).classes()

    def _rows(self, side: int) -> tuple[Motion, Array]:
        rows = self.rows[side]
        return rows.motion.grouped(self.known), rows.beside(["own"] if self.chosen.unsaid else [])


def _like(form: Form) -> tuple[object, ...]:
    """What forms have in common that differ in their numbers alone."""
    return tuple(t.forms for t in form.terms), form.symbols


def _over(form: Form, keys: Sequence[str]) -> Form:
    """A form along several directions, each with factors of its own, with the same constants."""
    return replace(form, terms=tuple(replace(term, along=key) for key in keys for term in form.terms))
