"""An edit of the user's own code makes the stages that use it be done again."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from omegaconf import OmegaConf

from gnn_distill.cli.job import complete_before
from gnn_distill.pipeline.keys import stage_keys
from gnn_distill.pipeline.trust import code_hashes
from gnn_distill.runs.directory import OUTPUTS, RunDirectory

PARTS = {
    "regulariser._target_": ("ours.penalty.Weight", "train"),
    "symbolic.engine._target_": ("ours.search.Search", "distil"),
    "callbacks.prune.schedule": ("{_target_: ours.steps.stairs, _partial_: true}", "train"),
}
STAGES = ("simulate", "train", "analyse", "distil", "report")


@pytest.fixture
def ours(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    folder = tmp_path / "ours"
    folder.mkdir()
    (folder / "__init__.py").touch()
    (folder / "base.py").write_text("class Base: pass\n")
    (folder / "penalty.py").write_text("from ours.base import Base\n\nclass Weight(Base): pass\n")
    (folder / "search.py").write_text("class Search: pass\n")
    (folder / "steps.py").write_text("def stairs(progress): return progress\n")
    monkeypatch.syspath_prepend(tmp_path)
    yield folder
    for name in [name for name in sys.modules if name.partition(".")[0] == "ours"]:
        del sys.modules[name]


@pytest.fixture
def keys(compose):
    return lambda *overrides: stage_keys(OmegaConf.to_container(compose(*overrides), resolve=True))


@pytest.mark.parametrize("key", PARTS)
def test_an_edit_is_seen_by_the_stage_that_uses_it_and_those_after_it(key: str, ours: Path, keys):
    target, stage = PARTS[key]
    before = keys(f"{key}={target}")
    assert keys(f"{key}={target}") == before
    file = next(ours.glob(f"{target.split('ours.')[1].split('.')[0]}.py"))
    file.write_text(file.read_text() + "\nMORE = 1\n")
    after = keys(f"{key}={target}")
    assert [s for s in STAGES if after[s] != before[s]] == list(STAGES[STAGES.index(stage) :])


def test_the_file_of_a_base_class_counts_and_that_of_an_installed_package_does_not(ours: Path):
    config = {
        "a": [{"_target_": "ours.penalty.Weight"}],
        "b": {"_target_": "gnn_distill.train.penalties.L1Penalty"},
    }
    assert set(code_hashes(config)) == {"ours.penalty", "ours.base"}
    assert code_hashes({"callbacks": {"_target_": "lightning.pytorch.callbacks.Timer"}}) == {}


def test_a_job_with_code_of_the_users_is_looked_at_before_it_counts(
    ours: Path, tmp_path: Path, keys, compose
):
    for name, more in {"plain": [], "own": ["symbolic.engine._target_=ours.search.Search"]}.items():
        directory = RunDirectory(tmp_path / name)
        for stage, key in keys(*more).items():
            with directory.stage(stage, key):
                for output in OUTPUTS[stage]:
                    directory.write_text(output, "")
        assert not complete_before(compose(*more), directory.path)  # the last word is missing
        directory.finish()
        assert complete_before(compose(*more), directory.path) is (name == "plain")
    assert complete_before(compose("threads=1", "stages=[simulate]"), tmp_path / "plain")
    assert not complete_before(compose("seed=1"), tmp_path / "plain")
    (tmp_path / "plain/law.json").unlink()
    assert not complete_before(compose(), tmp_path / "plain")


def test_a_data_file_counts_by_its_content(tmp_path: Path, keys):
    file = tmp_path / "tracks.csv"
    file.write_text("0")
    before = keys("dataset=own", f"dataset.path={file}")
    assert keys("dataset=own", f"dataset.path={file}") == before
    file.write_text("1")
    assert keys("dataset=own", f"dataset.path={file}")["simulate"] != before["simulate"]
