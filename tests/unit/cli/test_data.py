"""`gnn-distill-data` says what a file holds and what to type next."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from gnn_distill.cli.data import main


def spiral(path: Path, clock: str = "time", **changes: object) -> pd.DataFrame:
    """Four particles on circles of their own, 60 frames."""
    frame, particle = np.indices((60, 4)).reshape(2, -1)
    angle = 0.1 * frame * (1 + 0.3 * particle)
    table = pd.DataFrame({clock: frame if clock == "frame" else 0.1 * frame, "particle": particle})
    table = table.assign(x=np.cos(angle) + particle, y=np.sin(angle), ecc=np.sin(frame), **changes)
    table.to_csv(path, index=False)
    return table


def told(capsys: pytest.CaptureFixture, *arguments: str) -> tuple[int, str]:
    code = 0
    try:
        main(arguments)
    except SystemExit as stop:
        code = int(stop.code or 0)
    found = capsys.readouterr()
    return code, " ".join((found.out + found.err).split())


def test_a_good_file_is_described(tmp_path: Path, capsys: pytest.CaptureFixture):
    spiral(tmp_path / "t.csv", kind=np.tile(["a", "b"], 120))
    code, text = told(capsys, str(tmp_path / "t.csv"), "dataset.dynamics=second_order")
    assert code == 0
    for words in (
        "particles 4, of 2 kinds, in 2 dimensions",
        "runs 1, of 60 frames",
        "time 0 to 5.9 in steps of 0.1",
        "x y (positions), time, kind_a, kind_b",
        "columns left out ecc",
        "missing nothing",
        "second order: accelerations are to be explained",
        "accelerations are derived from positions",
        f"next gnn-distill dataset=own dataset.path={tmp_path}/t.csv dataset.dynamics=second_order",
    ):
        assert words in text, text


def test_gaps_are_counted(tmp_path: Path, capsys: pytest.CaptureFixture):
    table = spiral(tmp_path / "t.csv", "frame")
    lost = (table.frame.isin([20, 21]) & (table.particle == 1)) | ((table.frame > 50) & (table.particle == 2))
    table[~lost].to_csv(tmp_path / "t.csv", index=False)
    code, text = told(capsys, str(tmp_path / "t.csv"))
    assert code == 2 and "2 sightings (0.87 %) within tracks; 1 of 4 tracks come or go" in text
    assert "then gnn-distill dataset=own" in text and "dataset.time_step=TIME" in text
    code, text = told(
        capsys, str(tmp_path / "t.csv"), "dataset.time_step=0.1", "dataset.dynamics=second_order"
    )
    assert code == 0 and "sightings in frames of about 4 particles" in text
    assert "particles come and go: 229 sightings in 4 tracks, of 5 unbroken pieces" in text


def test_particles_of_an_array_with_gaps_are_counted(tmp_path: Path, capsys: pytest.CaptureFixture):
    x = spiral(tmp_path / "t.csv")[["x", "y"]].to_numpy().reshape(60, 4, 2)
    x[20:22, 1], x[50:, 2] = np.nan, np.nan
    np.save(tmp_path / "x.npy", x)
    code, text = told(
        capsys, str(tmp_path / "x.npy"), "dataset.time_step=0.1", "dataset.dynamics=second_order"
    )
    assert code == 0 and "particles 4, in 2 dimensions" in text and "runs 1, of 60 frames" in text
    assert "particles come and go: 228 sightings in 4 tracks, of 5 unbroken pieces" in text


def test_the_time_step_that_velocities_tell_is_proposed(tmp_path: Path, capsys: pytest.CaptureFixture):
    table = spiral(tmp_path / "t.csv", "frame")
    rate = 1 + 0.3 * table.particle
    v = {"vx": -rate * np.sin(0.1 * table.frame * rate), "vy": rate * np.cos(0.1 * table.frame * rate)}
    table.assign(**v).to_csv(tmp_path / "t.csv", index=False)
    code, text = told(capsys, str(tmp_path / "t.csv"))
    assert code == 2 and f"t.csv dataset.time_step=0.1{' error'}" in text


def test_what_cannot_be_read_is_an_error(tmp_path: Path, capsys: pytest.CaptureFixture):
    (tmp_path / "t.csv").write_text("a,b\n1,2\n")
    for arguments in ([str(tmp_path / "t.csv")], [str(tmp_path / "no.csv")], ["dataset.radius=-1", "x.csv"]):
        code, text = told(capsys, *arguments)
        assert code == 2 and text.startswith("error dataset."), text
    code, text = told(capsys, str(tmp_path / "t.csv"), "dataset.pth=1")
    assert code == 2 and "pth" in text and "Traceback" not in text
