"""Loggers beside metrics.csv, in process and offline."""

from __future__ import annotations

from pathlib import Path

import pytest

from gnn_distill.errors import InputError
from gnn_distill.pipeline.loggers import check_loggers
from gnn_distill.pipeline.stages import run
from tests.conftest import TINY


@pytest.mark.parametrize(("name", "left"), [("tensorboard", "events.out.*"), ("wandb", "*.wandb")])
def test_logger_leaves_its_files_in_the_run_directory(
    name: str, left: str, tmp_path: Path, cache: Path, compose, monkeypatch: pytest.MonkeyPatch
):
    pytest.importorskip(name)
    monkeypatch.delenv("WANDB_MODE", raising=False)  # nobody is logged in: offline by itself
    monkeypatch.delenv("WANDB_API_KEY", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    monkeypatch.setenv("WANDB_SILENT", "true")
    run(compose(*TINY, f"logger={name}", "stages=[simulate,train]", f"cache={cache}"), tmp_path / "run")
    assert list((tmp_path / "run").rglob(left))
    assert (tmp_path / "run/metrics.csv").exists()


def test_a_job_is_a_run_in_the_group_of_its_sweep(
    tmp_path: Path, cache: Path, compose, monkeypatch: pytest.MonkeyPatch
):
    pytest.importorskip("wandb")
    for name in ("WANDB_MODE", "WANDB_API_KEY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    monkeypatch.setenv("WANDB_SILENT", "true")
    sweep = tmp_path / "my-sweep"
    sweep.mkdir()
    (sweep / "sweep.json").write_text('{"jobs": ["one", "two"]}')
    for job in ("one", "two"):
        run(compose(*TINY, "logger=wandb", f"cache={cache}", f"variant={VARIANTS[job]}"), sweep / job)
    ids = {}
    for job in ("one", "two"):
        logs = sorted((sweep / job).rglob("*.wandb"))
        assert len(logs) == 1
        assert b"my-sweep" in logs[0].read_bytes() and job.encode() in logs[0].read_bytes()
        ids[job] = logs[0].stem
    assert ids["one"] != ids["two"]


VARIANTS = {"one": "bottleneck", "two": "standard"}


def test_missing_package_is_named(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(InputError, match=r"gnn_distill\[tensorboard\]"):
        check_loggers({"tensorboard": None})
    check_loggers({"wandb": None, "mine": None})
