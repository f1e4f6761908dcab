"""From a network of pair vectors to its law: equations for each of its functions, a choice, one closed form.

Shapes: E edges, N nodes, R rows, D space dims.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
import sympy

from gnn_distill.distil.expressions.points import Points
from gnn_distill.distil.joint import Joint, along
from gnn_distill.distil.law.assemble import nodes_of
from gnn_distill.distil.law.closed_form import Law, compare, r2_truth
from gnn_distill.distil.motion.candidates import candidates
from gnn_distill.distil.motion.choose import beaten, rated
from gnn_distill.distil.motion.curves import Curves
from gnn_distill.distil.motion.edges import joined, joined_law
from gnn_distill.distil.motion.fit import settled, typical
from gnn_distill.distil.motion.hidden import Found, described, in_kinds, indistinct, unneeded, unsure
from gnn_distill.distil.motion.hidden import spread as drawn_spread
from gnn_distill.distil.motion.kicks import unkicked
from gnn_distill.distil.motion.law import apart as laws_apart
from gnn_distill.distil.motion.law import (
    estimated,
    in_words,
    numbers,
    rival,
    spread,
    stated_potential,
    written,
)
from gnn_distill.distil.motion.points import entry
from gnn_distill.distil.motion.prepare import plainly
from gnn_distill.distil.motion.rounds import DONE, MUCH, Rounds
from gnn_distill.distil.motion.sampling import (
    ALL,
    MANY,
    edges_of,
    every,
    is_loud,
    joined_graphs,
    rows_of,
    samples_of,
)
from gnn_distill.distil.motion.search import Chosen, Rows, Search
from gnn_distill.distil.motion.settle import begun, choice, forms_of
from gnn_distill.distil.motion.steps import Step
from gnn_distill.distil.motion.strengths import powers
from gnn_distill.distil.motion.trust import (
    alike,
    carried,
    errors,
    fitting,
    nothing,
    unexplained,
    verdict,
)
from gnn_distill.distil.problem import Evidence, Settings
from gnn_distill.distil.solve import Found as Solved
from gnn_distill.distil.solve import Work
from gnn_distill.distil.verdict.functions import judge_functions, whole_verdict
from gnn_distill.physics.variables import DELTAS


@dataclass(frozen=True)
class Distilled:
    """What came of the search.

    Attributes:
        equations: the content of `equations.json`.
        law: the law, and the content of `law.json`; None where no part of the network has a closed form.
        edges: a row for each pair, where pairs have factors of their own; else None.
    """

    equations: dict[str, Any]
    law: tuple[Law, dict[str, Any]] | None
    edges: pd.DataFrame | None = None


def distilled(work: Work, evidence: Evidence, settings: Settings) -> Distilled:
    """Equations for each function of a network of basis `isotropic`, and the law made of them."""
    ready, found = begun(work, evidence, settings)
    each = ready.one_by_one(settings) if found.rest >= DONE else None
    if each is not None:
        work.say("  no law that groups of pairs share is as exact as the labels: one law for each group")
        other = choice(work, each)
        if other.rest < max(DONE, MUCH * found.rest):
            ready, found = each, other
    evidence, chosen, unseen, fronts = found.evidence, found.chosen, found.rows[1], found.fronts
    law, edges = None, None
    if chosen.form.terms:
        law = _law(evidence, chosen, ready.hidden, ready.curves, found.classes)
    if law is not None and ready.hidden is not None and evidence.optional and indistinct(law[1]["hidden"]):
        work.say("  these strengths do not differ by more than their errors: individuals are taken for alike")
        plain = plainly(evidence, settings)
        other = choice(work, plain)
        if other.chosen.form.terms and other.rest < max(DONE, found.rest):
            ready, chosen, unseen, fronts = plain, other.chosen, other.rows[1], other.fronts
            evidence = other.evidence
            law = _law(evidence, chosen, None, None, other.classes)
    if "u" in ready.points:
        law, edges = _pair_by_pair(work, evidence, chosen, law, ready.points["u"])
    if law is not None:
        told = replace(evidence, individuals=()) if ready.alike else evidence
        law[1].update(in_kinds(ready.asked, told, ready.groups.kinds) if ready.hidden is None else {})
        law[1]["doubts"] += ready.groups.doubts
    verdicts = _verdicts(evidence, law, unseen)
    content: dict[str, Any] = {"engine": work.engine.name, "target": "functions"}
    content |= {"variables": list(ready.names), "mass_slope": None, "joint": None, "also": {}}
    content |= {} if verdicts is None else {"verdict": verdicts}
    content["components"] = [entry(key, front, chosen, verdicts) for key, front in fronts.items()]
    if law is None:
        content["trust"] = nothing(unseen.motion, evidence.noise, unseen.told, evidence.order)
    return Distilled(content, law, edges)


def _verdicts(
    evidence: Evidence, found: tuple[Law, dict[str, Any]] | None, seen: Rows
) -> dict[str, Any] | None:
    """Is this the true law, part by part? None where that is not known."""
    if evidence.law is None:
        return None
    law, trust = (Law(()), {}) if found is None else (found[0], found[1]["trust"])
    named, edges = seen.motion.nodes.named, evidence.recording.edges
    parts = judge_functions(
        law.functions, law.one_body, evidence.law, edges, named, typical(seen.motion.labels)
    )
    return whole_verdict(parts, trust["sentence"] if trust.get("level") == "none" else "")


def central_law(
    work: Work, evidence: Evidence, found: Solved, joint: Joint
) -> tuple[Law, dict[str, Any]] | None:
    """The law of a network whose contributions point along Δ, and the content of `law.json`.

    None where no form explains anything of unseen runs.

    Args:
        work: the engine.
        evidence: what the law is found from.
        found: equations of the pull-back.
        joint: the front of its part along Δ.
    """
    few, seen, unseen = samples_of(evidence)
    axes = [k for k, name in enumerate(found.problem.names) if name in DELTAS]
    inputs = [k for k in range(len(found.problem.names)) if k not in axes]
    X, names = found.problem.X, tuple(found.problem.names[k] for k in inputs)
    size, _ = along(X[:, axes], found.problem.values)
    points = Points(X[:, inputs], size, np.ones(len(X)), names)
    choice = Search(
        few, seen, unseen, 2, lambda key: forms_of(work.engine, points, joint.front, key), work.say
    )
    chosen = Rounds(work, choice, {"u": points}, evidence.noise, moving=False).run(choice.run())
    if not chosen.form.terms:
        return None
    columns = evidence.test.columns
    seen_all = every(evidence)
    last = settled(seen_all, chosen.form)
    law = replace(written(last, columns, 2), functions={})
    compared = compare(
        law, evidence.recording.edges, nodes_of(evidence.recorded), evidence.recording.recorded_mae
    )
    rest = unexplained(compared["test"]["mae"], seen_all, evidence.noise)
    bounds, _ = numbers(last, law, columns, spread(last, seen_all, evidence.seed), rest)
    space = {"further": list(columns.further), "box": columns.box, "softening": columns.softening}
    return law, {"equations": found.picks, "intervals": bounds, **space, **compared}


def _law(
    evidence: Evidence,
    chosen: Chosen,
    hidden: Found | None,
    curves: Curves | None,
    groups: Mapping[str, sympy.Expr],
) -> tuple[Law, dict[str, Any]]:
    """The law of the chosen forms, fitted to all runs but those for testing, which tell its error.

    In noise its constants are then fitted once more to all runs: each makes them better known.
    """
    columns, step = evidence.test.columns, Step.of(evidence)
    seen, times = every(evidence).grouped(groups), sympy.S.One
    test = rows_of(evidence, evidence.test, ALL, 5)
    test = replace(test, motion=test.motion.grouped(groups))
    judge = test if curves is None else curves.of(test)
    if hidden is None:
        last, scatter = estimated(seen, chosen.form, evidence.seed, step)
    else:
        drawn, times = hidden.refitted(seen, chosen.form, evidence), hidden.times
        while (idle := unneeded(chosen.own, drawn)) is not None:
            chosen = replace(chosen, own=tuple(form for form in chosen.own if form is not idle))
            drawn = hidden.refitted(seen, chosen.form, evidence)
        last, scatter = drawn.weighed.fit, drawn_spread(drawn)
        seen = seen.weighed(drawn.weighed.strengths)
        test = judge = replace(test, motion=test.motion.weighed(drawn.weighed.strengths))
    # labels that are averages over a step are those of a fit to them as they are, as the network's are
    told = (last if step is None or hidden else settled(seen, chosen.form)).predicted(test.motion)
    law = tested = written(last, columns, evidence.order, times, groups)
    off = errors(told, test.motion, test.told)
    whole = every(evidence, tested=True) if hidden is None and is_loud(evidence) else None
    if whole is not None and len(whole.labels) > len(seen.labels):
        last, scatter = estimated(whole.grouped(groups), chosen.form, evidence.seed, step)
        law = written(last, columns, evidence.order, times, groups)
    rest = unexplained(off["test"]["mae"], test.motion, evidence.noise)
    bounds, alone = numbers(last, law, columns, scatter, rest, times, groups)
    content = law.to_dict() | {
        "intervals": bounds,
        "one_body_intervals": [a.tolist() for a in alone],
        "names": {key: form.name for key, form in chosen.pairs.items()},
        "own": [form.name for form in chosen.own],
        "level": {
            k: [rival(t, law, times, seen, k) for t in level] for k, level in chosen.level.items() if level
        },
        "noise": evidence.noise,
        "curves": {} if curves is None else curves.to_dict(seen.named["d"]),
        "estimates": dict(evidence.estimates),
        "potential": stated_potential(law, float(np.max(seen.named["d"], initial=0.0)), columns.softening),
        "further": list(columns.further),
        "box": columns.box and list(columns.box),
        "bonds": columns.bonds and [columns.bonds.count, list(columns.bonds.kinds)],
        "softening": columns.softening,
        "radius": evidence.reach,
        "r2_truth": _truth(law, evidence),
        **off,
    }
    if tested is not law:
        content["tested"] = tested.to_dict()
    if any(key[1:] for key in chosen.pairs):
        content["laws"] = laws_apart(last, columns, evidence.order, scatter, rest, groups)
    if hidden is not None:
        content |= described(drawn, hidden.factors, evidence, seen, rest)
    terms = [in_words(k) for k, form in chosen.pairs.items() for _ in form.terms] + content["own"]
    both = [v - test.motion.labels for v in (told, judge.told)]
    together = carried(both[0], test.motion, evidence.noise)
    both = [unkicked(e, judge.kicks, test.motion) for e in both]
    mine, its = rated([last, last], both, test.motion)
    worse = beaten(mine, its, typical(test.motion.labels))
    trust, doubts = verdict(content, test.motion, evidence.noise, worse)
    frame = evidence.model.frame
    aside = frame is not None and not frame.transverse and (columns.dim == 2 or frame.velocities)
    if doubts and aside and not together:
        doubts.append(
            "No pair was asked whether it acts across the line between the two: model.transverse=true asks"
        )
    doubts += together
    same = [
        t for k, f in chosen.pairs.items() for t in chosen.tried.get(k, []) if t.fit.form.terms == f.terms
    ]
    trust = fitting(trust, same)
    if hidden is not None:
        doubts += unsure(hidden, trust["level"] == "exact", is_loud(evidence), content["names"])
    if curves is not None:
        doubts.append(
            "Noise is nearly all of a step: these are the simplest terms that the data do not refuse. "
            "Others, for pairs or for single particles, may do as well"
        )
    if step is not None:
        doubts += step.told(last, seen, allowed=hidden is None)
    if chosen.unsaid:
        doubts.append("The network knows more of what acts on single particles than any listed form says")
    return law, content | {"trust": trust, "doubts": [*doubts, *alike(last, seen, terms)]}


def _pair_by_pair(
    work: Work, evidence: Evidence, chosen: Chosen, law: tuple[Law, dict[str, Any]] | None, points: Points
) -> tuple[tuple[Law, dict[str, Any]] | None, pd.DataFrame | None]:
    """The law with a factor for each pair and a table of these, where one law for all is not exact."""
    edges = edges_of(evidence)
    brought = any(any(powers(term)) for term in chosen.form.terms if term.along is None)
    if law is None or law[1]["trust"]["level"] == "exact" or edges is None or brought:
        return law, None
    graphs = joined_graphs(joined_graphs(evidence.train, evidence.validation), evidence.test)
    few, rows = (rows_of(evidence, graphs, most, 7, True) for most in (MANY // 2, ALL))
    network = np.add.reduce(list(rows.network.values())).reshape(rows.motion.labels.shape)
    one, two = (side.cpu().numpy() for side in edges)
    more = functools.partial(candidates, points, None, "u")
    found = joined((few.motion, rows.motion), (one, two), chosen, more, network)
    if found is None:
        return law, None
    work.say(f"  {found.told()}")
    return joined_law(found, rows.motion, network, evidence, law[1])


def _truth(law: Law, evidence: Evidence) -> dict[str, Any] | None:
    """R² of the pairs' contributions to the true F/m₁ on the line y = x; None where the law is unknown."""
    edges = evidence.recording.edges
    if edges.acceleration is None or evidence.individuals:
        return None
    return r2_truth(law, edges, edges.acceleration)
