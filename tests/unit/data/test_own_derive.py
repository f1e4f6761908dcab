"""What is derived from positions, how well, and blocks of time that do not leak."""

from pathlib import Path

import numpy as np
import pytest

from gnn_distill.data.module import NBodyDataModule
from gnn_distill.data.own.dataset import OwnData
from gnn_distill.data.own.derive import Differentiator, blocks_of
from gnn_distill.data.own.window import choose
from tests.unit.data.test_own import N, S, T, oscillators


def circular_orbit(dt: float, frames: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Two equal masses on a circle of radius 1 at ω = 2: positions, velocities, accelerations [T, 2, 2]."""
    angle = 2 * dt * np.arange(frames)[:, None] + np.array([0, np.pi])
    x = np.stack([np.cos(angle), np.sin(angle)], -1)
    return x, 2 * np.stack([-np.sin(angle), np.cos(angle)], -1), -4 * x


def test_a_circular_orbit_is_differentiated_to_a_part_in_a_million(tmp_path: Path):
    x, v, a = circular_orbit(dt=0.01, frames=400)
    np.savez(tmp_path / "orbit.npz", positions=x)
    data = OwnData(str(tmp_path / "orbit.npz"), time_step=0.01, blocks=3, dynamics="second_order").load()
    kept = 3 + blocks_of(394, 3, 7, 1).reshape(-1)
    np.testing.assert_allclose(data.features[..., :2], x[kept], rtol=1e-6, atol=1e-6)
    np.testing.assert_allclose(data.features[..., 2:4], v[kept], atol=2e-6)
    np.testing.assert_allclose(data.accelerations, a[kept], atol=4e-6)


def test_accelerations_converge_with_the_fourth_power_of_the_time_step():
    def error(dt: float) -> float:
        x, _, a = circular_orbit(dt, 60)
        fit = Differentiator(7, 4)(x[None], np.array([dt]), 2)[0]
        return float(np.abs(fit - a)[3:-3].max())

    assert error(0.1) / error(0.05) == pytest.approx(16, rel=0.1)


def test_the_fit_is_worse_at_the_ends_which_is_why_they_are_dropped(tmp_path: Path):
    arrays = oscillators(dt=0.1)
    np.savez(tmp_path / "t.npz", positions=arrays["positions"], times=arrays["times"])
    true = arrays["accelerations"]

    def worst(drop: bool) -> tuple[int, float]:
        data = OwnData(str(tmp_path / "t.npz"), dynamics="second_order", drop_edges=drop).load()
        expected = true[:, 3:-3] if drop else true
        return data.frames, np.abs(data.accelerations - expected.reshape(-1, N, 2)).max()

    (kept, inside), (every, outside) = worst(True), worst(False)
    assert (kept, every) == (T - 6, T)
    assert outside > 10 * inside


def test_given_velocities_are_differentiated_once_instead_of_positions_twice(tmp_path: Path):
    arrays = oscillators()
    arrays["positions"] = arrays["positions"] + np.random.default_rng(1).normal(0, 1e-3, (S, T, N, 2))
    np.savez(tmp_path / "t.npz", **{k: arrays[k] for k in ("positions", "velocities", "times")})
    data = OwnData(str(tmp_path / "t.npz")).load()
    true = arrays["accelerations"][:, 3:-3].reshape(-1, N, 2)
    np.testing.assert_allclose(data.accelerations, true, atol=1e-4)
    assert (data.features[..., 2:4] == arrays["velocities"][:, 3:-3].reshape(-1, N, 2).astype("f4")).all()


def test_the_error_from_noise_is_foretold(tmp_path: Path, caplog):
    arrays = oscillators(frames=400)
    noisy = arrays["positions"] + np.random.default_rng(1).normal(0, 1e-4, (S, 400, N, 2))
    fit, dt = Differentiator(9, 3), np.full(S, 0.01)
    true = (fit(noisy, dt, 2) - arrays["accelerations"])[:, 4:-4]
    assert fit.error(noisy, dt, 2) == pytest.approx(np.sqrt((true**2).mean()), rel=0.05)

    np.savez(tmp_path / "t.npz", positions=noisy, dt=0.01)
    OwnData(str(tmp_path / "t.npz"), window=9, order=3).load()
    text = caplog.text
    assert "accelerations are derived from positions" in text and "window of 9 frames" in text
    assert "noise/dt²" in text and f"about {fit.error(noisy, dt, 2):.2g} in them" in text


def test_a_wider_window_is_named_where_it_helps(tmp_path: Path):
    arrays, rng = oscillators(frames=400), np.random.default_rng(1)
    noisy = arrays["positions"] + rng.normal(0, 1e-3, (S, 400, N, 2))
    np.savez(tmp_path / "t.npz", positions=noisy, dt=0.01)
    doubts = OwnData(str(tmp_path / "t.npz"), dynamics="second_order", window=7).load().doubts
    window = int(doubts[0].partition("dataset.window=")[2].split()[0])
    assert "in the accelerations derived from them" in doubts[0] and window > 7

    better = OwnData(str(tmp_path / "t.npz"), dynamics="second_order", window=window).load()
    half = window // 2
    true = arrays["accelerations"][:, half:-half].reshape(-1, N, 2)
    error = np.sqrt(((better.accelerations - true) ** 2).mean() / (true**2).mean())
    assert error < 0.1 and not any("accelerations" in doubt for doubt in better.doubts)


def test_noise_that_no_window_averages_out_is_said_to_be_so(tmp_path: Path):
    noisy = oscillators(frames=60)["positions"] + np.random.default_rng(1).normal(0, 0.1, (S, 60, N, 2))
    np.savez(tmp_path / "t.npz", positions=noisy, dt=0.01)
    typed = {"dynamics": "second_order", "window": 7}
    assert "still much; track more exactly" in OwnData(str(tmp_path / "t.npz"), **typed).load().doubts[0]
    chosen = OwnData(str(tmp_path / "t.npz"), dynamics="second_order").load().doubts[0]
    assert "the window with the least error; track more exactly" in chosen
    short = {"positions": noisy[:, :8], "dt": 0.01}
    np.savez(tmp_path / "t.npz", **short)
    assert (
        "or longer and with a wider" in OwnData(str(tmp_path / "t.npz"), blocks=1, **typed).load().doubts[0]
    )


def test_every_thins_after_derivation(tmp_path: Path):
    np.savez(tmp_path / "t.npz", **{k: oscillators()[k] for k in ("positions", "times")})
    dense, thin = (OwnData(str(tmp_path / "t.npz"), dynamics="second_order", every=k).load() for k in (1, 5))
    assert (dense.frames, thin.frames) == (24, 5)
    assert (thin.accelerations == dense.accelerations.reshape(S, 24, N, 2)[:, ::5].reshape(-1, N, 2)).all()


def test_blocks_are_contiguous_equal_and_apart():
    blocks = blocks_of(100, blocks=4, gap=7, every=1)
    assert blocks.shape == (4, 19)
    assert (np.diff(blocks) == 1).all() and (blocks[1:, 0] - blocks[:-1, -1] == 8).all()
    assert blocks[-1, -1] < 100
    assert blocks_of(100, 4, 7, every=6)[1].tolist() == [26, 32, 38, 44]


def test_no_frame_enters_the_labels_of_two_blocks(tmp_path: Path):
    x, _, _ = circular_orbit(dt=0.05, frames=120)

    def labels(positions: np.ndarray) -> np.ndarray:
        np.savez(tmp_path / "t.npz", positions=positions)
        options = {"dynamics": "second_order", "window": 7}
        data = OwnData(str(tmp_path / "t.npz"), time_step=0.05, blocks=5, **options).load()
        return data.accelerations.reshape(5, data.frames, 2, 2)

    clean = labels(x)
    for frame in range(len(x)):
        disturbed = x.copy()
        disturbed[frame] += 1.0
        assert (np.abs(labels(disturbed) - clean) > 1e-3).any((1, 2, 3)).sum() <= 1, frame


@pytest.mark.parametrize(("sims", "units"), [(1, 20), (2, 40), (3, 3)])
def test_few_trajectories_are_cut_so_that_a_split_has_units(tmp_path: Path, sims: int, units: int):
    np.savez(tmp_path / "t.npz", **oscillators(sims=sims, frames=65))
    data = OwnData(str(tmp_path / "t.npz")).load()
    assert len(data.features) / data.frames == units
    module = NBodyDataModule(data, "trajectories", batch_size=2, seed=0)
    assert min(map(len, (module.train, module.validation, module.test))) >= data.frames


def turns(rng: np.random.Generator, width: float) -> np.ndarray:
    """Tracks [300, 54] whose velocity changes once, within so many frames."""
    hit = rng.uniform(0, 54, (300, 1))
    return rng.normal(size=(300, 1)) * width * np.logaddexp(0, (np.arange(54.0) - hit) / width)


@pytest.mark.parametrize("slow", [2.0, 5.0])
def test_turns_that_no_window_resolves_do_not_ask_for_a_wide_one(slow: float):
    rng = np.random.default_rng(11)
    x = (turns(rng, 0.3) + turns(rng, slow))[:, :, None, None]
    assert choose(x, 2, 4, 37, 2) <= 11
    assert choose(x + 0.2 * rng.normal(size=x.shape), 2, 4, 37, 2) > 11  # noise does
