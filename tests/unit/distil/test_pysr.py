import ast
import importlib.util
import json
import shutil
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from gnn_distill.distil.engines.operon import OperonEngine
from gnn_distill.distil.engines.pysr import PySREngine
from gnn_distill.distil.expressions.front import Front
from gnn_distill.distil.expressions.parse import parse_all
from gnn_distill.distil.expressions.points import Points
from gnn_distill.errors import InputError

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
    texts = ["dx", "dx * inv(r ^ 3.0)", "(dx / r) / r", "__import__('os').getcwd()", "tanh(dx)"]
    front = Front.on(points(), parse_all(texts, NAMES))
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
        (OperonEngine, "drop_nearest", 0.9),
        (OperonEngine, "drop_outliers", -0.1),
        (OperonEngine, "seconds", -1.0),
        (OperonEngine, "n_threads", 0),
        (OperonEngine, "functions", ("exp", "tan")),
    ],
)
def test_engines_name_the_setting_that_is_out_of_range(engine, setting, value):
    with pytest.raises(InputError, match=f"symbolic.engine.{setting}"):
        engine(**{setting: value})


def signature():
    """Keyword arguments of the installed PySRRegressor, read from its source: importing it fetches Julia."""
    spec = importlib.util.find_spec("pysr")
    if spec is None:
        pytest.skip("pysr is not installed")
    source = Path(next(iter(spec.submodule_search_locations))) / "sr.py"
    classes = [n for n in ast.parse(source.read_text()).body if isinstance(n, ast.ClassDef)]
    regressor = next(c for c in classes if c.name == "PySRRegressor")
    methods = {n.name: n.args for n in regressor.body if isinstance(n, ast.FunctionDef)}
    return {
        name: {a.arg for a in (*methods[name].args, *methods[name].kwonlyargs)}
        for name in ("__init__", "fit")
    }


def test_arguments_are_those_of_the_installed_pysr():
    known = signature()
    assert PySREngine().arguments(0, weighted=True, guesses=["dx"]).keys() <= known["__init__"]
    assert {"X", "y", "weights", "variable_names"} <= known["fit"]
    assert "pysr" not in sys.modules  # read, not imported


class FakeRegressor:
    """Stands in for PySR: every fit finds one equation more."""

    made: list["FakeRegressor"] = []
    found = ["dx * 2.0", "dx * inv(r)", "dx * inv(r ^ 3.0)"]

    def __init__(self, **arguments):
        self.arguments, self.sizes = arguments, []
        FakeRegressor.made.append(self)

    def set_params(self, **changed):
        self.arguments |= changed

    def fit(self, X, y, weights, variable_names):
        self.sizes.append(self.arguments["niterations"])
        self.equations_ = {"equation": self.found[: len(self.sizes)]}


class Kept:
    def __init__(self):
        self.state = None

    def load(self):
        return self.state

    def save(self, state):
        self.state = json.loads(json.dumps(state))


def test_iterations_are_done_in_blocks_and_go_on_after_a_kill(monkeypatch):
    monkeypatch.setitem(sys.modules, "pysr", SimpleNamespace(PySRRegressor=FakeRegressor))
    p, kept, lines = points(), Kept(), []
    engine = PySREngine(iterations=250, save_every=100)
    front = engine.fit(p.X, p.y, NAMES, seed=0, progress=lines.append, memory=kept)
    assert FakeRegressor.made[0].sizes == [100, 100, 50] and kept.state["done"] == 250
    assert front.equations[-1].loss < 1e-12 and "250 of 250" in lines[-1] and len(lines) == 3
    assert engine.fit(p.X, p.y, NAMES, seed=0, memory=kept) == front and len(FakeRegressor.made) == 1
    kept.state["done"] = 200
    engine.fit(p.X, p.y, NAMES, seed=0, memory=kept)
    second = FakeRegressor.made[1]
    assert second.sizes == [50] and any(
        "r^3" in guess.replace(" ", "") for guess in second.arguments["guesses"]
    )


@pytest.mark.slow
def test_a_real_search_finds_a_planted_equation():
    if importlib.util.find_spec("pysr") is None or shutil.which("julia") is None:
        pytest.skip("needs pysr and Julia")
    p = points()
    front = PySREngine(iterations=40).fit(p.X, p.y, NAMES, seed=0)
    assert front.equations[-1].loss < 1e-3
