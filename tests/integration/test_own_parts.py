"""The parts that docs/extending.md shows, as they stand there, outside of the package."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from tests.conftest import TINY
from tests.docs_pages import ROOT, commands, exports, files, load

PAGE = ROOT / "docs/extending.md"
SIZE = [o for o in TINY if not o.startswith("symbolic.engine")]
STAGES = {
    "dataset=yukawa": "[simulate,train,analyse,distil,report]",
    "regulariser=group_lasso": "[simulate,train]",
    "schedule=stairs": "[simulate,train]",
    "symbolic=power_laws": "[simulate,train,analyse,distil,report]",
}
COMMANDS = commands(PAGE, "gnn-distill")


@pytest.fixture
def outside(tmp_path: Path) -> Path:
    for name, text in files(PAGE).items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    return tmp_path


def test_each_part_is_short_and_has_a_command():
    sizes = [len(text.splitlines()) for text in files(PAGE).values()]
    assert [code + conf <= 30 for code, conf in zip(sizes[::2], sizes[1::2], strict=True)] == [True] * 4
    assert all(any(part in words for words in COMMANDS) for part in STAGES)


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_command_of_the_page_runs(words: list[str], outside: Path, command_line, monkeypatch):
    for name, value in exports(PAGE).items():
        monkeypatch.setenv(name, value)
    part = next(w for w in words if w in STAGES)
    size = SIZE if part == "symbolic=power_laws" else TINY
    code, told = command_line(*words, *size, f"stages={STAGES[part]}", "hydra.run.dir=run")
    assert code == 0, told
    config = (outside / "run/config.yaml").read_text()
    assert {
        "dataset=yukawa": "strength: 3.0",
        "regulariser=group_lasso": "_target_: my_regularisers.GroupLasso",
        "schedule=stairs": "steps: 3",
        "symbolic=power_laws": "_target_: my_engines.PowerLaws",
    }[part] in config
    if part == "dataset=yukawa":
        analysis = json.loads((outside / "run/analysis.json").read_text())
        assert set(analysis["r2"]) >= {"force", "acceleration", "gauge", "pullback"}
        verdict = json.loads((outside / "run/equations.json").read_text())["components"][0]["verdict"]
        assert verdict["recovered"] is False  # two epochs teach nothing
    if part == "symbolic=power_laws":
        found = json.loads((outside / "run/equations.json").read_text())
        assert found["engine"] == "power laws" and found["components"][0]["front"]


def test_engine_of_the_page_finds_a_planted_power_law(outside: Path):
    engine = load(outside / "my_engines.py").PowerLaws()
    X = np.exp(np.random.default_rng(0).normal(size=(300, 4)))
    front = engine.fit(X, -3 * X[:, 2] / X[:, 0] ** 2, ("r", "m1", "m2", "q1"), seed=0)
    assert front.equations[-1].loss < 1e-12 and str(front.equations[-1].expression) == "-3.0*m2/r**2"


def test_schedule_of_the_page_begins_with_all_and_ends_with_none_left_to_prune(outside: Path):
    stairs = load(outside / "my_schedules.py").stairs
    assert (stairs(0.0), stairs(0.6), stairs(1.0)) == (0.0, 0.5, 1.0)
