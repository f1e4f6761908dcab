"""The real command line, small."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from gnn_distill.runs.directory import STAGES
from gnn_distill.runs.load import read_run
from tests.conftest import TINY


@pytest.fixture(scope="module")
def finished(gnn_distill, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("finished")
    done = gnn_distill(*TINY, "hydra.run.dir=run", cwd=folder)
    assert "report.html" in done.stdout + done.stderr
    return folder / "run"


def test_run_directory_keeps_its_contract(finished: Path):
    run = read_run(finished)
    s = run.status
    assert (s["state"], s["stage"], s["error"], s["seed"]) == ("complete", None, None, 0)
    assert list(s["stages"]) == list(STAGES) and all(s["stages"][k]["seconds"] >= 0 for k in STAGES)
    assert s["peak_rss_mib"] > 50 and s["versions"]["torch"] == torch.__version__
    assert [row["epoch"] for row in run.metrics] == [0, 1]
    columns = {"train_mae", "val_mae", "train_mae_per_graph", "val_mae_per_graph", "train_regulariser", "lr"}
    assert columns | {"active_dims"} <= set(run.metrics[0])
    assert run.metrics[0]["val_mae_per_graph"] == pytest.approx(8 * run.metrics[0]["val_mae"], rel=1e-5)
    assert [row["active_dims"] for row in run.metrics] == [100, 14]  # cosine: 1 of T = 1.3 epochs prunes 86
    a = run.analysis
    assert a["split"] == "trajectories" and set(a["test"]) >= {"mae", "mae_per_graph"}
    assert set(a["r2"]) == {"force", "acceleration", "gauge", "pullback"}
    assert all(len(fit[kind]) == 2 for fit in a["r2"].values() for kind in ("robust", "ols"))
    assert set(a["gauge"]) >= {"p", "centred"}
    assert set(a["best"]) == {"gauge", "robust_mean", "ols_mean"} and len(a["components"]) == 2
    e = run.equations
    assert (e["engine"], e["target"]) == ("operon", "pullback") and len(e["components"]) == 2
    for component in e["components"]:
        assert set(component) >= {"dim", "front", "score_pick", "verdict"}
        assert set(component["front"][0]) >= {"complexity", "loss", "score", "expression"}
        assert set(component["verdict"]) >= {"recovered", "equation", "marks", "reason"}
    law = run.law
    assert len(law["acceleration"]) == 2 and law["test"]["mae"] > 0 and law["network"]["mae"] > 0
    assert set(law) >= {"constants", "r2_truth"}
    assert {"messages", "delta", "force", "importance", "components"} <= set(run.messages())
    assert {p.suffix for p in (finished / "figures").iterdir()} == {".png"}
    assert {p.name for p in (finished / "checkpoints").iterdir()} == {"last.ckpt", "best.ckpt"}


def test_done_stages_are_not_done_again(command_line, finished: Path):
    before = {p: p.stat().st_mtime_ns for p in finished.rglob("*.ckpt")}
    code, told = command_line(*TINY, f"hydra.run.dir={finished}")
    assert code == 0 and told.count("done before") == len(STAGES)
    code, told = command_line(*TINY, "symbolic.points=200", f"hydra.run.dir={finished}")
    assert code == 0 and told.count("done before") == 3
    assert {p: p.stat().st_mtime_ns for p in finished.rglob("*.ckpt")} == before


def test_failure_is_recorded_and_nothing_is_lost(command_line, tmp_path: Path):
    assert command_line(*TINY, "stages=[simulate,train]", "hydra.run.dir=run")[0] == 0
    last = tmp_path / "run/checkpoints/last.ckpt"
    last.write_bytes(last.read_bytes()[:-1000])
    code, told = command_line(*TINY, "stages=[analyse]", "hydra.run.dir=run")
    assert code == 2 and "last.ckpt" in told and "delete it" in told and "Traceback" not in told
    status = json.loads((tmp_path / "run/status.json").read_text())
    assert (status["state"], status["stage"]) == ("failed", "analyse")
    assert "last.ckpt" in status["error"]
    assert status["stages"]["train"]["complete"] and not status["stages"]["analyse"]["complete"]


def test_stages_of_other_settings_are_not_mixed(command_line, tmp_path: Path):
    code, told = command_line(*TINY, "stages=[simulate,analyse]", "hydra.run.dir=new")
    assert code == 2 and "add train to stages" in told
    half = ["stages=[simulate,train,analyse]", "hydra.run.dir=run", "dataset=charge"]
    assert command_line(*TINY, *half)[0] == 0
    before = (tmp_path / "run/config.yaml").read_text()
    for stages in ("[analyse]", "[report]"):  # without dataset=charge
        code, told = command_line(*TINY, f"stages={stages}", "hydra.run.dir=run")
        assert code == 2 and "repeat the settings" in told
    assert (tmp_path / "run/config.yaml").read_text() == before
    longer = ["dataset=charge", "profile.epochs=3", "stages=[train]", "hydra.run.dir=run"]
    assert command_line(*TINY, *longer)[0] == 0
    stages = read_run(tmp_path / "run").status["stages"]
    assert stages["train"]["complete"] and not stages["analyse"]["complete"]  # it knew another network


def test_last_checkpoint_is_the_last_epochs(finished: Path):
    # two epochs do not settle the pruning: no "best" network of that width, but the last one is kept
    last = torch.load(finished / "checkpoints/last.ckpt", weights_only=True)
    assert last["epoch"] == 1
    assert int(last["state_dict"]["model.mask"].sum()) == 14
    assert read_run(finished).analysis["active_dims"] == 14


LONGER = [a for a in TINY if not a.startswith("profile.")] + [
    "regulariser=kl",
    "model.head._target_=gnn_distill.model.heads.GaussianHead",
    "schedule.end=0.8",
    "profile.simulations=100",
    "profile.frames=20",
    "profile.epochs=6",
    "profile.width=32",
    "stages=[simulate,train]",
]


def stop_while_training(how: signal.Signals, folder: Path, cache: Path) -> int:
    """Start a run in `folder`, send it a signal after its second epoch, and return its exit code."""
    command = [sys.executable, "-m", "gnn_distill", *LONGER, f"hydra.run.dir={folder.name}"]
    process = subprocess.Popen(
        command,
        cwd=folder.parent,
        env=os.environ | {"GNN_DISTILL_CACHE": str(cache)},
        stderr=subprocess.DEVNULL,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),  # as in a terminal
    )
    metrics = folder / "metrics.csv"
    while process.poll() is None and not (metrics.exists() and len(metrics.read_text().splitlines()) > 2):
        time.sleep(0.02)
    process.send_signal(how)
    process.wait(timeout=60)
    assert len(metrics.read_text().splitlines()) < 7
    return process.returncode


def test_killed_training_resumes_as_if_never_interrupted(command_line, cache: Path, tmp_path: Path):
    # kl draws random numbers in every step; pruning must keep its mask
    assert command_line(*LONGER, "hydra.run.dir=whole")[0] == 0
    assert stop_while_training(signal.SIGKILL, tmp_path / "killed", cache) == -signal.SIGKILL
    assert command_line(*LONGER, "hydra.run.dir=killed")[0] == 0
    assert (tmp_path / "killed/metrics.csv").read_text() == (tmp_path / "whole/metrics.csv").read_text()
    one, two = (
        torch.load(tmp_path / name / "checkpoints/last.ckpt", weights_only=True)["state_dict"]
        for name in ("whole", "killed")
    )
    assert all((one[key] == two[key]).all() for key in one)


@pytest.mark.parametrize(("how", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_signals_leave_an_interrupted_run(how: signal.Signals, code: int, cache: Path, tmp_path: Path):
    assert stop_while_training(how, tmp_path / "run", cache) == code
    status = json.loads((tmp_path / "run/status.json").read_text())
    assert (status["state"], status["stage"]) == ("interrupted", "train")
    assert status["stages"]["simulate"]["complete"] and not status["stages"]["train"]["complete"]
    assert (tmp_path / "run/checkpoints/last.ckpt").exists()


def test_sweep_makes_one_run_directory_a_job(command_line, tmp_path: Path):
    jobs = ["variant=standard,l1", "stages=[simulate,train]", "hydra.sweep.dir=sweep"]
    assert command_line("-m", *TINY, *jobs)[0] == 0
    runs = [read_run(tmp_path / "sweep" / f"variant={name}") for name in ("standard", "l1")]
    assert [r.config["variant"] for r in runs] == ["standard", "l1"]
    assert all(r.status["state"] == "complete" for r in runs)
    assert runs[1].metrics[-1]["train_regulariser"] > 0 == runs[0].metrics[-1]["train_regulariser"]
