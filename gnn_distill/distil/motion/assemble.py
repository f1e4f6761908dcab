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
import torch

from gnn_distill.data.graphs import Subset, View
from gnn_distill.data.receivers import Receivers
from gnn_distill.distil.engines.engine import Engine
from gnn_distill.distil.engines.forms import FormsEngine
from gnn_distill.distil.engines.given import GivenEngine
from gnn_distill.distil.expressions.front import Front
from gnn_distill.distil.expressions.points import Points
from gnn_distill.distil.joint import Joint, along
from gnn_distill.distil.law.assemble import nodes_of
from gnn_distill.distil.law.closed_form import Law, compare, r2_truth
from gnn_distill.distil.motion.choose import beaten, rated
from gnn_distill.distil.motion.curves import Curves, drawn
from gnn_distill.distil.motion.edges import joined, joined_law
from gnn_distill.distil.motion.fit import Form, fit, typical
from gnn_distill.distil.motion.groups import found as found_groups
from gnn_distill.distil.motion.groups import told_apart
from gnn_distill.distil.motion.hidden import Found, described, in_kinds, unsure
from gnn_distill.distil.motion.hidden import spread as drawn_spread
from gnn_distill.distil.motion.kicks import fitted, unkicked
from gnn_distill.distil.motion.law import apart as laws_apart
from gnn_distill.distil.motion.law import in_words, numbers, rival, spread, stated_potential, written
from gnn_distill.distil.motion.points import entry, front, points_of
from gnn_distill.distil.motion.rounds import Rounds
from gnn_distill.distil.motion.samples import Motion, motion
from gnn_distill.distil.motion.search import Chosen, Parts, Rows, Search, alive, candidates, nearest
from gnn_distill.distil.motion.shared import settled
from gnn_distill.distil.motion.trust import alike, errors, nothing, unexplained, verdict
from gnn_distill.distil.motion.unlabelled import asked as asked_of
from gnn_distill.distil.motion.unlabelled import labelled
from gnn_distill.distil.motion.weigh import convention, weigh
from gnn_distill.distil.problem import Evidence, Settings
from gnn_distill.distil.solve import Found as Solved
from gnn_distill.distil.solve import Work
from gnn_distill.distil.verdict.functions import judge_functions, whole_verdict
from gnn_distill.model.network import ISOTROPIC
from gnn_distill.physics.variables import DELTAS
from gnn_distill.read.pairs import pair_functions
from gnn_distill.read.record import pulled_apart

Graphs = Subset | View | Receivers

FEW, MANY, ALL = 15_000, 80_000, 500_000
"""Edges on which forms are screened, compared, and at last fitted."""
LOUD, MORE = 0.3, 4
"""Share of noise in typical labels from which on so many times the edges are needed."""
WHOLE = 5_000_000
"""Edges at most, where rows are pooled."""
STILL = 0.06
"""Share of the distance of close pairs that particles move in the frames of a row, where these are pooled."""


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
    few, seen, unseen = _samples(evidence)
    asked = asked_of(evidence, few, _halves(evidence), functools.partial(_rows, pool=1))
    if asked and asked.verdict == "kinds":
        work.say(f"  individuals: {asked.members}")
        evidence = replace(evidence, kinds=asked.label)
        few, seen, unseen = _samples(evidence)
    hidden = _hidden(work, evidence, (few, seen, unseen)) if asked is None or asked.unsettled else None
    if hidden is None and _pool(evidence) > 1:
        few, seen, unseen = _samples(evidence, MORE)
    if hidden is not None:
        few, seen, unseen = (_told_apart(rows, hidden) for rows in (few, seen, unseen))
    groups = found_groups(seen.motion)
    told = _rows(evidence, evidence.test, 10 * settings.points, 6), settings.points, evidence.seed
    names, points = points_of(*told, seen.pairs, hidden, groups)
    curves = None
    if hidden is None and _loud(evidence):
        curves = drawn(Search(few, seen, unseen, evidence.order, lambda key: [], work.say), points)
    if curves is not None:
        work.say("  noise hides forces from the network: free curves of the labels stand in its place")
        seen, unseen = (curves.of(rows) for rows in (seen, unseen))
        points = points | {key: curve.points(points[key]) for key, curve in curves.pairs.items()}
    elif hidden is None and len(groups.each) > 1:
        spare = Search(few, seen, unseen, evidence.order, lambda key: []).spare()
        alone = {key: points[key] for key in alive(seen, unseen)}
        apart = told_apart(groups, (few, seen, unseen), alone, spare)
        few, seen, unseen = (rows.grouped(apart) for rows in (few, seen, unseen))
        names, points = points_of(*told, seen.pairs, hidden, groups, seen.motion.groups)
    known = alive(seen, unseen)
    fronts = {key: front(work, key, points[key], len(known)) for key in known}

    def forms(key: str) -> list[Form]:
        found = _forms(work.engine, points[key], fronts[key], key)
        return found if curves is None else nearest(found, points[key])

    fresh = not _scarce(evidence)
    choice = Search(few if curves is None else None, seen, unseen, evidence.order, forms, work.say, fresh)
    chosen = Rounds(work, choice, points, evidence.noise / _pool(evidence) ** 0.5).run()
    classes = dict(seen.motion.groups)
    if hidden is None and len(groups.each) > 1:
        chosen, classes = settled(chosen, (seen, unseen), groups)
    found: dict[str, Any] = {"engine": work.engine.name, "target": "functions", "variables": list(names)}
    found |= {"mass_slope": None, "joint": None, "also": {}}
    law = _law(evidence, chosen, hidden, curves, classes) if chosen.form.terms else None
    law, edges = _pair_by_pair(work, evidence, chosen, law, points["u"]) if "u" in points else (law, None)
    if law is not None and hidden is None:
        law[1].update(in_kinds(asked, evidence, groups.kinds))
    if law is not None:
        law[1]["doubts"] += groups.doubts
    verdicts = _verdicts(evidence, law, unseen)
    if verdicts is not None:
        found["verdict"] = verdicts
    found["components"] = [entry(key, front, chosen, verdicts) for key, front in fronts.items()]
    if law is None:
        found["trust"] = nothing(unseen.motion, evidence.noise)
    return Distilled(found, law, edges)


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


def _hidden(work: Work, evidence: Evidence, rows: tuple[Rows, Rows, Rows]) -> Found | None:
    """Strengths of individuals; None where these are not told apart, or are all alike."""
    if not evidence.individuals or evidence.model.basis != ISOTROPIC:
        return None
    if evidence.optional and _pool(evidence) > 1:  # a network of such labels knows no strengths
        return None
    functions = pair_functions(evidence.model, rows[1].motion.graphs).functions
    spare = Search(*rows, evidence.order, lambda key: []).spare()
    found, factors = weigh(evidence.model, rows, functions, spare, evidence.optional)
    if found.mode == "none":
        work.say("  individuals: all alike, none has a strength of its own")
        return None
    work.say(f"  individuals: strengths of their own ({found.mode}), by {found.fit.form.name}")
    rule = convention(found, evidence.individuals, evidence.known)
    return Found(rule.shared(found), factors)


def _told_apart(rows: Rows, hidden: Found) -> Rows:
    """Rows with the strengths, and with the form by which these were found in the place of the network's."""
    weighed = rows.motion.weighed(hidden.strengths)
    pairs = replace(hidden.weighed.fit, extra=np.zeros(0)).predicted(weighed)
    return rows.weighed(hidden.strengths, pairs)


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
    few, seen, unseen = _samples(evidence)
    axes = [k for k, name in enumerate(found.problem.names) if name in DELTAS]
    inputs = [k for k in range(len(found.problem.names)) if k not in axes]
    X, names = found.problem.X, tuple(found.problem.names[k] for k in inputs)
    size, _ = along(X[:, axes], found.problem.values)
    points = Points(X[:, inputs], size, np.ones(len(X)), names)
    choice = Search(few, seen, unseen, 2, lambda key: _forms(work.engine, points, joint.front, key), work.say)
    chosen = Rounds(work, choice, {"u": points}, evidence.noise).run()
    if not chosen.form.terms:
        return None
    columns, test = evidence.test.columns, evidence.test
    every = _all(evidence)
    last = fit(every, chosen.form)
    law = replace(written(last, columns, 2), functions={})
    compared = compare(law, evidence.recording.edges, nodes_of(test), evidence.recording.mae)
    rest = unexplained(compared["test"]["mae"], every, evidence.noise)
    bounds, _ = numbers(last, law, columns, spread(last, every, evidence.seed), rest)
    space = {"further": list(columns.further), "box": columns.box, "softening": columns.softening}
    return law, {"equations": found.picks, "intervals": bounds, **space, **compared}


def _samples(evidence: Evidence, times: int = 1) -> tuple[Rows, Rows, Rows]:
    """Rows on which forms are screened, fitted and compared; all there are where labels are noisy or few.

    `times` as many edges as usual.
    """
    train, validation = _halves(evidence)
    more = times * (MORE if _loud(evidence) else 1)
    unseen = _rows(evidence, validation, (1 if validation is evidence.validation else more) * MANY, 3)
    few, seen = (_rows(evidence, train, more * edges, k) for k, edges in enumerate((FEW, MANY), 1))
    return few, seen, unseen


def _halves(evidence: Evidence) -> tuple[Subset | View | Receivers, Subset | View | Receivers]:
    """Graphs that fits see, and graphs that choose."""
    whole = _graphs(evidence.train, evidence.validation)
    if _scarce(evidence) and not isinstance(whole, View) and whole.trajectory is not None:
        # a few runs cannot tell forms apart in noise: every second one of all judges the fits of the others
        half = torch.unique(whole.trajectory, return_inverse=True)[1] % 2 == 0
        return whole[half.nonzero()[:, 0]], whole[(~half).nonzero()[:, 0]]
    return evidence.train, evidence.validation


def _pool(evidence: Evidence) -> int:
    """Frames that make a row of the choice: several where single steps are mostly noise."""
    if evidence.order != 1 or len(evidence.kernel) > 1 or evidence.spacing is None or not _loud(evidence):
        return 1
    near = float(np.quantile(evidence.recording.edges.named["d"], 0.1))
    step = evidence.noise * evidence.spacing * evidence.test.columns.dim**0.5
    return int(np.clip((STILL * near / step) ** 2, 1, 50))


def _loud(evidence: Evidence) -> bool:
    """Whether noise is a good part of the labels."""
    return evidence.noise > LOUD * float(evidence.test.accelerations.abs().median())


def _scarce(evidence: Evidence) -> bool:
    """Whether what was kept for validation is too little to choose by."""
    of = None if isinstance(evidence.validation, View) else evidence.validation.trajectory
    return _loud(evidence) or (of is not None and len(torch.unique(of)) == 1)


def _forms(engine: Engine, points: Points, front: Front, key: str) -> list[Form]:
    """Forms of one direction; the user's own alone where it was given."""
    if isinstance(engine, GivenEngine):
        return [Form.of(front.equations[-1].expression, key, "given", front.equations[-1].complexity)]
    return candidates(points, front, key, engine.more if isinstance(engine, FormsEngine) else None)


def _law(
    evidence: Evidence,
    chosen: Chosen,
    hidden: Found | None,
    curves: Curves | None,
    groups: Mapping[str, sympy.Expr],
) -> tuple[Law, dict[str, Any]]:
    """The law of the chosen forms, fitted to all runs but those for testing."""
    columns = evidence.test.columns
    seen, times = _all(evidence).grouped(groups), sympy.S.One
    test, pooled = (_rows(evidence, evidence.test, ALL, 5, pool) for pool in (1, None))
    pooled = pooled if curves is None else curves.of(pooled)
    test, pooled = (replace(t, motion=t.motion.grouped(groups)) for t in (test, pooled))
    if hidden is None:
        last, kicks = fitted(seen, chosen.form)
        scatter = spread(last, seen, evidence.seed, kicks)
    else:
        drawn, times = hidden.refitted(seen, chosen.form, evidence), hidden.times
        last, scatter = drawn.weighed.fit, drawn_spread(drawn)
        seen = seen.weighed(drawn.weighed.strengths)
        test, pooled = (replace(t, motion=t.motion.weighed(drawn.weighed.strengths)) for t in (test, pooled))
    law = written(last, columns, evidence.order, times, groups)
    off = errors(last, test.motion, test.told)
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
        "estimates": dict(evidence.estimates),
        "potential": stated_potential(law, float(np.max(seen.named["d"], initial=0.0)), columns.softening),
        "further": list(columns.further),
        "box": columns.box and list(columns.box),
        "bonds": columns.bonds and [columns.bonds.count, list(columns.bonds.kinds)],
        "softening": columns.softening,
        "r2_truth": _truth(law, evidence),
        **off,
    }
    if any(key[1:] for key in chosen.pairs):
        content["laws"] = laws_apart(last, columns, evidence.order, scatter, rest, groups)
    if hidden is not None:
        content |= described(drawn, hidden.factors, evidence, seen, rest)
    terms = [in_words(k) for k, form in chosen.pairs.items() for _ in form.terms] + content["own"]
    both = [v - pooled.motion.labels for v in (last.predicted(pooled.motion), pooled.told)]
    both = [unkicked(e, pooled.kicks, pooled.motion) for e in both]
    mine, its = rated([last, last], both, pooled.motion)
    worse = beaten(mine, its, typical(pooled.motion.labels))
    trust, doubts = verdict(content, test.motion, evidence.noise, worse)
    if hidden is not None:
        doubts += unsure(hidden, trust["level"] == "exact", _loud(evidence), content["names"])
    if chosen.unsaid:
        doubts.append("The network knows more of what acts on single particles than any listed form says")
    return law, content | {"trust": trust, "doubts": [*doubts, *alike(last, seen, terms)]}


def _pair_by_pair(
    work: Work, evidence: Evidence, chosen: Chosen, law: tuple[Law, dict[str, Any]] | None, points: Points
) -> tuple[tuple[Law, dict[str, Any]] | None, pd.DataFrame | None]:
    """The law with a factor for each pair and a table of these, where one law for all is not exact."""
    edges = _edges(evidence)
    if law is None or law[1]["trust"]["level"] == "exact" or edges is None:
        return law, None
    graphs = _graphs(_graphs(evidence.train, evidence.validation), evidence.test)
    few, rows = (_rows(evidence, graphs, most, 7, 1, True) for most in (MANY // 2, ALL))
    network = np.add.reduce(list(rows.network.values())).reshape(rows.motion.labels.shape)
    one, two = (side.cpu().numpy() for side in edges)
    more = functools.partial(candidates, points, None, "u")
    found = joined((few.motion, rows.motion), (one, two), chosen, more, network)
    if found is None:
        return law, None
    work.say(f"  {found.told()}")
    return joined_law(found, rows.motion, network, evidence, law[1])


def _all(evidence: Evidence) -> Motion:
    """All rows that a fit may see, of large data a sample; in noise every row tells something."""
    graphs = _graphs(evidence.train, evidence.validation)
    more = WHOLE if _pool(evidence) > 1 else MORE * ALL if _loud(evidence) else ALL
    return _motion(evidence, graphs, more, 4, 1, evidence.kicked)


def _truth(law: Law, evidence: Evidence) -> dict[str, Any] | None:
    """R² of the pairs' contributions to the true F/m₁ on the line y = x; None where the law is unknown."""
    edges = evidence.recording.edges
    if edges.acceleration is None or evidence.individuals:
        return None
    return r2_truth(law, edges, edges.acceleration)


def _rows(
    evidence: Evidence, graphs: Graphs, edges: int, draw: int, pool: int | None = None, whole: bool = False
) -> Rows:
    """A sample of graphs with what the network says of them."""
    part = _motion(evidence, graphs, edges, 100 * evidence.seed + draw, pool, whole)
    if evidence.model.basis == ISOTROPIC:
        found = pair_functions(evidence.model, part.graphs)
        return Rows(part, Parts(found.functions, found.own).columns(part), found.functions)
    c, own = pulled_apart(evidence.model, part.graphs, evidence.recording.pullback_kind)
    return Rows(part, Parts({"u": (c * part.directions["u"]).sum(axis=1)}, own).columns(part))


def _motion(
    evidence: Evidence, graphs: Graphs, edges: int, draw: int, pool: int | None = None, whole: bool = False
) -> Motion:
    """A sample of graphs, relative to what each individual is used to where they are told apart."""
    pool = _pool(evidence) if pool is None else pool
    frame = evidence.model.frame
    usual = frame.loudness.double().cpu().numpy() if frame is not None and evidence.individuals else None
    more = evidence.kicked, usual, pool, whole
    found = motion(graphs, _edges(evidence), evidence.kernel, edges, draw, *more)
    return found if evidence.kinds is None else labelled(found, evidence.kinds)


def _edges(evidence: Evidence) -> tuple[torch.Tensor, torch.Tensor] | None:
    """The edges of all graphs; None where receivers have their own."""
    test = evidence.test
    return None if isinstance(test, Receivers) else evidence.model.graph_of(test)[:2]


def _graphs(one: Graphs, two: Graphs) -> Graphs:
    """Both parts as one; the first alone where they stay on disk."""
    if isinstance(one, Receivers) and isinstance(two, Receivers):
        return one.joined(two)
    if not isinstance(one, Subset) or not isinstance(two, Subset):
        return one

    def both(name: str) -> torch.Tensor | None:
        parts = getattr(one, name), getattr(two, name)
        return None if any(p is None for p in parts) else torch.cat(parts)

    x, a = torch.cat([one.features, two.features]), torch.cat([one.accelerations, two.accelerations])
    return replace(
        one, features=x, accelerations=a, edge_mask=both("edge_mask"), trajectory=both("trajectory")
    )
