"""Sweeps in full: launchers, and reports after kills. Minutes; run with -m slow."""

from __future__ import annotations

import importlib.util
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from gnn_distill.cli.report import main
from gnn_distill.runs.sweep import read_sweep

pytestmark = pytest.mark.slow

LAUNCHERS = {
    "cores": ("joblib", ["hydra.launcher.n_jobs=2"]),
    "slurm_local": ("submitit", ["hydra.sweeper.max_batch_size=2"]),
    "ray_cluster": ("ray", []),
}
SMOKE = ["-m", "experiment=smoke", "dataset=spring"]


@pytest.mark.timeout(600)
@pytest.mark.parametrize("launcher", list(LAUNCHERS))
def test_launchers_finish_what_can_be_finished(launcher: str, gnn_distill, tmp_path: Path, monkeypatch):
    plugin, more = LAUNCHERS[launcher]
    if importlib.util.find_spec(f"hydra_plugins.hydra_{plugin}_launcher") is None:
        pytest.skip(f"gnn_distill[{plugin}] is not installed")
    monkeypatch.setenv("HOME", str(tmp_path))
    cache = tmp_path / "cache"
    axes = ["variant=standard,l1", "model.layers=2,0", "stages=[simulate,train]", f"cache={cache}"]
    done = gnn_distill(*SMOKE, *axes, f"hydra/launcher={launcher}", *more, cwd=tmp_path, code=1)
    jobs = read_sweep(tmp_path / "multirun/smoke").jobs
    assert sorted(job.state for job in jobs) == ["complete", "complete", "failed", "failed"]
    assert all(("layers=0" in job.name) == (job.state == "failed") for job in jobs)
    assert "2 failed" in done.stderr and "layers = 0" in done.stderr
    assert len([p for p in cache.iterdir() if p.is_dir()]) == 1  # made once


@pytest.mark.timeout(1800)
def test_final_report_is_the_same_after_three_kills(cache: Path, tmp_path: Path):
    command = [sys.executable, "-m", "gnn_distill", *SMOKE, "variant=kl,pruning,l1", "threads=1"]
    environment = os.environ | {"GNN_DISTILL_CACHE": str(cache)}
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    for folder in (whole, killed):
        folder.mkdir()
    start = time.perf_counter()
    subprocess.run(command, cwd=whole, env=environment, check=True, timeout=900)
    wall = time.perf_counter() - start
    for share in (0.35, 0.5, 0.55):
        process = subprocess.Popen(command, cwd=killed, env=environment)
        time.sleep(share * wall)
        process.send_signal(signal.SIGKILL)
        process.wait(timeout=60)
    subprocess.run(command, cwd=killed, env=environment, check=True, timeout=900)
    reports = []
    for folder in (whole, killed):
        main([str(folder / "multirun/smoke")])
        report = folder / "multirun/smoke/report"
        files = {p.relative_to(report): p.read_bytes() for p in report.rglob("*.*") if p.is_file()}
        files.pop(Path("timings.csv"))
        page = files.pop(Path("index.html")).decode()
        reports.append((files, re.sub(r'<section id="timings">.*?</section>', "", page, flags=re.DOTALL)))
    assert len(reports[0][0]) > 20 and reports[0] == reports[1]
