import json
import math

import numpy as np
import pytest

from gnn_distill.distil.engines.engine import check_problem
from gnn_distill.distil.expressions.evaluate import evaluate
from gnn_distill.distil.expressions.front import Front, complexity
from gnn_distill.distil.expressions.parse import parse
from gnn_distill.errors import InputError

NAMES = ("dx", "dy", "r", "m1", "m2", "q1", "q2")


def mean_absolute(prediction, target):
    return float(np.mean(np.abs(prediction - target)))


@pytest.fixture
def points():
    rng = np.random.default_rng(1)
    return np.exp(rng.normal(size=(300, 7)))


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("r", 1),
        ("2.5", 1),
        ("r + 1", 3),
        ("dx - dy", 3),
        ("dy - 2*dx", 5),
        ("-dx", 3),
        ("-dx - dy", 5),
        ("inv(r)", 2),
        ("dx/r", 4),
        ("dx/(r*m1)", 6),
        ("r**2", 3),
        ("r**3", 5),
        ("r**4", 5),
        ("r**0.5", 5),
        ("inv(r**2)", 4),
        ("exp(r)", 4),
        ("log(r*m1)", 6),
        ("-2*dx*(r - 1)/(r*m1)", 12),
        ("dx*m2/r**3", 10),
    ],
)
def test_complexity(text, size):
    assert complexity(parse(text, NAMES)) == size


def front_of(texts, X, target):
    values = evaluate(parse(target, NAMES), X, NAMES)
    return Front.build([parse(t, NAMES) for t in texts], X, values, NAMES, mean_absolute)


def test_front_drops_what_is_dominated_and_what_is_not_finite(points):
    front = front_of(["r", "r + 0*dx", "2*r", "r*m1 + dy*dx", "log(-r)", "2*r + 0.01*dx"], points, "2*r")
    assert [str(e.expression) for e in front.equations] == ["r", "2*r"]


def test_front_is_strictly_monotone(points):
    front = front_of(["r", "m1", "1.9*r", "2*r + 0.1", "2*r + 0.001*dx", "r + m1"], points, "2*r")
    sizes = [e.complexity for e in front.equations]
    losses = [e.loss for e in front.equations]
    assert sizes == sorted(set(sizes)) and losses == sorted(set(losses), reverse=True)


def test_score_is_the_fall_of_log_loss(points):
    front = front_of(["r", "1.9*r", "1.99*r + 0.001"], points, "2*r")
    first, second, third = front.equations
    assert first.score == 0.0
    assert second.score == pytest.approx(math.log(first.loss / second.loss) / 2)
    assert third.score == pytest.approx(math.log(second.loss / third.loss) / 2)


def rated(*pairs):
    leaves = [parse("r", NAMES), parse("2*r", NAMES), parse("2*r+1", NAMES), parse("2*r+dx*m1", NAMES)]
    return Front.from_rated(((c, v, e) for (c, v), e in zip(pairs, leaves, strict=False)), NAMES)


def test_score_pick_needs_a_loss_near_the_lowest():
    assert rated((1, 10.0), (3, 2.0), (5, 1.0)).score_pick == 2
    assert rated((1, 10.0), (3, 1.4), (5, 1.0)).score_pick == 1


def test_choice_is_the_simplest_within_ten_per_cent():
    assert rated((1, 10.0), (3, 1.2), (5, 1.05), (7, 1.0)).choice == 2
    assert rated((1, 10.0), (3, 1.09), (5, 1.05), (7, 1.0)).choice == 1


def test_front_survives_json(points):
    front = front_of(["r", "1.9*r", "1.9900000000000001*r + 0.001/dx"], points, "2*r")
    assert Front.from_dict(json.loads(json.dumps(front.to_dict()))) == front


def test_front_from_a_hostile_file_is_refused(points):
    data = front_of(["r"], points, "2*r").to_dict()
    data["equations"][0]["expression"] = "__import__('os')"
    with pytest.raises(InputError, match="__import__"):
        Front.from_dict(data)
    with pytest.raises(InputError, match="to_dict"):
        Front.from_dict({"names": NAMES})


def test_constant_equation_has_a_value_a_point(points):
    front = front_of(["3.0"], points, "2*r")
    assert evaluate(front.equations[0].expression, points, NAMES).shape == (len(points),)


def problem(count=60):
    rng = np.random.default_rng(0)
    return rng.normal(size=(count, 2)), rng.normal(size=count)


def test_check_problem_passes_a_good_one():
    X, y = problem()
    checked = check_problem(X.astype(np.float32), y, ["dx", "r"])
    assert checked[0].dtype == np.float64 and checked[2] == pytest.approx(np.ones(60))


@pytest.mark.parametrize(
    ("change", "match"),
    [
        (lambda X, y: (X[:49], y[:49], ["dx", "r"]), "at least 50"),
        (lambda X, y: (X, np.where(np.arange(60) == 3, np.nan, y), ["dx", "r"]), "NaN or infinite"),
        (lambda X, y: (np.where(X == X[0, 0], np.inf, X), y, ["dx", "r"]), "NaN or infinite"),
        (lambda X, y: (X, np.full(60, 2.0), ["dx", "r"]), "constant"),
        (lambda X, y: (X, np.zeros(60), ["dx", "r"]), "constant"),
        (lambda X, y: (X, y, ["dx", "dx"]), "once"),
        (lambda X, y: (X, y, ["dx", "speed"]), "speed"),
        (lambda X, y: (X, y, ["dx"]), "2 names"),
        (lambda X, y: (X, y[:-1], ["dx", "r"]), "shapes|S, K"),
    ],
)
def test_check_problem_names_the_fault(change, match):
    with pytest.raises(InputError, match=match):
        check_problem(*change(*problem()))


def test_check_problem_refuses_negative_weights():
    X, y = problem()
    with pytest.raises(InputError, match="weights"):
        check_problem(X, y, ["dx", "r"], np.full(60, -1.0))
