import sys

import numpy as np
import pytest

from gnn_distill.errors import InputError
from gnn_distill.symbolic.operon import OperonEngine
from gnn_distill.symbolic.points import Points
from gnn_distill.symbolic.pysr import PySREngine, front_from_rows

NAMES = ("dx", "r", "m1")


def points():
    rng = np.random.default_rng(0)
    X = np.exp(rng.normal(size=(100, 3)))
    return Points(X, X[:, 0] / X[:, 1] ** 3, np.ones(100), NAMES)


def test_arguments_are_the_published_settings():
    arguments = PySREngine().arguments(seed=7)
    assert arguments["binary_operators"] == ["+", "-", "*", "^"]
    assert [u.split("(")[0] for u in arguments["unary_operators"]] == ["inv", "exp", "log"]
    costs = arguments["complexity_of_operators"]
    assert costs == {"+": 1, "-": 1, "*": 1, "inv": 1, "exp": 3, "log": 3, "^": 3}
    assert arguments["complexity_of_constants"] == arguments["complexity_of_variables"] == 1
    assert (arguments["niterations"], arguments["maxsize"], arguments["parsimony"]) == (6000, 23, 0.05)
    assert "abs(x - y)" in arguments["elementwise_loss"]
    assert arguments["random_state"] == 7


def test_one_seed_decides_all():
    arguments = PySREngine().arguments(seed=0)
    assert arguments["deterministic"] and arguments["parallelism"] == "serial"


def test_weights_enter_the_loss():
    assert PySREngine().arguments(0, weighted=True)["elementwise_loss"].startswith("loss(x, y, w)")


def test_table_becomes_a_front_without_running_text():
    rows = [
        {"complexity": 1, "loss": 9.9, "equation": "dx"},
        {"complexity": 9, "loss": 9.9, "equation": "dx * inv(r ^ 3.0)"},
        {"complexity": 4, "loss": 9.9, "equation": "(dx / r) / r"},
        {"complexity": 2, "loss": 0.0, "equation": "__import__('os').getcwd()"},
        {"complexity": 2, "loss": 0.0, "equation": "tanh(dx)"},
    ]
    front = front_from_rows(rows, points())
    assert [e.complexity for e in front.equations] == sorted(e.complexity for e in front.equations)
    assert front.equations[-1].loss < 1e-12
    assert front.equations[0].loss == pytest.approx(np.abs(points().y - points().X[:, 0]).mean())


def test_without_pysr_the_error_says_what_to_do(monkeypatch):
    monkeypatch.setitem(sys.modules, "pysr", None)
    p = points()
    with pytest.raises(InputError, match="symbolic=operon"):
        PySREngine().fit(p.X, p.y, NAMES, seed=0)


@pytest.mark.parametrize(
    ("engine", "setting", "value"),
    [
        (PySREngine, "iterations", 0),
        (PySREngine, "maxsize", 3),
        (PySREngine, "parsimony", -1.0),
        (OperonEngine, "restarts", 0),
        (OperonEngine, "generations", -1),
        (OperonEngine, "population", 2.5),
        (OperonEngine, "near", 0.9),
        (OperonEngine, "tail", -0.1),
        (OperonEngine, "poor", 2.0),
        (OperonEngine, "n_threads", 0),
        (OperonEngine, "functions", ("exp", "tan")),
    ],
)
def test_engines_name_the_setting_that_is_out_of_range(engine, setting, value):
    with pytest.raises(InputError, match=f"symbolic.engine.{setting}"):
        engine(**{setting: value})
