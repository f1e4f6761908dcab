"""What the choice of a law begins with: rows with individuals and kinds told apart, and points of functions.

Shapes: R rows, D space dims.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import sympy

from gnn_distill.arrays import Array
from gnn_distill.distil.expressions.points import Points
from gnn_distill.distil.motion.curves import Curves, drawn
from gnn_distill.distil.motion.fit import Fit, Form, together, typical
from gnn_distill.distil.motion.groups import Groups, told_apart
from gnn_distill.distil.motion.groups import found as found_groups
from gnn_distill.distil.motion.hidden import Found
from gnn_distill.distil.motion.points import points_of
from gnn_distill.distil.motion.sampling import MANY, MORE, digestible, halves, is_loud, rows_of, samples_of
from gnn_distill.distil.motion.search import Rows, Search, alive
from gnn_distill.distil.motion.strengths import Weighed, weighed
from gnn_distill.distil.motion.unlabelled import Labelled
from gnn_distill.distil.motion.unlabelled import asked as asked_of
from gnn_distill.distil.motion.weigh import convention, weigh
from gnn_distill.distil.problem import Evidence, Settings
from gnn_distill.distil.solve import Work
from gnn_distill.model.network import ISOTROPIC
from gnn_distill.read.pairs import pair_functions


@dataclass(frozen=True)
class Prepared:
    """What the choice of a law begins with.

    Attributes:
        evidence: with kinds, where these were told apart.
        asked: what was found of kinds that nobody labelled; None where there are no individuals.
        hidden: strengths of individuals; None where none has one.
        groups: of pairs that may have laws of their own.
        whole: rows before groups of pairs were told apart: few ones, those that fits see, those that judge.
        few: rows on which forms are screened.
        rows: that fits see, and that judge.
        sides: the same, with free curves in the network's place where there are such.
        curves: these; None where the network knows more.
        names: variables of the points.
        points: of each function, by direction.
        alike: whether individuals were taken for alike without asking.
    """

    evidence: Evidence
    asked: Labelled | None
    hidden: Found | None
    groups: Groups
    whole: tuple[Rows, Rows, Rows]
    few: Rows
    rows: tuple[Rows, Rows]
    sides: tuple[Rows, Rows]
    curves: Curves | None
    names: tuple[str, ...]
    points: Mapping[str, Points]
    alike: bool = False

    def one_by_one(self, settings: Settings) -> Prepared | None:
        """The same with a law for each group of pairs; None where groups share none."""
        ways = {key[:1] for key in self.points if key[1:]}
        each = {way: {g.name: g.where for g in self.groups.each} for way in ways}
        if self.curves is not None or all(
            f"{way}:{name}" in self.points for way in ways for name in each[way]
        ):
            return None
        return self.told_apart(each, settings)

    def told_apart(self, classes: Mapping[str, Mapping[str, sympy.Expr]], settings: Settings) -> Prepared:
        """The same with these groups of pairs, by direction, in the place of all."""
        few, seen, unseen = (rows.grouped(classes) for rows in self.whole)
        names, points = _points(self.evidence, settings, seen, self.hidden, self.groups)
        return replace(self, few=few, rows=(seen, unseen), sides=(seen, unseen), names=names, points=points)


def _points(
    evidence: Evidence, settings: Settings, seen: Rows, hidden: Found | None, groups: Groups
) -> tuple[tuple[str, ...], Mapping[str, Points]]:
    told = rows_of(evidence, evidence.test, 10 * settings.points, 6), settings.points, evidence.seed
    return points_of(*told, seen.pairs, hidden, groups, seen.motion.groups or None)


def plainly(evidence: Evidence, settings: Settings) -> Prepared:
    """Rows and points with individuals taken for alike, and one law for all pairs."""
    rows = samples_of(evidence)
    groups = replace(found_groups(rows[1].motion), each=())
    names, points = _points(evidence, settings, rows[1], None, groups)
    return Prepared(
        evidence, None, None, groups, rows, rows[0], rows[1:], rows[1:], None, names, points, True
    )


def prepared(work: Work, evidence: Evidence, settings: Settings) -> Prepared:
    """Individuals and kinds told apart; points of the network's functions, or of curves in their place."""
    few, seen, unseen = samples_of(evidence)
    asked = asked_of(evidence, few, halves(evidence), rows_of)
    if asked and asked.verdict == "kinds":
        work.say(f"  individuals: {asked.members}")
        evidence = replace(evidence, kinds=asked.label)
        few, seen, unseen = samples_of(evidence)
    hidden = _hidden(work, evidence, (few, seen, unseen)) if asked is None or asked.unsettled else None
    if hidden is not None:
        few, seen, unseen = (_told_apart(rows, hidden.weighed) for rows in (few, seen, unseen))
    groups = found_groups(seen.motion)
    names, points = _points(evidence, settings, seen, hidden, groups)
    rows, sides = (few, seen, unseen), (seen, unseen)
    plain = Prepared(evidence, asked, hidden, groups, rows, few, sides, sides, None, names, points)
    if hidden is None and is_loud(evidence):
        search = Search(*rows, evidence.order, lambda key: [], work.say)
        whole = digestible(evidence) if len(groups.each) <= 1 else None
        fresh = None if whole is None else rows_of(evidence, evidence.validation, MORE * MANY, 3)
        curves, sides = drawn(search, points, whole, fresh)
        if curves is not None:
            work.say("  noise hides forces from the network: free curves of the labels stand in its place")
            drawn_ = {key: curve.points(points[key]) for key, curve in curves.pairs.items()}
            return replace(plain, curves=curves, sides=sides, points={**points, **drawn_})
    if hidden is None and len(groups.each) > 1:
        spare = Search(*rows, evidence.order, lambda key: []).spare()
        alone = {key: points[key] for key in alive(seen, unseen)}
        return plain.told_apart(told_apart(groups, rows, alone, spare), settings)
    return plain


def _hidden(work: Work, evidence: Evidence, rows: tuple[Rows, Rows, Rows]) -> Found | None:
    """Strengths of individuals; None where these are not told apart, or are all alike."""
    if not evidence.individuals or evidence.model.basis != ISOTROPIC:
        return None
    if evidence.optional and evidence.order == 1 and is_loud(evidence):
        return None  # a network of such labels knows no strengths
    functions = pair_functions(evidence.model, rows[1].motion.graphs).functions
    search, loud = Search(*rows, evidence.order, lambda key: []), is_loud(evidence)
    told, own = list[str](), list[Form]()
    if loud:  # what noise makes of the network's other parts would decide which strengths and form fit best
        own = search.own(["u"], ())
    else:
        told = [k for k in rows[1].network if k in ("own", *alive(*rows[1:])) and k != "u"]
    spare = [*own, *(form for form in search.spare() if all(form.name != known.name for known in own))]
    found, factors = weigh(evidence.model, rows, functions, (told, spare), evidence.optional, loud)
    if found.mode == "none":
        work.say("  individuals: all alike, none has a strength of its own")
        return None
    work.say(f"  individuals: strengths of their own ({found.mode}), by {found.fit.form.name}")
    if not loud:
        found = sharpened(found, rows, evidence.order)
    rule = convention(found, evidence.individuals, evidence.known)
    return Found(rule.shared(found), factors)


def sharpened(found: Weighed, rows: tuple[Rows, Rows, Rows], order: int) -> Weighed:
    """Strengths beside closed forms of what acts on single particles, if these are better than the network's.

    As found, they stand beside what the network says of single particles, and share its errors.
    """
    _, seen, unseen = (_told_apart(part, found) for part in rows)
    keys = [key for key in alive(seen, unseen) if key != "u"]
    known = replace(found.fit.form, start=tuple(found.fit.constants))
    own = Search(None, seen, unseen, order, lambda key: []).own(keys, [known])
    beside = [part.beside(keys) for part in (seen, unseen)]
    again = weighed(seen.motion, together(known, *own), beside[0], found.mode, found.strengths)
    pairs = len(known.symbols), len(known.terms)
    fit = Fit(known, again.fit.constants[: pairs[0]], again.fit.factors[: pairs[1]], np.zeros(0))
    heard = [*keys, *(key for key in seen.network if key == "own")]
    network = [part.beside(heard) for part in (seen, unseen)]
    before = weighed(seen.motion, known, network[0], found.mode, found.strengths)
    told = before.predicted(unseen.motion, network[1]), again.predicted(unseen.motion, beside[1])
    left = [typical(values - unseen.motion.labels) for values in told]
    return replace(again, fit=fit) if left[1] < left[0] else found


def _told_apart(rows: Rows, found: Weighed) -> Rows:
    """Rows with the strengths, and with the form by which these were found in the place of the network's."""
    return rows.weighed(found.strengths, _pair_part(found, rows))


def _pair_part(found: Weighed, rows: Rows) -> Array:
    """What the pairs of a form come to with its strengths, shape [R, D]."""
    return replace(found.fit, extra=np.zeros(0)).predicted(rows.motion.weighed(found.strengths))
