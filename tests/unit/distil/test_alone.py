"""What acts on single particles may be anything: the engine finds what no list has."""

import dataclasses
from types import SimpleNamespace

import numpy as np
import pytest
import sympy
import torch

from gnn_distill.data.graphs import Subset, complete_graph
from gnn_distill.distil.engines.operon import OperonEngine, nested
from gnn_distill.distil.motion.alone import suggested, summands
from gnn_distill.distil.motion.fit import Form
from gnn_distill.distil.motion.rounds import Rounds
from gnn_distill.distil.motion.samples import Motion
from gnn_distill.distil.motion.search import Rows, Search
from gnn_distill.distil.motion.segments import motion
from gnn_distill.distil.motion.settle import known_forms
from gnn_distill.distil.solve import Work
from gnn_distill.physics.variables import Columns

N, COLUMNS = 4, Columns(2, softening=0.0)
ENGINE = OperonEngine(generations=60, population=500, seconds=40.0)


def rows(field, count: int, seed: int) -> Rows:
    """Snapshots of particles that repel each other by 0.8/d in a field of x [..., 2]."""
    rng = np.random.default_rng(seed)
    x = np.zeros((count, N, COLUMNS.count))
    x[..., :2], x[..., COLUMNS.mass] = 1.5 * rng.normal(size=(count, N, 2)), 1.0
    x[..., COLUMNS.velocity] = rng.normal(size=(count, N, 2))
    delta = x[:, :, None, :2] - x[:, None, :, :2]
    d2 = (delta**2).sum(-1) + np.eye(N)
    a = (0.8 / d2 * (1 - np.eye(N)))[..., None] * delta
    a = a.sum(2) + field(x[..., :2])
    of = torch.arange(count) * 20 // count
    data = Subset(torch.tensor(x).float(), torch.tensor(a).float(), None, of, softening=0.0)
    part = motion(data, complete_graph(N))
    return Rows(part, {"u": told(part), "own": part.inner(field_of(part, field)).reshape(-1, 1)})


def told(part: Motion) -> np.ndarray:
    return part.pairs(0.8 / part.named["d"][:, None] * part.directions["u"]).reshape(-1, 1)


def field_of(part: Motion, field) -> np.ndarray:
    return field(np.stack([part.nodes.named[axis] for axis in "xy"], axis=1))


def wavy(x: np.ndarray) -> np.ndarray:
    return np.stack([1.4 * np.sin(2.1 * x[..., 0]), -0.3 * x[..., 1] ** 3], -1)


def search(field) -> Search:
    parts = [rows(field, count, k) for k, count in enumerate((100, 300, 200))]
    form = Form.of(sympy.sympify("1.0/d"), "u", "inverse distance", 3)
    return Search(*parts, 2, lambda key: [form])


def test_a_field_of_no_list_is_found():
    choice = search(wavy)
    chosen = Rounds(Work(ENGINE, 0), choice, {}, moving=True).run(choice.run())
    assert sorted(f.name.split(" along ")[1] for f in chosen.own) == ["x", "y"]
    unseen = choice.unseen.motion
    place = np.stack([unseen.nodes.named[axis] for axis in "xy"], axis=1)
    own = sum(f.columns(unseen, f.start).reshape(-1, 2) for f in chosen.own)
    for axis, factor in enumerate((1.4, -0.3)):
        true = wavy(place)[:, axis]
        assert own[:, axis] * (true @ own[:, axis]) / (own[:, axis] @ own[:, axis]) == pytest.approx(
            true, abs=1e-3
        )
        assert (true @ own[:, axis]) / (own[:, axis] @ own[:, axis]) == pytest.approx(factor, rel=1e-3)


def test_nothing_is_suggested_where_pairs_are_all():
    choice = search(lambda x: 0.0 * x)
    assert suggested(Work(ENGINE, 0), choice, choice.run(), 0, 10.0) == []


def test_summands_have_a_factor_and_constants_each():
    found = summands(sympy.sympify("1.9*x - 0.75*x**3 + 0.4*sin(2.4*x + 0.1)*y + 3.0"), 0, 2)
    assert sorted(len(f.symbols) for f in found) == [0, 0, 0, 2]
    assert {f.name for f in found} >= {
        "x along x",
        "x**3 along x",
        "x**2 along x",
    }  # with a power the lower ones
    assert all(f.terms[0].forms[1] == 0 for f in found)


@pytest.mark.parametrize(
    ("text", "known"),
    [("sin(exp(r))", True), ("tanh(cos(r))*r", True), ("r**tanh(r)", True), ("exp(exp(-r))", True)]
    + [
        (t, False)
        for t in ("exp(-r**2)/r", "log(1 + exp(r))", "r**1.7 - sin(2*r)", "2.0**r", "sqrt(1 + exp(r))")
    ],
)
def test_functions_of_functions(text: str, known: bool):
    assert nested(sympy.sympify(text)) is known


def test_no_place_is_another_ones_better_in_a_periodic_box():
    choice = search(wavy)
    edges = dataclasses.replace(choice.seen.motion.edges, columns=Columns(2, box=(9.0, 9.0), softening=0.0))
    boxed = dataclasses.replace(choice.seen, motion=dataclasses.replace(choice.seen.motion, edges=edges))
    job = dataclasses.replace(choice, seen=boxed, order=1)
    assert suggested(Work(ENGINE, 0), job, choice.run(), 0, 10.0) == []


def test_a_field_of_the_list_stands_where_another_form_comes_to_the_same():
    def double(x):
        return np.stack([1.4 * x[..., 0] - 0.6 * x[..., 0] ** 3, 0.0 * x[..., 1]], -1)

    choice = search(double)
    proposed = summands(sympy.sympify("0.5*x**3 + 3.0*sin(0.5*x)"), 0, 2)
    own = dataclasses.replace(choice, more=tuple(proposed)).alone(choice.run()).own
    assert {f.name for f in own} == {"x along x", "x**3 along x"}
    sine = search(lambda x: np.stack([1.4 * np.sin(2.1 * x[..., 0]), -0.3 * x[..., 1]], -1))
    sine = dataclasses.replace(sine, more=tuple(summands(sympy.sympify("sin(2.0*x)"), 0, 2)))
    assert {f.name for f in sine.alone(sine.run()).own} == {"sin(2.0*x) along x", "y along y"}


@pytest.mark.parametrize("much", [True, False])
def test_forms_of_no_list_must_leave_much_less(monkeypatch, much: bool):
    choice = search(wavy)
    listed = choice.run()
    proposed = [*summands(sympy.sympify("sin(2.1*x)"), 0, 2), *summands(sympy.sympify("y**3"), 1, 2)]
    monkeypatch.setattr("gnn_distill.distil.motion.rounds.suggested", lambda *rest: proposed)
    monkeypatch.setattr("gnn_distill.distil.motion.rounds.MUCH", 0.6 if much else 1e-9)
    monkeypatch.setattr("gnn_distill.distil.motion.rounds.DONE", 0.0)
    short = dataclasses.replace(ENGINE, seconds=0.01)
    found = Rounds(Work(short, 0), choice, {}).run(listed)
    assert any("sin" in f.name for f in found.own) is much
    if not much:
        assert [f.name for f in found.own] == [f.name for f in listed.own]


def test_a_form_of_no_list_is_asked_again_once_pairs_are_known():
    def faint(x):
        return np.stack([0.03 * np.sin(2.1 * x[..., 0]), -0.3 * x[..., 1]], -1)

    choice = search(faint)
    wrong = dataclasses.replace(choice, candidates=lambda key: [Form.of(sympy.sympify("1.0*exp(-d)"), "u")])
    rounds = Rounds(Work(ENGINE, 0), wrong, {})
    right = [Form.of(sympy.sympify("1.0/d"), "u", "inverse distance", 3)]
    steps = [lambda chosen: ("own", summands(sympy.sympify("sin(2.0*x)"), 0, 2)), lambda chosen: ("u", right)]
    object.__setattr__(rounds, "_steps", lambda keys, left: iter(steps))
    found = rounds.run(wrong.run())
    assert found.pairs["u"].name == "inverse distance" and any("sin" in f.name for f in found.own)
    assert rounds.rest(found) < 1e-4


@pytest.mark.parametrize("text", ["sin(2.1*x)", "sin(0.1*y)"])
def test_what_did_not_help_known_forms_is_not_handed_on(monkeypatch, text: str):
    def nearly(x):
        return np.stack([1.4 * np.sin(2.1 * x[..., 0]), -0.03 * x[..., 1] ** 3], -1)

    choice, where = search(nearly), "gnn_distill.distil.motion.settle."
    proposed = summands(sympy.sympify(text), 0, 2)

    def search_of(work, ready, fronts, more):
        wider = dataclasses.replace(choice, more=tuple(more))
        return wider, Rounds(work, wider, {})

    monkeypatch.setattr(where + "search_of", search_of)
    monkeypatch.setattr(where + "is_exact", lambda evidence: True)
    monkeypatch.setattr(where + "suggested", lambda *rest: proposed)
    found, more = known_forms(Work(ENGINE, 0), SimpleNamespace(curves=None, evidence=None), 2)
    assert found is None and [f.name for f in more] == ([proposed[0].name] if "2.1" in text else [])
