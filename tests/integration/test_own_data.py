"""The user's own tracks, through the whole command line."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from gnn_distill import distil_tracks, load_run
from gnn_distill.runs.load import read_run
from tests.conftest import TINY


def tracks(path: Path, seed: int = 0) -> None:
    """Three particles on circles of their own, 60 short trajectories, with a radius as further feature."""
    rng = np.random.default_rng(seed)
    phase, radius = rng.uniform(0, 6, (60, 1, 3)), rng.uniform(0.5, 2, (60, 1, 3))
    angle = phase + 0.05 * np.arange(20)[None, :, None]
    positions = np.stack([radius * np.cos(angle), radius * np.sin(angle)], -1)
    np.savez(path, positions=positions + rng.standard_normal((60, 1, 3, 2)), features=radius[:, 0, :, None])


def test_own_tracks_give_a_law_without_a_verdict(gnn_distill, command_line, tmp_path: Path):
    tracks(tmp_path / "tracks.npz")
    own = ["dataset=own", "dataset.path=tracks.npz", "dataset.time_step=0.05", "hydra.run.dir=run"]
    first = gnn_distill(*TINY, *own, cwd=tmp_path)
    assert (first.stdout + first.stderr).count("accelerations are derived") == 1
    run = read_run(tmp_path / "run")
    assert run.status["state"] == "complete"
    assert run.analysis["r2"] == {} and run.analysis["best"] is None and run.analysis["test"]["mae"] > 0
    assert {c["dim"] for c in run.equations["components"]} <= {"u", "w"}
    assert all(c["verdict"] is None for c in run.equations["components"])
    assert {"f1_1", "f1_2"} <= set(run.equations["variables"])
    assert (run.law or run.equations)["trust"]["level"] in ("none", "systematic", "level", "exact")
    assert "force" not in run.messages()

    code, told = command_line(*TINY, *own)
    assert code == 0 and told.count("done before") == 5
    tracks(tmp_path / "tracks.npz", seed=1)  # the same name, other content
    code, told = command_line(*TINY, *own, "stages=[simulate]")
    assert code == 0 and "done before" not in told


def pairs_with_sizes_and_spins(path: Path) -> None:
    """A table of four particles at rest in each of 500 frames, pushed apart by a = size₁ spin₂ Δ/d."""
    rng = np.random.default_rng(3)
    x = rng.standard_normal((500, 4, 2))
    size, spin = rng.uniform(0.5, 2.0, (500, 4)), rng.choice([-1.0, 1.0], (500, 4))
    delta = x[:, :, None] - x[:, None]
    d = np.linalg.norm(delta, axis=-1, keepdims=True) + np.eye(4)[..., None]
    a = (size[:, :, None, None] * spin[:, None, :, None] * delta / d).sum(2)
    lines = ["run,time,particle,x,y,vx,vy,ax,ay,size,spin"]
    lines += [
        f"{g},0,{k},{x[g, k, 0]},{x[g, k, 1]},0,0,{a[g, k, 0]},{a[g, k, 1]},{size[g, k]},{spin[g, k]}"
        for g in range(500)
        for k in range(4)
    ]
    path.write_text("\n".join(lines))


def test_two_further_columns_go_from_the_file_to_the_page(command_line, tmp_path: Path):
    pairs_with_sizes_and_spins(tmp_path / "tracks.csv")
    tiny = [o for o in TINY if ".engine." not in o]
    own = ["dataset=own", f"dataset.path={tmp_path}/tracks.csv", "hydra.run.dir=run"]
    own += ["dataset.features=[size,spin]", "dataset.units={length: um, time: s}"]
    law = ["symbolic=given", "symbolic.expression='2*size1*spin2'"]
    assert command_line(*tiny, *own, *law)[0] == 0
    run, read = read_run(tmp_path / "run"), load_run(tmp_path / "run")
    assert run.data["further"] == ["size", "spin"] and read.model.columns.count == 8
    arrays = run.messages()
    ends = ("size1", "spin1", "size2", "spin2")
    assert tuple(arrays["variables"]) == ("dx", "dy", "r", "m1", "m2", "q1", "q2", *ends)
    assert all(set(np.unique(arrays[name])) <= {-1.0, 1.0} for name in ("spin1", "spin2"))
    assert set(ends) <= set(run.equations["variables"]) and set(ends) <= set(read.messages.names)
    assert "size1" in run.law["acceleration"][0] and "spin2" in run.law["acceleration"][0]
    assert run.law["constants"][0] == pytest.approx([1.0], abs=0.01)
    assert run.law["further"] == ["size", "spin"]
    assert run.law["units"] == run.data["units"] == {"length": "um", "time": "s"}
    module: dict[str, Any] = {}
    exec((tmp_path / "run/law/law_numpy.py").read_text(), module)
    x = np.array([[0.0, 0.0], [3.0, 4.0]])
    given = module["acceleration"](x, 0 * x, np.ones(2), np.zeros(2), features=np.array([[2.0, 1], [1, -1]]))
    assert given == pytest.approx(np.array([[1.2, 1.6], [0.6, 0.8]]), rel=0.02)
    page = (tmp_path / "run/report.html").read_text()
    assert (tmp_path / "run/figures/functions.png").exists() and "size" in page
    assert "Lengths in um, times in s." in page
    assert not (tmp_path / "run/law/law.table").exists()
    assert "more than 6 kinds of particles" in (tmp_path / "run/law/README.txt").read_text()


def test_a_central_law_goes_to_lammps_and_ase(command_line, tmp_path: Path):
    rng = np.random.default_rng(4)
    x, masses = rng.uniform(-1.5, 1.5, (500, 1, 4, 3)), np.array([1.0, 2.0, 2.0, 1.0])
    delta = x[:, :, :, None] - x[:, :, None]
    d = np.linalg.norm(delta, axis=-1, keepdims=True) + np.eye(4)[..., None]
    a = (3.0 * np.exp(-d) * delta / d).sum(3) / masses[:, None]
    arrays = {"positions": x, "velocities": 0 * x, "accelerations": a, "masses": masses}
    np.savez(tmp_path / "pairs.npz", **arrays)
    tiny = [o for o in TINY if ".engine." not in o]
    own = ["dataset=own", f"dataset.path={tmp_path}/pairs.npz", "hydra.run.dir=run", "dataset.hidden=0"]
    law = ["symbolic=given", "symbolic.expression='2*exp(-r)/m1'"]
    code, said = command_line(*tiny, *own, *law)
    assert code == 0, said
    told, lines = read_run(tmp_path / "run").law, (tmp_path / "run/law/law.table").read_text().splitlines()
    assert told["particles"] == {"particle1": {"m": 1.0}, "particle2": {"m": 2.0}}
    low, high = told["distances"]
    assert 0 < low < 0.5 < 2.0 < high <= d.max() * (1 + 1e-6)  # read in single precision
    start = lines.index("particle1_particle2") + 3
    rows = np.array([line.split() for line in lines[start : start + 2000]], dtype=float)
    assert rows[[0, -1], 1] == pytest.approx([low / 2, high])
    assert rows[:, 3] == pytest.approx(3.0 * np.exp(-rows[:, 1]), rel=1e-4)
    assert rows[:, 2] == pytest.approx(3.0 * np.exp(-rows[:, 1]), rel=1e-4)
    assert "law_ase.py" in (tmp_path / "run/law/README.txt").read_text()


@pytest.mark.parametrize("kind", ["table", "arrays", "path"])
def test_tracks_are_handed_over_in_python(tmp_path: Path, kind: str):
    tracks(tmp_path / "there.npz")
    given: Any = tmp_path / "there.npz"
    if kind != "path":
        given = dict(np.load(given))
    if kind == "table":
        x = given["positions"]
        run, frame, particle = np.indices(x.shape[:3]).reshape(3, -1)
        columns = {"run": run, "particle": particle, "x": x[..., 0].ravel(), "y": x[..., 1].ravel()}
        given = pd.DataFrame(columns, index=pd.Index(frame, name="frame"))
    more = [*TINY, "dataset.time_step=0.05", "stages=[simulate]"]
    distil_tracks(given, tmp_path / "it's a run", more, quiet=True)
    data = read_run(tmp_path / "it's a run").data
    assert data["trajectories"] == 60 and data["particles"] == 3


def test_bad_file_is_named_before_anything_is_done(command_line, tmp_path: Path):
    np.savez(tmp_path / "tracks.npz", positions=np.full((30, 3, 2), np.nan))
    own = ["dataset=own", "dataset.path=tracks.npz", "dataset.time_step=0.05", "hydra.run.dir=run"]
    code, told = command_line(*TINY, *own)
    assert code == 2 and "tracks.npz" in told and "positions" in told and "nan" in told.lower()
    assert "Traceback" not in told and not (tmp_path / "run/status.json").exists()
