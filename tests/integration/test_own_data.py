"""The user's own tracks, through the whole command line."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from gnn_distill.runs.load import read_run
from tests.conftest import TINY


def tracks(path: Path, seed: int = 0) -> None:
    """Three particles on circles of their own, 60 short trajectories, with a radius as further feature."""
    rng = np.random.default_rng(seed)
    phase, radius = rng.uniform(0, 6, (60, 1, 3)), rng.uniform(0.5, 2, (60, 1, 3))
    angle = phase + 0.05 * np.arange(20)[None, :, None]
    positions = np.stack([radius * np.cos(angle), radius * np.sin(angle)], -1)
    np.savez(path, positions=positions + rng.standard_normal((60, 1, 3, 2)), features=radius[:, 0, :, None])


def test_own_tracks_give_a_law_without_a_verdict(gnn_distill, tmp_path: Path):
    tracks(tmp_path / "tracks.npz")
    own = ["dataset=own", "dataset.path=tracks.npz", "dataset.time_step=0.05", "hydra.run.dir=run"]
    first = gnn_distill(*TINY, *own, cwd=tmp_path)
    assert (first.stdout + first.stderr).count("accelerations are derived") == 1
    run = read_run(tmp_path / "run")
    assert run.status["state"] == "complete"
    assert run.analysis["r2"] == {} and run.analysis["best"] is None and run.analysis["test"]["mae"] > 0
    assert [c["verdict"] for c in run.equations["components"]] == [None, None]
    assert {"f1_1", "f1_2"} <= set(run.equations["variables"])
    assert run.law["r2_truth"] is None and run.law["test"]["mae"] > 0
    assert "force" not in run.messages()

    again = gnn_distill(*TINY, *own, cwd=tmp_path)
    assert (again.stdout + again.stderr).count("done before") == 5
    tracks(tmp_path / "tracks.npz", seed=1)  # the same name, other content
    changed = gnn_distill(*TINY, *own, cwd=tmp_path)
    assert "done before" not in changed.stdout + changed.stderr


def test_bad_file_is_named_before_anything_is_done(gnn_distill, tmp_path: Path):
    np.savez(tmp_path / "tracks.npz", positions=np.full((30, 3, 2), np.nan))
    own = ["dataset=own", "dataset.path=tracks.npz", "dataset.time_step=0.05", "hydra.run.dir=run"]
    failed = gnn_distill(*TINY, *own, cwd=tmp_path, code=2)
    assert "tracks.npz" in failed.stderr and "positions" in failed.stderr and "nan" in failed.stderr.lower()
    assert "Traceback" not in failed.stderr and not (tmp_path / "run/status.json").exists()
