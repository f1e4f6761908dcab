"""Equations of every engine are refitted and chosen on accelerations; a law so refitted is judged."""

from types import SimpleNamespace

import numpy as np
import pytest
import sympy

from gnn_distill.distil.engines.given import GivenEngine
from gnn_distill.distil.engines.pysr import PySREngine
from gnn_distill.distil.expressions.front import Front
from gnn_distill.distil.expressions.parse import parse
from gnn_distill.distil.expressions.points import Points
from gnn_distill.distil.law.closed_form import Law
from gnn_distill.distil.motion.rounds import Rounds
from gnn_distill.distil.motion.search import Rows, Search
from gnn_distill.distil.motion.settle import forms_of
from gnn_distill.distil.solve import Found, Work, confirmed
from gnn_distill.distil.verdict.judge import Verdict
from gnn_distill.physics.laws import Spring
from tests.unit.distil.test_rounds import NAMES, error, snapshots


def pair(d, m1, m2, q1, q2):
    return 3.1 * m2 * np.exp(-d / 1.15) / (d + 0.55)


class Saved:
    """What a search has left that was done before: no Julia is needed to read it."""

    def __init__(self, front: Front) -> None:
        self.front = front

    def load(self):
        return {"done": 10**6, "front": self.front.to_dict()}

    def save(self, state):
        raise AssertionError


def chosen(engine, front_of):
    parts = [snapshots(pair, count, k) for k, count in enumerate((40, 120, 100))]
    rng, rows = np.random.default_rng(1), []
    for part in parts:
        f = pair(*(part.named[n] for n in NAMES))
        f = f * (1 + 0.05 * rng.normal(size=len(f)))
        rows.append(Rows(part, {"u": part.pairs(f[:, None] * part.directions["u"]).reshape(-1, 1)}))
    points = Points(np.stack([part.named[n] for n in NAMES], axis=1), f, np.ones(len(f)), NAMES)
    front = front_of(points)
    search = Search(*rows, 2, lambda key: forms_of(engine, points, front, key))
    return Rounds(Work(engine, 0), search, {"u": points}).run(search.run()), parts


def test_what_pysr_finds_is_refitted_and_chosen_on_accelerations():
    engine = PySREngine(iterations=10)

    def front_of(points):
        texts = ("2.0*m2/r", "2.8*m2*exp(-0.8*r)/(r + 0.5)")
        front = Front.on(points, [parse(t, NAMES) for t in texts])
        return engine.fit(points.X, points.y, NAMES, seed=0, memory=Saved(front))

    found, parts = chosen(engine, front_of)
    assert error(found, parts, pair) < 1e-5


def test_a_given_equation_is_fitted_and_no_other_is_tried():
    engine = GivenEngine("-2.0*m2*exp(-r/1.5)")
    found, _ = chosen(engine, lambda p: engine.fit(p.X, p.y, NAMES, seed=0))
    assert [t.fit.form.name for t in found.tried["u"]] == ["nothing", "given"]
    assert found.pairs["u"].name == "given"


@pytest.mark.parametrize(
    ("radial", "right"),
    [("-2.0*(r - 1.0)/m1", True), ("-2.0*(r - 1.0)*(1 + 0.02*r)/m1", False), ("2.0*(r - 1.0)/m1", False)],
    ids=["law", "near miss", "sign"],
)
def test_a_law_refitted_on_accelerations_is_judged(radial: str, right: bool):
    rng, names = np.random.default_rng(0), ("dx", "dy", "r", "m1", "m2", "q1", "q2")
    delta = rng.normal(size=(500, 2))
    rest = [
        np.linalg.norm(delta, axis=1) + 0.01,
        *np.exp(rng.normal(size=(2, 500))),
        *rng.normal(size=(2, 500)),
    ]
    edges = SimpleNamespace(variables=np.column_stack([delta, *rest]), names=names, delta=delta)
    problem = SimpleNamespace(names=list(names), still=lambda axis: False)
    rough = Verdict(False, None, "", "differs")
    found = Found(problem, (), None, (rough, rough), ())
    evidence = SimpleNamespace(law=Spring(), recording=SimpleNamespace(edges=edges))
    law = Law.along(sympy.sympify(radial), 2, 0.01)
    verdicts = confirmed(found, law.components, evidence).verdicts
    assert [v.recovered for v in verdicts] == [right, right]
    assert confirmed(found, law.components, SimpleNamespace(law=None)).verdicts == found.verdicts
