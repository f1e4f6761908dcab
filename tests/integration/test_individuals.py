"""Masses that a file does not hold, by the command, from tracks to the page."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from tests.conftest import TINY

MASSES = {"sun": 2.0, "earth": 0.5, "moon": 0.2}
RUNS, FRAMES, STEP, INNER = 20, 60, 0.02, 20


def attracted(x: np.ndarray) -> np.ndarray:
    """Accelerations [S, n, D] of bodies that fall towards each other."""
    delta = x[:, :, None] - x[:, None]
    d = np.linalg.norm(delta, axis=-1) + np.eye(len(MASSES))
    return -np.einsum("j,sijk,sij->sik", list(MASSES.values()), delta, d**-3)


def tracks(path: Path) -> Path:
    """Leapfrog on far finer steps than those that are written."""
    rng = np.random.default_rng(3)
    x, v = rng.normal(size=(2, RUNS, len(MASSES), 2))
    x = 2.0 * np.array([[1.0, 0.0], [-0.5, 0.8], [-0.5, -0.8]]) + 0.2 * x
    rows, h = [], STEP / INNER
    for frame in range(FRAMES):
        for run in range(RUNS):
            for name, place, speed in zip(MASSES, x[run], v[run], strict=True):
                rows.append((run, STEP * frame, name, *place, *speed))
        for _ in range(INNER):
            v = v + h / 2 * attracted(x)
            x = x + h * v
            v = v + h / 2 * attracted(x)
    pd.DataFrame(rows, columns=["run", "t", "id", "x", "y", "vx", "vy"]).to_csv(path, index=False)
    return path


def test_masses_are_found_with_the_law_and_stand_on_the_page(tmp_path, command_line):
    path = tracks(tmp_path / "bodies.csv")
    small = [*TINY, "profile.steps_per_epoch=50"]
    code, told = command_line("dataset=own", f"dataset.path={path}", *small, "hydra.run.dir=run")
    assert code == 0, told
    law = json.loads((Path("run") / "law.json").read_text())
    assert law["hidden_mode"] == "source" and law["hidden_names"] == ["s2"]
    assert {*law["hidden"]} == {*MASSES} and law["names"]["u"] == "inverse square"
    for name, mass in MASSES.items():
        assert law["hidden"][name]["source"][0] == pytest.approx(mass / MASSES["sun"], rel=0.01)
        assert law["hidden"][name]["sightings"] > 500
    page = (Path("run") / "report.html").read_text()
    assert "they fall alike" in page and "moon" in page
    assert (Path("run") / "figures/individuals.png").exists()
