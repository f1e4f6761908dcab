"""A law that is on no list comes out of the labels, and a search for what is none comes to an end."""

import dataclasses
import time
from types import SimpleNamespace

import numpy as np
import pytest
import sympy
import torch

from gnn_distill.data.graphs import Subset, complete_graph
from gnn_distill.distil.engines.engine import TrimmingEngine
from gnn_distill.distil.engines.operon import OperonEngine
from gnn_distill.distil.expressions.evaluate import evaluate
from gnn_distill.distil.expressions.points import Points
from gnn_distill.distil.motion.candidates import MOST, candidates
from gnn_distill.distil.motion.choose import beaten, compared
from gnn_distill.distil.motion.fit import Fit, Form, fit, holds
from gnn_distill.distil.motion.groups import Groups
from gnn_distill.distil.motion.law import written
from gnn_distill.distil.motion.prepare import Prepared
from gnn_distill.distil.motion.rounds import Rounds
from gnn_distill.distil.motion.samples import Motion
from gnn_distill.distil.motion.search import LEAST, Chosen, Rows, Search
from gnn_distill.distil.motion.segments import motion
from gnn_distill.distil.motion.settle import choice
from gnn_distill.distil.motion.shapes import shortest
from gnn_distill.distil.motion.trust import nothing
from gnn_distill.distil.solve import Work
from gnn_distill.physics.variables import Columns

N, NAMES = 5, ("r", "m1", "m2", "q1", "q2")
COLUMNS = Columns(2, softening=0.0)


@dataclasses.dataclass(frozen=True)
class Still(TrimmingEngine):
    """An engine that finds nothing, so that forms come from the labels alone."""

    seconds: float = 60.0
    name = "still"

    def search(self, points, seed, say, memory):
        raise NotImplementedError


def snapshots(pair, count: int, seed: int, noise: float = 0.0, shuffled: bool = False) -> Motion:
    """Particles of different masses and charges, under a force of d, m₁, m₂, q₁, q₂ along Δ/d."""
    rng = np.random.default_rng(seed)
    x = np.zeros((count, N, COLUMNS.count))
    x[..., :2] = 1.5 * rng.normal(size=(count, N, 2))
    x[..., COLUMNS.charge] = rng.choice([-1.0, 1.0], (count, N))
    x[..., COLUMNS.mass] = rng.uniform(0.5, 2, (count, N))
    delta = x[:, :, None, :2] - x[:, None, :, :2]
    d = np.linalg.norm(delta, axis=-1) + np.eye(N)
    m, q = x[..., COLUMNS.mass], x[..., COLUMNS.charge]
    f = pair(d, m[:, :, None], m[:, None], q[:, :, None], q[:, None]) * (1 - np.eye(N))
    a = (f[..., None] * delta / d[..., None]).sum(2)
    if shuffled:
        a = rng.permutation(a.reshape(-1, 2)).reshape(a.shape)
    a = a + noise * rng.normal(size=a.shape)
    of = torch.arange(count) * 20 // count
    data = Subset(torch.tensor(x).float(), torch.tensor(a).float(), None, of, softening=0.0)
    return motion(data, complete_graph(N))


def found(pair, told=None, wrong: float = 0.03, noise: float = 0.0, shuffled: bool = False, seconds=60.0):
    """What is chosen, and its law; `told` is what the network says where that is not the force."""
    rng = np.random.default_rng(7)
    parts = [snapshots(pair, count, k, noise, shuffled) for k, count in enumerate((60, 200, 150))]
    rows = []
    for part in parts:
        columns = [part.named[n] for n in NAMES]
        f = (told or pair)(*columns) * (1 + wrong * rng.normal(size=len(columns[0])))
        rows.append(Rows(part, {"u": part.pairs(f[:, None] * part.directions["u"]).reshape(-1, 1)}))
    points = Points(np.stack(columns, axis=1), f, np.ones(len(f)), NAMES)
    search = Search(*rows, 2, lambda key: candidates(points, None, key))
    chosen = Rounds(Work(Still(seconds=seconds), 0), search, {"u": points}, noise).run(search.run())
    return chosen, parts


def error(chosen: Chosen, parts: list[Motion], pair) -> float:
    """Mean relative error of the law between the 5 % and 95 % quantiles of the distance."""
    law = written(fit(parts[1], chosen.form), COLUMNS, 2).radial
    columns = np.stack([parts[2].named[n] for n in NAMES], axis=1)
    low, high = np.quantile(columns[:, 0], [0.05, 0.95])
    columns = columns[(columns[:, 0] > low) & (columns[:, 0] < high)]
    values = evaluate(law.xreplace({sympy.Symbol("d"): sympy.Symbol("r")}), columns, NAMES)
    truth = pair(*columns.T)
    return float(np.mean(np.abs(values - truth)) / np.mean(np.abs(truth)))


@pytest.mark.parametrize(
    "pair",
    [
        lambda d, m1, m2, q1, q2: 3.1 * m2 * np.exp(-d / 1.15) / (d + 0.55),
        lambda d, m1, m2, q1, q2: q1 * q2 / m1 * (1.9 / d - 0.6 * np.tanh(d / 1.7)),
        lambda d, m1, m2, q1, q2: 2.2 * q1 * q2 / (m1 * d) - 1.4 * m2 / (d + 0.8) ** 1.6,
    ],
    ids=["product", "two ranges", "two properties"],
)
def test_a_law_on_no_list_is_found_exactly_through_an_inaccurate_network(pair):
    chosen, parts = found(pair)
    assert error(chosen, parts, pair) < 1e-4


@pytest.mark.parametrize(
    ("size", "noise", "shuffled"),
    [(0.0, 1.0, False), (2.0, 0.0, True), (2.0, 0.0, False)],
    ids=["noise", "shuffled", "untrained"],
)
def test_there_is_no_law_where_a_network_explains_nothing(size: float, noise: float, shuffled: bool):
    def pair(d, m1, m2, q1, q2):
        return size * m2 / d

    def network(d, m1, m2, q1, q2):
        return 0.02 * np.sin(40 * d * m1)

    chosen, parts = found(pair, network, noise=noise, shuffled=shuffled, seconds=5)
    assert not chosen.form.terms
    told = nothing(parts[2], noise, np.zeros_like(parts[2].labels), 2)
    assert told["sentence"].startswith("No force" if noise else "No law yet")
    assert ("may not add up pair by pair" in told["sentence"]) == (noise == 0)
    good = nothing(parts[2], 0.0, parts[2].labels, 2)  # a network that says it all
    assert good["sentence"].endswith("explains anything.")


@dataclasses.dataclass(frozen=True)
class Unasked(OperonEngine):
    """A search that must not be needed."""

    def search(self, points, seed, say, memory):
        raise AssertionError("an equation was searched")


@pytest.mark.parametrize("noise", [0.0, 0.01])
@pytest.mark.parametrize(
    ("pair", "known"),
    [
        (lambda d, m1, m2, q1, q2: 1.3 * q1 * q2 / (m1 * d**2), True),
        (lambda d, m1, m2, q1, q2: 1.3 * q1 * q2 * np.exp(-((d / 1.1) ** 1.7)) / (m1 * (d + 0.4)), False),
    ],
    ids=["on the list", "not on it"],
)
def test_nothing_is_searched_where_known_forms_leave_next_to_nothing(pair, known: bool, noise: float):
    rows, columns = [], []
    for k, count in enumerate((60, 200, 150)):
        part = snapshots(pair, count, k, noise)
        columns = [part.named[n] for n in NAMES]
        f = pair(*columns) * (1 + 0.02 * np.random.default_rng(k).normal(size=len(columns[0])))
        rows.append(Rows(part, {"u": part.pairs(f[:, None] * part.directions["u"]).reshape(-1, 1)}))
    data = SimpleNamespace(accelerations=torch.tensor(rows[2].motion.labels), trajectory=torch.arange(3))
    network = SimpleNamespace(mae=1.0)
    evidence = SimpleNamespace(noise=noise, test=data, validation=data, order=2, recording=network)
    points = {"u": Points(np.stack(columns, axis=1), f, np.ones(len(f)), NAMES)}
    sides = rows[1], rows[2]
    ready = Prepared(
        evidence, None, None, Groups(()), tuple(rows), rows[0], sides, sides, None, NAMES, points
    )
    work = Work(Unasked(), 0)
    if not known or noise:
        with pytest.raises(AssertionError, match="an equation was searched"):
            choice(work, ready)
        return
    found = choice(work, ready)
    assert found.chosen.pairs["u"].name == "inverse square" and found.rest < 1e-6
    (equation,) = found.fronts["u"].equations
    assert evaluate(equation.expression, np.stack(columns, 1), NAMES) == pytest.approx(
        pair(*columns), rel=1e-5
    )


def test_further_rounds_end_with_their_time():
    def pair(d, m1, m2, q1, q2):
        return np.sin(3 * d) * np.exp(-d) * np.log(1 + d**3) * np.cos(m1 * d)

    start = time.process_time()
    found(pair, seconds=4.0)
    assert time.process_time() - start < 40


def test_short_functions_do_not_depend_on_the_unit_of_length():
    r = np.geomspace(0.4, 5.0, 120)
    one, other = (shortest(u * r, 2.3 * np.exp(-r / 1.2) / (r + 0.4), 4) for u in (1.0, 1e-6))
    best, small = (min((s for s in found if s.cost <= 3), key=lambda s: s.loss) for found in (one, other))
    assert best.loss < 1e-6 and str(best.terms) == str(small.terms)
    assert small.values == pytest.approx([1e-6 * v if n[0] in "LR" else v for n, v in zip(
        best.letters, best.values, strict=True)], rel=1e-3)  # fmt: skip


def test_a_form_without_a_value_beyond_the_data_is_not_chosen():
    def pair(d, m1, m2, q1, q2):
        return np.sqrt(np.maximum(d, 0.3) - 0.29)

    part = snapshots(pair, 100, 0)
    least = float(part.named["d"][part.named["d"] > 0].min())
    root = Form.of(sympy.sympify(f"2.0*sqrt(d - {0.9 * least})"), "u")
    assert not holds(Fit(root, np.array(root.start), np.ones(1), np.zeros(0)), part)
    whole = Form.of(sympy.sympify("2.0*sqrt(d + 0.1)"), "u")
    assert holds(Fit(whole, np.array(whole.start), np.ones(1), np.zeros(0)), part)


def test_the_difference_of_terms_that_are_nearly_equal_is_no_law():
    part = snapshots(lambda d, *p: 2.0 / d**2, 60, 0)
    for near, law in (("1.0001", False), ("1.5", True)):
        form = Form.of(sympy.sympify(f"exp(-1.0*d) - exp(-{near}*d)"), "u")
        signs = np.where([f"-{near}" in str(t.forms[0]) for t in form.terms], -1.0, 1.0)
        assert holds(Fit(form, np.array(form.start), 5.0 * signs, np.zeros(0)), part) is law
    stiff = Form.of(sympy.sympify("400.0*d - 400.0"), "u")  # at rest its terms are far more than the force
    rest = part.grouped({})
    rest.__dict__["named"] = {**part.named, "d": 1.0 + 0.01 * np.sin(part.named["d"])}
    factors = np.array([1.0 if t.forms[0].free_symbols else -1.0 for t in stiff.terms])
    assert holds(Fit(stiff, np.array(stiff.start), 400.0 * factors, np.zeros(0)), rest)


def test_where_time_is_over_the_first_forms_are_fitted_all_the_same():
    parts = [snapshots(lambda d, *p: 2.0 / d**2, 60, k) for k in range(3)]
    rows = [
        Rows(p, {"u": p.pairs(2.0 / p.named["d"][:, None] ** 2 * p.directions["u"]).reshape(-1, 1)})
        for p in parts
    ]
    forms = [Form.of(sympy.sympify(f"2.0*d**(-{k}.0)"), "u", str(k)) for k in (2, 1, 3, 4, 5, 6, 7)]
    chosen = Search(*rows, 2, lambda key: forms, seconds=0.0).run()
    assert chosen.pairs["u"].start == pytest.approx([-2.0]) and len(chosen.tried["u"]) <= LEAST


def test_forms_that_are_all_too_long_better_nothing():
    parts = [snapshots(lambda d, *p: 2.0 / d**2, 60, k) for k in range(3)]
    rows = [
        Rows(p, {"u": p.pairs(2.0 / p.named["d"][:, None] ** 2 * p.directions["u"]).reshape(-1, 1)})
        for p in parts
    ]
    search = Search(*rows, 2, lambda key: [Form.of(sympy.sympify("2.0*d**(-2.0)"), "u", "2")])
    chosen = search.run()
    long = Form.of(sum(sympy.sympify(f"{k}.5*exp(-{k}.5*d)") for k in range(1, 6)), "u")
    assert long.cost > MOST
    assert search.bettered(chosen, "u", [long]).pairs["u"].terms == chosen.pairs["u"].terms


def planted(pair, expression: str) -> tuple[Search, Points, list[Motion]]:
    """A search whose one form is this expression."""
    parts = [snapshots(pair, count, k) for k, count in enumerate((60, 200, 150))]
    rows = []
    for part in parts:
        f = pair(*(part.named[n] for n in NAMES))
        rows.append(Rows(part, {"u": part.pairs(f[:, None] * part.directions["u"]).reshape(-1, 1)}))
    points = Points(parts[2].named["d"][:, None], f, np.ones(len(f)), ("r",))
    form = Form.of(sympy.sympify(expression), "u")
    return Search(*rows, 2, lambda key: [form]), points, parts


def test_terms_that_make_nothing_go_and_exponents_next_to_whole_ones_become_whole():
    written_so = "2.0*d**(-1.6) - 1.1*d**0.0001/d + 0.0001*d"
    for faint in (0.0, 3e-4):  # a true term stays, however faint
        search, points, _ = planted(lambda d, *p, b=faint: 2.0 * d**-1.6 - 1.1 / d + b * d, written_so)
        form = Rounds(Work(Still(), 0), search, {"u": points}).run(search.run()).pairs["u"]
        assert form.cost == 3 + (faint > 0) and len(form.terms) == 2 + (faint > 0)
        assert form.start == pytest.approx([-1.6], rel=1e-5)


def test_close_encounters_are_no_better_known_than_their_rounded_distances():
    def pair(d, *p):
        return 1.7 / d**3  # nearest pairs differ by the rounding of positions

    search, _, parts = planted(pair, "1.0/d**3")
    right, other = compared(
        [fit(parts[1], Form.of(sympy.sympify(t), "u")) for t in ("1.0/d**3", "1.0/d**2")], parts[2]
    )
    rounding = right.rounding.mean()
    assert rounding / 300 < right.losses.mean() < rounding < other.losses.mean() / 1e4
    size = float(np.median(np.abs(parts[2].labels)))
    better = dataclasses.replace(right, losses=right.losses / 2)
    assert not beaten(right, better, 1e-6 * size) and beaten(other, right, size)
    assert beaten(right, dataclasses.replace(better, rounding=0.0), 1e-6 * size)
