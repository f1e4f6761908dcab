"""Sweeps through the real command line: names, failures, kills, and what goes on afterwards."""

from __future__ import annotations

import gc
import json
import linecache
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest
from hydra.core.utils import JobReturn
from hydra.experimental.callback import Callback
from matplotlib import _mathtext
from omegaconf import DictConfig, Node, OmegaConf
from sympy.core.cache import CACHE

from gnn_distill.cli import main as cli
from gnn_distill.cli.job import record_failure
from gnn_distill.cli.sweep import LONGEST, Plan, SweepCallback, job_name, safe_name, write_plan
from gnn_distill.errors import InputError
from gnn_distill.pipeline.config import register
from gnn_distill.runs.directory import RunDirectory, RunIsBusyError
from gnn_distill.runs.load import read_run
from gnn_distill.runs.sweep import load_job, read_sweep
from tests.conftest import TINY

SMOKE = [
    "-m",
    "experiment=smoke",
    "dataset=spring",
    "dataset.simulations=20",
    "dataset.frames=10",
    "stages=[simulate,train]",
    "threads=1",
]
FOLDER = "multirun/smoke,dataset.frames=10,dataset.simulations=20"


def states(folder: Path) -> dict[str, str]:
    return {job.name: job.state for job in read_sweep(folder).jobs}


def test_names_are_readable_and_stay_inside():
    assert job_name(["dataset=r1", "+seed=2", "threads=4"], ["threads"]) == "+seed=2,dataset=r1"
    assert job_name(["threads=4"], ["threads"]) == "run"
    for text in ("../../etc", "dataset.path=/a/../b.csv", "x=" + "y" * 300, "..", "a\nb", "π=3"):
        name = safe_name(text)
        assert "/" not in name and not name.startswith(".") and len(name) <= LONGEST
        assert (Path("/sweep") / name).resolve().parent == Path("/sweep")
    assert safe_name("dataset.path=a/b") != safe_name("dataset.path=a-b") != safe_name("dataset.path=a:b")


def test_one_writer_per_run_directory(tmp_path: Path):
    first = RunDirectory(tmp_path)
    with first.locked():
        with (
            pytest.raises(RunIsBusyError, match=f"process {os.getpid()} on"),
            RunDirectory(tmp_path).locked(),
        ):
            pass
    with RunDirectory(tmp_path).locked():
        pass


def test_each_process_has_a_gpu_of_its_own(tmp_path: Path):
    code = (
        "import os, sys; from gnn_distill.cli.job import own_gpu; own_gpu(2); own_gpu(2);"
        "print(os.environ['CUDA_VISIBLE_DEVICES'], flush=True); sys.stdin.read()"
    )
    environment = os.environ | {"TMPDIR": str(tmp_path), "CUDA_VISIBLE_DEVICES": "4,7,9"}

    def worker() -> subprocess.Popen[str]:
        pipe = subprocess.PIPE
        command = [sys.executable, "-c", code]
        return subprocess.Popen(command, env=environment, stdin=pipe, stdout=pipe, stderr=pipe, text=True)

    first, second = worker(), worker()
    assert first.stdout and second.stdout
    assert {first.stdout.readline(), second.stdout.readline()} == {"4\n", "7\n"}
    _, errors = worker().communicate(timeout=200)
    assert "gpus = 2 cannot be used: all of them are taken" in errors
    for process in (first, second):
        process.communicate(timeout=200)


def test_a_poisoned_job_stops_nothing_and_is_named(gnn_distill, tmp_path: Path):
    axes = ["variant=standard", "dataset.law.rest_length=1,-1,2"]
    done = gnn_distill(*SMOKE, *axes, cwd=tmp_path, code=1)
    found = states(tmp_path / FOLDER)
    names = [f"dataset.law.rest_length={v},dataset=spring,seed=0,variant=standard" for v in (1, -1, 2)]
    assert [found[name] for name in names] == ["complete", "failed", "complete"]
    log = f"{FOLDER}/{names[1]}/run.log"
    assert f"log: {log}" in done.stderr and "rest_length = -1 cannot be used" in done.stderr
    assert "1 failed" in done.stderr
    assert "Traceback" in (tmp_path / log).read_text()
    status = json.loads((tmp_path / FOLDER / names[1] / "status.json").read_text())
    assert status["state"] == "failed" and "rest_length = -1" in status["error"]


def test_a_config_that_cannot_be_resolved_is_kept_as_it_is(tmp_path: Path):
    (tmp_path / "status.json").write_text("")  # as a power cut may leave it
    record_failure(OmegaConf.create({"seed": "${no.such}"}), tmp_path, ValueError("no"))
    assert (tmp_path / "status.json.damaged").exists()
    assert (load_job(tmp_path, "job").state, load_job(tmp_path, "job").status["error"]) == (
        "failed",
        "ValueError: no",
    )
    assert "no.such" in (tmp_path / "config.yaml").read_text()


def test_a_killed_sweep_goes_on_where_it_was(gnn_distill, cache: Path, tmp_path: Path):
    axes = [*SMOKE, "variant=l1,standard", "profile.epochs=40"]
    folder = tmp_path / f"{FOLDER},profile.epochs=40"
    first, second = (f"dataset=spring,seed=0,variant={v}" for v in ("l1", "standard"))
    process = subprocess.Popen(
        [sys.executable, "-m", "gnn_distill", *axes],
        cwd=tmp_path,
        env=os.environ | {"GNN_DISTILL_CACHE": str(cache)},
        stderr=subprocess.DEVNULL,
    )
    metrics = folder / second / "metrics.csv"
    while process.poll() is None and not (metrics.exists() and len(metrics.read_text().splitlines()) > 3):
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait(timeout=60)
    epochs = len(read_run(folder / second).metrics)
    assert 2 < epochs < 40, "killed too late for this test"
    assert states(folder) == {first: "complete", second: "killed"}
    before = (folder / first / "checkpoints/last.ckpt").stat().st_mtime_ns
    again = gnn_distill(*axes, cwd=tmp_path)
    assert f"{first}  (complete before)" in again.stderr
    assert states(folder) == {first: "complete", second: "complete"}
    assert (folder / first / "checkpoints/last.ckpt").stat().st_mtime_ns == before
    log = (folder / second / "run.log").read_text()
    assert log.count("epoch   1/40") == 1 and log.count("epoch  40/40") == 1  # resumed, not begun again
    assert [row["epoch"] for row in read_run(folder / second).metrics] == list(range(40))


def test_bad_input_costs_nothing(gnn_distill, tmp_path: Path):
    refused = gnn_distill(*SMOKE, "hydra.sweep.subdir=../x", cwd=tmp_path, code=2)
    assert "Traceback" not in refused.stderr
    assert not (tmp_path / "multirun/x").exists()
    assert not list((tmp_path / "multirun").rglob("status.json"))


def test_other_settings_do_not_overwrite_a_sweep(tmp_path: Path):
    plan = Plan("smoke", ["profile.epochs=3"], {}, ["a"])
    write_plan(tmp_path, replace(plan, fixed=[], jobs=["never-begun"]))
    write_plan(tmp_path, plan)  # nothing of the other sweep has begun
    (tmp_path / "a").mkdir()
    (tmp_path / "a/status.json").write_text("{}")
    with pytest.raises(InputError, match=r"profile.epochs=3: give another folder"):
        write_plan(tmp_path, replace(plan, fixed=["profile.epochs=4"]))
    write_plan(tmp_path, replace(plan, jobs=["b"]))
    written = json.loads((tmp_path / "sweep.json").read_text())
    assert written["jobs"] == ["a", "b"]


def test_a_folder_without_runs_is_refused(tmp_path: Path):
    with pytest.raises(InputError, match="gnn-distill -m"):
        read_sweep(tmp_path)


def test_commands_at_work_in_one_folder_keep_each_others_jobs(tmp_path: Path, capsys):
    for k in (1, 2, 3):
        write_plan(tmp_path, Plan(None, [], {}, [f"job-{k}"]))
    assert json.loads((tmp_path / "sweep.json").read_text())["jobs"] == ["job-1", "job-2", "job-3"]
    (tmp_path / "job-2").mkdir()
    (tmp_path / "job-2/status.json").write_text('{"state": "complete"}')
    with pytest.raises(InputError, match="give another folder"):
        write_plan(tmp_path, Plan(None, ["profile=paper"], {}, ["job-9"]))

    mine = SweepCallback()
    mine.jobs = ["job-2"]
    mine.on_multirun_end(OmegaConf.create({"hydra": {"sweep": {"dir": str(tmp_path)}}}))
    shown = capsys.readouterr().err
    assert "1 job: 1 complete" in shown and "job-3" not in shown

    (tmp_path / "sweep.json").unlink()  # as if another command had written over it
    assert [job.name for job in read_sweep(tmp_path).jobs] == ["job-2"]
    write_plan(tmp_path, Plan(None, [], {}, ["job-7"]))
    assert [job.name for job in read_sweep(tmp_path).jobs] == ["job-7", "job-2"]


class Watch(Callback):
    """Counts what is in the memory after each job."""

    seen: list[dict[str, int]] = []

    def on_job_end(self, config: DictConfig, job_return: JobReturn, **_: object) -> None:
        gc.collect()
        kinds = Counter(type(o) for o in gc.get_objects())
        counts = {
            "configs": sum(n for kind, n in kinds.items() if issubclass(kind, Node)),
            "fonts": kinds[_mathtext.FontInfo],
            "expressions": sum(function.cache_info().currsize for function in CACHE),
            "modules": len(sys.modules),
            "source lines": len(linecache.cache),
        }
        self.seen.append(counts)


def test_jobs_of_one_process_leave_nothing_in_its_memory(cache: Path, tmp_path: Path, monkeypatch):
    watch = f"+hydra.callbacks.watch._target_={__name__}.Watch"
    monkeypatch.setenv("GNN_DISTILL_CACHE", str(cache))
    monkeypatch.setenv("HYDRA_FULL_ERROR", "1")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["gnn-distill", "-m", "seed=0,1,2", "dataset.seed=0", *TINY, watch])
    register()
    cli._hydra_main()
    seen = Watch.seen
    assert len(seen) == 3 and seen[1]["configs"] > 100
    growth = {name: seen[2][name] - seen[1][name] for name in seen[1]}
    assert growth == dict.fromkeys(growth, 0)
