"""A search ends where nothing is left, and individuals that do not differ are taken for alike."""

import types

import numpy as np
import pytest
import sympy

from gnn_distill.data.graphs import complete_graph
from gnn_distill.distil.engines.operon import OperonEngine
from gnn_distill.distil.expressions.front import Front
from gnn_distill.distil.expressions.points import Points
from gnn_distill.distil.motion import sampling
from gnn_distill.distil.motion.hidden import indistinct
from gnn_distill.distil.motion.sampling import every, leaves_nothing
from gnn_distill.distil.problem import Evidence
from tests.unit.distil.test_motion import N, graphs, rows


def front(*texts: str) -> Front:
    return Front.from_rated([(k, 1.0 / (k + 1), sympy.sympify(t)) for k, t in enumerate(texts)], ("r",))


@pytest.mark.parametrize(
    ("noise", "answers"), [(0.0, (True, False, False)), (1e-3, None)], ids=["exact", "noisy"]
)
def test_a_front_is_enough_where_an_equation_leaves_next_to_nothing(noise, answers, monkeypatch):
    data = graphs(drag=0, trap=0, field=0, pair=lambda d: 1.7 * np.exp(-d / 0.9))
    part = rows(data)
    monkeypatch.setattr(sampling, "motion_of", lambda *_: part)
    evidence = types.SimpleNamespace(noise=noise, test=data, train=data)
    enough = leaves_nothing(evidence)
    if answers is None:
        assert enough is None
        return
    texts = "1.5*exp(-1.0*r)", "0.3 - 0.1*r", "1.0"
    assert tuple(enough(front("2.0", t)) for t in texts) == answers


@pytest.mark.parametrize("order", [1, 2])
def test_rows_of_the_test_count_once_a_law_has_been_tested_on_them(order):
    parts = [graphs(40, seed=k, runs=4) for k in range(3)]
    model = types.SimpleNamespace(frame=None, graph_of=lambda test: complete_graph(N))
    evidence = Evidence(model, None, parts[2], parts[1], parts[0], None, noise=3.0, order=order)
    some, whole = every(evidence), every(evidence, tested=True)
    told = np.concatenate([part.accelerations.double().numpy().reshape(-1, 2) for part in parts])
    assert sorted(whole.labels.tolist()) == sorted(told.tolist())
    assert sorted(some.labels.tolist()) == sorted(told[: len(some.labels)].tolist())


def test_an_engine_restarts_no_more_once_its_front_is_enough():
    rng, asked, said = np.random.default_rng(0), [], []
    r = rng.uniform(0.5, 3.0, 400)
    points = Points(r[:, None], 2.0 - 2.0 * r, np.ones(400), ("r",))
    engine = OperonEngine(generations=20, population=100)
    for enough, restarts in ((lambda f: asked.append(f) or True, 1), (None, 3)):
        said.clear()
        job = engine if enough is None else engine.until(enough)
        found = job.search(points, 0, said.append, None)
        assert sum("search" in line for line in said) == restarts
        assert found.equations[-1].loss < 1e-6
    assert len(asked) == 1


@pytest.mark.parametrize(
    ("low", "high", "same"),
    [(0.97, 1.03, True), (0.9995, 0.9996, True), (0.5, 0.6, False), (-1.1, -0.9, False)],
)
def test_individuals_that_do_not_differ_beyond_their_errors(low: float, high: float, same: bool):
    told = {"a": {"source": [1.0, 1.0, 1.0], "response": [1.0, 0.99, 1.01]}}
    told["b"] = {"source": [1.0, 1.0, 1.0], "response": [(low + high) / 2, low, high]}
    assert indistinct(told) is same
