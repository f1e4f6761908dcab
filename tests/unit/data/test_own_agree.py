"""Velocities in other units than positions are refused, by their factor."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from gnn_distill.data.own.agree import agreement
from gnn_distill.data.own.dataset import OwnData
from gnn_distill.data.own.describe import describe
from gnn_distill.errors import InputError

DT = 0.05


def springs(noise: float = 0.0) -> dict[str, np.ndarray]:
    """Six runs of four particles on springs to the origin, each component with a frequency of its own."""
    rng = np.random.default_rng(1)
    size, phase, omega = rng.uniform(0.5, 2, (3, 6, 1, 4, 2))
    angle = omega * DT * np.arange(60)[:, None, None] + phase
    x, v = size * np.cos(angle), -size * omega * np.sin(angle)
    return {
        "positions": x + noise * rng.standard_normal(x.shape),
        "velocities": v,
        "accelerations": -(omega**2) * x,
        "times": DT * np.arange(60),
    }


def load(path: Path, arrays: dict[str, np.ndarray], **options):
    np.savez(path / "t.npz", **arrays)
    return OwnData(str(path / "t.npz"), **options).load()


@pytest.mark.parametrize(
    ("divisor", "words"),
    [
        (20.4548, r"times 20.46 are .*CHARMM"),
        (0.1, r"times 0\.1 .*nm and Å"),
        (-1.0, "times -1 .*backwards"),
        (1.3, "times 1.3 are what"),
        (1 / DT, "times 20 are .*velocities per frame"),
    ],
)
def test_a_factor_between_velocities_and_positions_is_named(tmp_path: Path, divisor: float, words: str):
    arrays = springs(noise=1e-3)
    with pytest.raises(InputError, match=f"velocities {words}.*leave them out"):
        load(tmp_path, arrays | {"velocities": arrays["velocities"] / divisor})


def test_right_velocities_pass_and_noise_is_doubted(tmp_path: Path):
    good = springs()
    assert load(tmp_path, good).doubts == load(tmp_path, springs(noise=0.02)).doubts == ()
    moved = good | {"velocities": good["velocities"] + [3.0, 0.0]}  # a frame of reference that moves
    assert load(tmp_path, moved).doubts == ()
    rng = np.random.default_rng(0)
    noise = good | {"velocities": rng.standard_normal(good["velocities"].shape)}
    assert any("hardly go with the steps" in doubt for doubt in load(tmp_path, noise).doubts)
    units = good | {"accelerations": 5 * good["accelerations"]}
    assert any("times 0.2 are the change" in doubt for doubt in load(tmp_path, units).doubts)


@pytest.mark.parametrize("angle", [0.1, 0.5, 1.0])
def test_coarse_frames_are_no_factor(angle: float):
    t = angle * np.arange(200)[None, :, None, None] + np.random.default_rng(0).uniform(0, 6, (1, 1, 3, 2))
    found = agreement(np.cos(t), -np.sin(t), np.array([angle]))
    assert found is not None and not found.differs and found.factor == pytest.approx(1, abs=0.02)


def test_the_time_step_is_guessed_from_velocities(tmp_path: Path):
    arrays = springs() | {"frames": 10 * np.arange(60)}
    del arrays["times"], arrays["accelerations"]
    with pytest.raises(InputError, match=r"dataset.time_step=0.01; velocities .* say about 0.005"):
        load(tmp_path, arrays)
    assert load(tmp_path, arrays, time_step=DT / 10).frames > 0


def test_the_time_step_is_guessed_where_particles_come_and_go(tmp_path: Path):
    arrays = springs() | {"frames": 10 * np.arange(60)}
    del arrays["times"], arrays["accelerations"]
    arrays["positions"][0, 20:23, 1] = np.nan
    with pytest.raises(InputError, match=r"dataset.time_step=0.01; velocities .* say about 0.005"):
        load(tmp_path, arrays)
    frames, n = 40, 4
    t, k = 0.25 * np.arange(frames)[:, None], np.arange(n)
    frame, particle = np.indices((frames, n))
    columns = {"frame": frame, "particle": particle, "x": np.cos(t + k), "y": np.sin(t + k)}
    columns |= {"vx": -5 * np.sin(t + k), "vy": 5 * np.cos(t + k)}
    table = pd.DataFrame({name: column.reshape(-1) for name, column in columns.items()})
    table.drop(index=[45, 46, 90]).to_csv(tmp_path / "t.csv", index=False)
    with pytest.raises(InputError, match=r"dataset.time_step=0.01; velocities .* say about 0.05"):
        OwnData(str(tmp_path / "t.csv")).load()
    assert "dataset.time_step=0.05" in describe(OwnData(str(tmp_path / "t.csv"))).keys
