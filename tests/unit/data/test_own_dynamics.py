"""What tracks tell by themselves: of which order they are, diffusion, the window, the box."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from gnn_distill.data.own import dynamics
from gnn_distill.data.own.dataset import OwnData
from gnn_distill.data.own.derive import Differentiator
from gnn_distill.data.own.steps import estimates
from gnn_distill.data.own.window import Noise, candidates, choose
from gnn_distill.data.particles import ParticleData
from gnn_distill.errors import InputError


def pushed(x: np.ndarray, size: float = 2.5) -> np.ndarray:
    """Σ size e^(−d) Δ/d over all others, for positions [..., n, D]."""
    delta = x[..., :, None, :] - x[..., None, :, :]
    d = np.linalg.norm(delta, axis=-1, keepdims=True)
    return (size * np.exp(-d) * delta / np.where(d > 0, d, 1.0)).sum(-2)


def overdamped(
    seed: int, *, frames: int = 800, n: int = 6, dt: float = 0.01, k: float = 0.8, push: float = 2.5,
    diffusion: float = 0.07, scatter: float = 0.0, sims: int = 1
) -> np.ndarray:  # fmt: skip
    """Tracks [S, T, n, 2] of overdamped particles in a trap, each seen with an error."""
    rng = np.random.default_rng(seed)
    x, tracks = rng.normal(0, np.sqrt(diffusion / k) if k else 1, (sims, n, 2)), []
    for _ in range(frames):
        tracks.append(x)
        x = x + dt * (pushed(x, push) - k * x) + np.sqrt(2 * diffusion * dt) * rng.normal(size=x.shape)
    return np.stack(tracks, 1) + scatter * rng.normal(size=(sims, frames, n, 2))


def inertial(
    seed: int, *, frames: int = 120, n: int = 4, sims: int = 12, drag: float = 0.0, heat: float = 0.0,
    k: float = 1.2, dt: float = 0.03
) -> tuple[np.ndarray, np.ndarray]:  # fmt: skip
    """Tracks and true accelerations [S, T, n, 2] of particles with inertia in a trap, with a heat bath."""
    rng, fine = np.random.default_rng(seed), 10
    x, v = rng.normal(0, 1.2, (2, sims, n, 2))
    tracks, forces, h = [], [], dt / fine
    for step in range(frames * fine):
        a = pushed(x) - k * x - drag * v
        if step % fine == 0:
            tracks.append(x)
            forces.append(a)
        v = v + h / 2 * a
        x = x + h * v
        v = v + h / 2 * (pushed(x) - k * x - drag * v)
        v = v + np.sqrt(2 * drag * heat * h) * rng.normal(size=x.shape)
    return np.stack(tracks, 1), np.stack(forces, 1)


def flowing(seed: int, frames: int = 60, n: int = 6, sims: int = 10, dt: float = 0.03) -> np.ndarray:
    """Smooth tracks of first order, no noise."""
    x, tracks = np.random.default_rng(seed).normal(0, 1.2, (sims, n, 2)), []
    for _ in range(frames):
        tracks.append(x)
        for _ in range(4):
            half = x + dt / 8 * (pushed(x) - 0.3 * x)
            x = x + dt / 4 * (pushed(half) - 0.3 * half)
    return np.stack(tracks, 1)


def loaded(folder: Path, positions: np.ndarray, dt: float = 0.03, **options: object) -> ParticleData:
    np.savez(folder / "t.npz", positions=positions, dt=dt)
    return OwnData(str(folder / "t.npz"), **options).load()  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("tracks", "order", "said"),
    [
        (inertial(11)[0], 2, "unexplained"),
        (inertial(12, sims=2, frames=900, drag=1.5, heat=0.6)[0], 2, "unexplained"),
        (inertial(13)[0] + np.random.default_rng(1).normal(0, 3e-3, (12, 120, 4, 2)), 2, "unexplained"),
        (overdamped(14, dt=0.03), 1, "no memory"),
        (overdamped(15, dt=0.03, scatter=0.06), 1, "no memory"),
        (overdamped(16, dt=0.03, scatter=0.2, frames=3000), 1, "no memory"),
        (flowing(17), 1, "unexplained"),
    ],
    ids=["springs", "heat bath", "springs seen badly", "overdamped", "as much error", "more error", "flow"],
)
def test_the_order_of_motion_is_found_in_the_tracks(
    tmp_path: Path, tracks: np.ndarray, order: int, said: str
):
    data = loaded(tmp_path, tracks)
    assert data.order == order and said in data.notes[0] and data.notes[0].split()[0] in ("first", "second")
    assert (data.features[..., 2:4] == 0).all() == (order == 1)


def test_the_order_is_found_where_kinds_without_labels_obey_laws_of_their_own(tmp_path: Path):
    """One law for all explains nothing of what half of the particles do."""
    rng, sign = np.random.default_rng(20), np.where(np.arange(24) % 2, 1.0, -1.0)[:, None]
    x, tracks = rng.uniform(-2.5, 2.5, (8, 24, 2)), []
    for _ in range(50):
        tracks.append(x)
        for _ in range(4):
            x = x + 0.001 * sign * pushed(x)
    data = loaded(tmp_path, np.stack(tracks, 1), dt=0.004, radius=8.0)
    assert data.order == 1 and "unexplained" in data.notes[0]


@pytest.mark.parametrize(
    ("runs", "rest", "order"), [(1, 0.005, None), (1, 0.04, None), (10, 0.005, None), (10, 0.04, 1)]
)
def test_runs_that_come_to_rest_do_not_tell_their_order(
    tmp_path, monkeypatch, runs: int, rest: float, order: int | None
):
    """Velocities are functions of positions then, whatever made them."""
    left = iter([0.0005, rest])  # as of eight animals that align, or of people who head somewhere
    monkeypatch.setattr(dynamics, "_unexplained", lambda *args, **more: next(left))
    if order is None:
        with pytest.raises(InputError, match=r"dataset.dynamics.*runs that come to rest"):
            loaded(tmp_path, flowing(17, sims=runs))
    else:
        assert loaded(tmp_path, flowing(17, sims=runs)).order == order


def circles() -> np.ndarray:
    angle = 0.05 * np.arange(200)[:, None] + np.array([0, 2.1, 4.2])
    return np.stack([np.cos(angle), np.sin(angle)], -1)


@pytest.mark.parametrize(
    ("tracks", "seen"),
    [
        (circles(), "unexplained"),  # velocity and acceleration are both functions of the position
        (np.random.default_rng(3).normal(size=(400, 4, 2)), "only scatter.*more often"),
        (inertial(18, sims=2, frames=900, drag=14.0, heat=1.0)[0], "diffusion makes"),  # no inertia within dt
    ],
    ids=["circles", "white noise", "drag as fast as frames"],
)
def test_what_decides_nothing_is_refused_with_both_keys(tmp_path: Path, tracks: np.ndarray, seen: str):
    with pytest.raises(InputError, match=rf"dataset.dynamics.*{seen}.*second_order.*first_order"):
        loaded(tmp_path, tracks)
    assert loaded(tmp_path, tracks, dynamics="first_order").order == 1
    assert loaded(tmp_path, tracks, dynamics="second_order").order == 2


def test_velocities_in_the_file_mean_inertia_unless_told_otherwise(tmp_path: Path):
    x = flowing(19)
    v = pushed(x) - 0.3 * x
    np.savez(tmp_path / "t.npz", positions=x, velocities=v, dt=0.03)
    assert OwnData(str(tmp_path / "t.npz")).load().order == 2
    told = OwnData(str(tmp_path / "t.npz"), dynamics="first_order").load()
    assert told.order == 1 and (told.accelerations == v.reshape(-1, 6, 2).astype("f4")).all()
    assert (told.features[..., 2:4] == 0).all()


@pytest.mark.parametrize("scatter", [0.0, 0.04])
def test_intervals_hold_diffusion_and_localisation_noise(scatter: float):
    held = {"diffusion": 0, "localisation_noise": 0}
    for seed in range(40):
        tracks = overdamped(200 + seed, frames=300, k=1.5, diffusion=0.09, scatter=scatter)
        found = estimates(tracks, np.array([0.01]))
        for name, true in (("diffusion", 0.09), ("localisation_noise", scatter)):
            _, low, high = found[name]
            held[name] += low <= true <= high
    assert min(held.values()) >= 34, held


def test_features_do_not_share_the_localisation_noise_of_the_labels(tmp_path: Path):
    options = {"n": 4, "k": 2.0, "push": 0.0, "diffusion": 0.1, "frames": 6000}
    tracks = overdamped(31, scatter=0.045, **options)  # as large as a step

    def stiffness(x: np.ndarray, velocity: np.ndarray) -> float:
        return -float((x * velocity).sum() / (x * x).sum())

    plain = stiffness(tracks[:, :-1], np.diff(tracks, axis=1) / 0.01)
    data = loaded(tmp_path, tracks, 0.01)
    assert plain > 4.0  # instead of 2
    assert stiffness(data.features[..., :2], data.accelerations) == pytest.approx(2.0, rel=0.15)
    assert any("the one before" in note for note in data.notes)
    stochastic = np.sqrt(2 * 0.1 / 0.01 + 2 * 0.045**2 / 0.01**2)
    assert data.noise == pytest.approx(stochastic, rel=0.03)


@pytest.mark.parametrize("derivative", [1, 2])
@pytest.mark.parametrize("window", [7, 15, 41])
def test_labels_are_accelerations_averaged_with_the_kernel(derivative: int, window: int):
    fit, omega = Differentiator(window, 4), 1.5 / window
    k = np.arange(window) - window // 2
    x = np.sin(omega * k + 0.4)
    a = -(omega**2) * x if derivative == 2 else omega * np.cos(omega * k + 0.4)
    label, kernel = (fit.weights(derivative) * x).sum(), np.array(fit.kernel(derivative))
    assert kernel.sum() == pytest.approx(1, abs=1e-12) and len(kernel) == window
    assert (kernel * a).sum() == pytest.approx(label, rel=1e-5)
    assert abs(a[window // 2] / label - 1) > 1e-4  # which the acceleration of the frame itself is not


@pytest.mark.parametrize("share", [0.0, 1e-4, 1e-3, 1e-2])
def test_the_window_is_about_the_best_in_hindsight(tmp_path: Path, share: float):
    tracks, true = inertial(41, sims=10, frames=160)
    tracks = tracks + np.random.default_rng(2).normal(0, share, tracks.shape)  # particles are about 1 apart
    dt = np.full(10, 0.03)

    def error(window: int) -> float:
        inner = slice(window // 2, 160 - window // 2)
        return float(np.sqrt(((Differentiator(window, 4)(tracks, dt, 2) - true)[:, inner] ** 2).mean()))

    window = choose(tracks, 2, 4, 40, 2)
    assert error(window) < 1.5 * min(error(w) for w in candidates(7, 40))
    assert window == 7 or share > 0
    data = loaded(tmp_path, tracks)
    assert f"a window of {window} frames, chosen by the data" in data.notes[1] and len(data.kernel) == window
    if share == 1e-2:
        assert data.noise == pytest.approx(error(window), rel=0.5)


def test_scatter_of_positions_and_random_forces_are_told_apart():
    tracks, _ = inertial(51, sims=2, frames=1500, drag=1.0, heat=0.8)
    noise = Noise.of(tracks + np.random.default_rng(4).normal(0, 1e-3, tracks.shape), 4, 2)
    assert noise.scatter == pytest.approx(1e-3, rel=0.15)
    assert noise.kicks == pytest.approx(2 * 1.0 * 0.8 * 0.03**3, rel=0.15)


def test_random_forces_are_measured_and_scatter_is_not_taken_for_them(tmp_path: Path):
    heated, _ = inertial(52, sims=2, frames=1500, drag=1.0, heat=0.8)
    still, _ = inertial(53, sims=2, frames=1500)
    scattered = still + np.random.default_rng(6).normal(0, 1e-3, still.shape)
    found = [loaded(tmp_path, x, dynamics="second_order").estimates for x in (heated, scattered, still)]
    assert [list(one) for one in found] == [["velocity_diffusion"], [], []]
    assert found[0]["velocity_diffusion"][0] == pytest.approx(1.0 * 0.8, rel=0.15)


def test_a_recording_is_cut_into_blocks_of_several_windows(tmp_path: Path):
    tracks, _ = inertial(61, sims=1, frames=2000, n=3)
    noisy = tracks + np.random.default_rng(5).normal(0, 5e-3, tracks.shape)
    for x, least in ((tracks, 20), (noisy, 6)):
        data = loaded(tmp_path, x)
        assert least <= data.blocks <= 20 and data.frames >= 4 * len(data.kernel)


def test_tracks_go_on_across_the_faces_of_a_box(tmp_path: Path):
    rng, t = np.random.default_rng(71), 0.05 * np.arange(90)[:, None, None]
    free = rng.uniform(0, 4, (3, 1, 5, 2)) + rng.normal(0, 1, (3, 1, 5, 2)) * t
    box = [4.0, None]
    inside = free.copy()
    inside[..., 0] %= 4.0
    options = {"dynamics": "second_order", "radius": 1.1}
    plain = loaded(tmp_path, free, 0.05, **options)
    data = loaded(tmp_path, inside, 0.05, box=box, **options)
    np.testing.assert_allclose(data.features[..., 2:4], plain.features[..., 2:4], atol=1e-5)
    assert np.nanmax(np.abs(data.accelerations)) < 1e-8
    assert np.ptp(data.features[..., 0]) <= 4.0 < np.ptp(plain.features[..., 0])
    seen, x = data.sightings, data.features[0]
    delta = data.columns.separation(x[:, None], x[None])
    near = (np.linalg.norm(delta, axis=-1) < 1.1) & (seen.frame[:, None] == seen.frame)
    assert (near.sum(1) - 1 == seen.degree).all() and seen.degree.any()
    assert all(near[k, seen.senders[seen.first[k] : seen.last[k]]].all() for k in range(len(x)))
    assert data.box == (4.0, None)
    with pytest.raises(InputError, match="dataset.radius = 2.1.*2, is the most"):
        loaded(tmp_path, inside, 0.05, box=box, radius=2.1)


def test_particles_that_head_somewhere_are_overdamped_though_places_do_not_tell_it(tmp_path: Path):
    rng, n, frames, dt = np.random.default_rng(8), 6, 150, 0.04
    rows = []
    for run in range(6):
        x, angle = rng.normal(0, 1.5, (n, 2)), rng.uniform(-np.pi, np.pi, n)
        for k in range(frames):
            rows += [(run, k * dt, i, *x[i], angle[i]) for i in range(n)]
            ahead = np.stack([np.cos(angle), np.sin(angle)], -1)
            x, angle = x + dt * (0.9 * ahead + pushed(x, 0.6)), angle + 0.1 * rng.normal(size=n)
    table = pd.DataFrame(rows, columns=["run", "t", "id", "x", "y", "theta"])
    table.to_csv(tmp_path / "t.csv", index=False)
    assert OwnData(str(tmp_path / "t.csv")).load().order == 1
    table.drop(columns="theta").to_csv(tmp_path / "blind.csv", index=False)
    with pytest.raises(InputError, match="dynamics"):
        OwnData(str(tmp_path / "blind.csv")).load()


def test_laws_of_pairs_of_kinds_tell_the_order(tmp_path: Path):
    """What one kind does depends on which kind it does it to: 1 and −2 to its own, −1.5 and 0.5 across."""
    rng = np.random.default_rng(23)
    kind, x = rng.integers(0, 2, (20, 8)), 1.5 * rng.normal(size=(20, 8, 2))
    by = np.array([[1.0, -1.5], [0.5, -2.0]])[kind[:, :, None], kind[:, None]]
    tracks = []
    for _ in range(60):
        tracks.append(x)
        for _ in range(4):
            delta = x[:, :, None] - x[:, None]
            force = by * np.exp(-np.linalg.norm(delta, axis=-1) / 0.8)
            x = x + 0.005 * (np.einsum("sij,sijk->sik", force, delta) - 0.2 * x)
    found = np.stack(tracks, 1)
    run, frame, particle = (grid.ravel() for grid in np.indices(found.shape[:3]))
    table = pd.DataFrame({"run": run, "t": 0.02 * frame, "id": particle})
    table[["x", "y"]] = found.reshape(-1, 2)
    table["type"] = np.where(np.broadcast_to(kind[:, None], found.shape[:3]).ravel() > 0, "a", "b")
    table.to_csv(tmp_path / "t.csv", index=False)
    data = OwnData(str(tmp_path / "t.csv")).load()
    (said,) = [note for note in data.notes if "first order" in note]
    assert data.order == 1 and float(said.split(" leave ")[1].split(" %")[0]) < 1


def test_few_frames_with_columns_are_enough_for_fewer_terms():
    rng, frames = np.random.default_rng(4), 60
    x = rng.normal(size=(frames, 4, 2))
    kinds = np.broadcast_to(np.array([[0, 1], [1, 0], [1, 1], [0, 0]], dtype=float), (frames, 4, 2))
    delta = x[:, :, None] - x[:, None]
    y = delta.sum(2)
    parts = x, np.zeros_like(x), y, np.zeros((frames, 4)), np.ones((frames, 4)), kinds
    train, all_ = np.arange(frames) % 2 == 0, np.arange(4)
    left = dynamics._least(parts, np.ones((frames, 4), dtype=bool), all_, train, False, None, False)
    assert left is not None and left < 0.05
