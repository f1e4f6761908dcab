"""How the forms of a law are settled: those of textbooks first, then what a search finds, then their reach.

Shapes: S points, K inputs.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np
import sympy

from gnn_distill.distil.engines.engine import Engine
from gnn_distill.distil.engines.forms import FormsEngine
from gnn_distill.distil.engines.given import GivenEngine
from gnn_distill.distil.engines.operon import OperonEngine
from gnn_distill.distil.expressions.front import Front
from gnn_distill.distil.expressions.points import Points
from gnn_distill.distil.motion.alone import suggested
from gnn_distill.distil.motion.candidates import GIVEN, candidates
from gnn_distill.distil.motion.fit import Form, fit
from gnn_distill.distil.motion.points import front
from gnn_distill.distil.motion.prepare import Prepared, plainly, prepared
from gnn_distill.distil.motion.reach import nearer
from gnn_distill.distil.motion.rounds import DONE, MUCH, Rounds
from gnn_distill.distil.motion.sampling import ALL, OUTRIGHT, halves, is_exact, is_scarce, rows_of
from gnn_distill.distil.motion.search import Chosen, Rows, Search, alive
from gnn_distill.distil.motion.shared import settled
from gnn_distill.distil.motion.trust import GAUSSIAN
from gnn_distill.distil.problem import Evidence, Settings
from gnn_distill.distil.solve import Work

SECONDS, TURNS = 12.0, 4
"""Of the processor, for what acts on single particles where known forms do not say it, and turns at most."""


def begun(work: Work, evidence: Evidence, settings: Settings) -> tuple[Prepared, Choice]:
    """The choice for particles that are alike, if it leaves next to nothing; else with all that differs."""
    wanted = bool(evidence.individuals) and not evidence.optional  # strengths that the user asks for
    asked, more = is_exact(evidence) and not wanted, list[Form]()
    alike = not evidence.individuals  # else strengths are asked for before forms of no list
    if asked:
        ready = plainly(evidence, settings)
        known, more = known_forms(work, ready, TURNS if alike else 1)
        if known is not None:
            return ready, settle(work, ready, known, more)
    ready = prepared(work, evidence, settings)
    same = asked and alike and ready.evidence is evidence and len(ready.groups.each) <= 1
    return ready, settle(work, ready, None, more) if same else choice(work, ready)


class Choice(NamedTuple):
    """What the data chose.

    Attributes:
        chosen: the forms of the law.
        classes: groups of pairs that have laws of their own, see `Motion.groups`.
        evidence: with the distance up to which pairs act, where one was found.
        rows: that fits saw, and that judged.
        rest: share of the motion that the law leaves beyond noise.
        fronts: of the search for each function.
    """

    chosen: Chosen
    classes: Mapping[str, sympy.Expr]
    evidence: Evidence
    rows: tuple[Rows, Rows]
    rest: float
    fronts: Mapping[str, Front]


def search_of(
    work: Work, ready: Prepared, fronts: Mapping[str, Front], more: Sequence[Form] = ()
) -> tuple[Search, Rounds]:
    """The choice among forms of textbooks and of these fronts, and what further rounds need.

    `more` are forms that may act on single particles.
    """
    evidence, points, curves = ready.evidence, ready.points, ready.curves

    def forms(key: str) -> list[Form]:
        found = forms_of(work.engine, points[key], fronts.get(key), key)
        return found if curves is None else curves.pairs[key].nearest(found, points[key])

    few, fresh = ready.few if curves is None else None, not is_scarce(evidence)
    search = Search(few, *ready.sides, evidence.order, forms, work.say, fresh, more=tuple(more))
    # errors of the network on unseen runs hold the noise of labels, so there is no more of it than that
    noise = min(evidence.noise, evidence.recording.mae / GAUSSIAN)
    return search, Rounds(work, search, points, 1.0 if ready.sides[0].motion.count else noise)


class Known(NamedTuple):
    """Forms of a law that leave next to nothing, and those of pairs as fronts."""

    chosen: Chosen
    fronts: dict[str, Front]


def known_forms(work: Work, ready: Prepared, turns: int = TURNS) -> tuple[Known | None, list[Form]]:
    """Known forms that leave next to nothing of exact labels: no equation could be better by what matters.

    Where they leave more, what acts on single particles may be of no list; then it is searched for, by turns
    with pairs, for as long as each turn leaves much less and there are `turns`.

    Returns:
        The forms, None where they leave more; and those for single particles that are of no list.
    """
    more, before = list[Form](), list[Form]()
    if ready.curves is not None or not is_exact(ready.evidence) or not isinstance(work.engine, OperonEngine):
        return None, more
    quiet, last = replace(work, say=lambda line: None), np.inf
    for k in range(turns):
        search, rounds = search_of(quiet, ready, {}, more)
        chosen = search.run()
        rest = replace(rounds, noise=0.0).rest(chosen) if chosen.form.terms else np.inf
        if rest < OUTRIGHT:
            break
        if k and rest > MUCH * last:
            return None, before
        if k == turns - 1 or "own" not in search.seen.network:
            return None, more
        new, last, before = suggested(quiet, search, chosen, k, SECONDS), rest, more
        if not new:
            return None, more
        more = [*more, *(form for form in new if all(form.name != known.name for known in more))]
    names = " + ".join(form.name for form in [*chosen.pairs.values(), *chosen.own])
    told = "known forms leave next to nothing of these labels, so no equation of pairs is searched"
    work.say(f"  {told}: {names}")
    found = fit(search.seen.motion, chosen.form)
    fronts = {key: Front.on(ready.points[key], [found.function(key)]) for key in chosen.pairs}
    return Known(chosen, fronts), more


def choice(work: Work, ready: Prepared) -> Choice:
    """The forms of the law: known ones where these leave next to nothing, else those of a search, too."""
    return settle(work, ready, *known_forms(work, ready))


def settle(work: Work, ready: Prepared, known: Known | None, more: Sequence[Form]) -> Choice:
    """The same, where it was seen what known forms leave.

    `more` are forms of no list that may act on single particles.
    """
    evidence, points, curves, rows = ready.evidence, ready.points, ready.curves, ready.rows
    if known is None:
        keys = alive(*ready.sides)
        fronts = {key: front(work, key, points[key], len(keys)) for key in keys}
        search, rounds = search_of(work, ready, fronts, more)
        chosen = search.run()
    else:
        chosen, fronts = known.chosen, known.fronts
        search, rounds = search_of(work, ready, {}, more)
    classes = rows[0].motion.groups
    plain = ready.hidden is None and curves is None and not classes

    def wider(reach: float | None, search: Search, found: Chosen) -> Chosen:
        return looked_wider(replace(evidence, reach=reach), search, found)

    cut = nearer(rounds, chosen, wider) if plain and rounds.rest(chosen) >= DONE else None
    if cut is None or not cut.holds():
        chosen = rounds.run(chosen)
        if plain and rounds.rest(chosen) >= DONE:
            chosen = wider(None, replace(search, more=(*search.more, *chosen.own)), chosen)
    rest = rounds.rest(chosen)
    if cut is not None and cut.holds(rest):
        work.say(f"  pairs act up to a distance of {cut.reach:.4g}")
        evidence, search = replace(evidence, reach=cut.reach), cut.rounds.search
        rows, chosen, rest = (search.seen, search.unseen), search.pared(cut.chosen), cut.rest
    if ready.hidden is None and len(ready.groups.each) > 1:
        chosen, classes = settled(chosen, rows, ready.groups)
        if chosen.own:  # what stood for errors of earlier forms may go
            seen, unseen = (replace(r, motion=r.motion.grouped(classes)) for r in rows)
            rows = seen, unseen
            search = replace(search, seen=seen, unseen=unseen, more=(*search.more, *chosen.own))
            chosen = replace(chosen, own=tuple(search.own([], tuple(chosen.pairs.values()))))
    return Choice(chosen, classes, evidence, rows, rest, fronts)


def forms_of(engine: Engine, points: Points, front: Front | None, key: str) -> list[Form]:
    """Forms of one direction; the user's own alone where it was given."""
    if isinstance(engine, GivenEngine) and front is not None:
        return [Form.of(front.equations[-1].expression, key, GIVEN, front.equations[-1].complexity)]
    return candidates(points, front, key, engine.more if isinstance(engine, FormsEngine) else None)


def looked_wider(evidence: Evidence, choice: Search, chosen: Chosen) -> Chosen:
    """What acts on single particles, asked of all rows: few of them may lie behind a wall."""
    seen, unseen = (rows_of(evidence, part, ALL, 8) for part in halves(evidence))
    own = replace(choice, seen=seen, unseen=unseen).own([], tuple(chosen.pairs.values()))
    return replace(chosen, own=tuple(own))
