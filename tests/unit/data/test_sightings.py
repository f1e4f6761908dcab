"""Particles that come and go: pieces of tracks, neighbours, and batches drawn over receivers."""

import tracemalloc
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from gnn_distill.data.draws import Share
from gnn_distill.data.module import Batches, NBodyDataModule
from gnn_distill.data.own import neighbours
from gnn_distill.data.own.dataset import OwnData
from gnn_distill.data.own.derive import Differentiator
from gnn_distill.data.own.neighbours import nearest, together, within
from gnn_distill.data.own.pieces import Pieces
from gnn_distill.data.particles import ParticleData
from gnn_distill.data.receivers import Receivers, Table
from gnn_distill.data.sightings import Sightings
from gnn_distill.distil.motion.segments import motion
from gnn_distill.errors import InputError
from gnn_distill.model.network import ParticleGNN
from gnn_distill.read.pairs import pair_functions
from gnn_distill.read.record import Reading, record
from gnn_distill.train.lit import Augmentation, DistilModule
from gnn_distill.train.optim import Optimisation
from gnn_distill.train.penalties import NoPenalty

RUNS, FRAMES, N = 8, 30, 5


def equal_frames(seed: int = 0) -> ParticleData:
    """Frames that all hold the same particles."""
    x = np.random.default_rng(seed).normal(size=(RUNS * FRAMES, N, 6)).astype(np.float32)
    x[..., 5] = np.exp(x[..., 5])
    a = np.random.default_rng(seed + 1).normal(size=(RUNS * FRAMES, N, 2)).astype(np.float32)
    return ParticleData(x, a, FRAMES, softening=0.0)


def as_sightings(data: ParticleData) -> ParticleData:
    """The same as a table."""
    run, particle, frame = (part.reshape(-1) for part in np.indices((RUNS, N, FRAMES)))
    x, a = (
        part.reshape(RUNS, FRAMES, N, -1)[run, frame, particle][None]
        for part in (data.features, data.accelerations)
    )
    number = run * FRAMES + frame
    seen = Sightings(run, number, run * N + particle, *together(number))
    return replace(data, features=x, accelerations=a, sightings=seen)


def network(data: ParticleData) -> ParticleGNN:
    torch.manual_seed(0)
    model = ParticleGNN(2, 2, width=16, layers=2, basis="isotropic", scale_output=True)
    model.calibrate(torch.from_numpy(data.features), torch.from_numpy(data.accelerations))
    return model.eval()


def by_frame(rows: torch.Tensor, flat: Receivers) -> torch.Tensor:
    """Values of receivers [R, …] in the order of whole frames [G, n, …]."""
    order = np.lexsort((flat.table.piece[flat.index].numpy(), flat.table.frame[flat.index].numpy()))
    return rows[torch.from_numpy(order)].unflatten(0, (-1, N))


def test_a_table_of_equal_frames_gives_the_numbers_of_whole_frames():
    data = equal_frames()
    whole, flat = (NBodyDataModule(d, "trajectories", 64, seed=3) for d in (data, as_sightings(data)))
    model = network(data)
    for name in ("train", "validation", "test"):
        dense, rows = getattr(whole, name), getattr(flat, name)
        order = np.lexsort((rows.table.piece[rows.index].numpy(), rows.table.frame[rows.index].numpy()))
        order_of_runs = torch.argsort(dense.trajectory, stable=True)
        dense = dense[order_of_runs]
        rows = rows[torch.from_numpy(order)]
        assert torch.equal(rows.accelerations[0].unflatten(0, (-1, N)), dense.accelerations)
        one, two = model.on(dense)[0], model.on(rows)[0][0].unflatten(0, (-1, N))
        torch.testing.assert_close(one, two)
        lit = DistilModule(model, NoPenalty(), Optimisation(), Augmentation(scale=0.0))
        losses = [
            lit._terms("val", model.on(batch)[0], model.on(batch)[1], batch)[0] / batch.frames
            for batch in (dense, rows.gathered)
        ]
        torch.testing.assert_close(*losses)
        again = ParticleGNN(2, 2, width=16, layers=2, basis="isotropic", scale_output=True)
        again.calibrate(rows.features, rows.accelerations, rows.graph)
        other = ParticleGNN(2, 2, width=16, layers=2, basis="isotropic", scale_output=True)
        other.calibrate(dense.features, dense.accelerations)
        for key, value in other.state_dict().items():
            if "frame" in key or key == "output_scale":
                torch.testing.assert_close(again.state_dict()[key], value)


@pytest.mark.parametrize("kernel", [(), (0.25, 0.5, 0.25)])
def test_what_a_law_is_fitted_to_is_the_same(kernel: tuple[float, ...]):
    data = equal_frames()
    whole, flat = (NBodyDataModule(d, "trajectories", 64, seed=3) for d in (data, as_sightings(data)))
    model = network(data)
    found = []
    for part in (
        motion(whole.test, model.edges(N), kernel, edges=10**9),
        motion(flat.test, None, kernel, edges=10**9),
    ):
        f, own = pair_functions(model, part.graphs).functions, pair_functions(model, part.graphs).own
        pairs = part.pairs(f["u"][:, None] * part.directions["u"])
        found.append(np.concatenate([part.labels, pairs, part.averaged(own)], 1))
    one, two = (rows[np.lexsort(rows[:, :2].T)] for rows in found)
    _, at, there = np.intersect1d(one[:, 0], two[:, 0], return_indices=True)
    assert len(at) >= 0.7 * len(one)  # segments end at other frames
    np.testing.assert_allclose(one[at], two[there], rtol=1e-5, atol=1e-6)


def test_a_recording_of_receivers_is_that_of_whole_frames():
    data = equal_frames()
    whole, flat = (NBodyDataModule(d, "trajectories", 64, seed=3) for d in (data, as_sightings(data)))
    model = network(data)
    one, two = (record(model, d.test, None, Reading("pair")) for d in (whole, flat))
    assert one.mae == pytest.approx(two.mae, rel=1e-6)
    assert len(one.edges.r) == len(two.edges.r) == len(two.trajectory)
    first, second = (np.lexsort((r.pullback[:, 0], r.edges.r)) for r in (one, two))
    np.testing.assert_allclose(one.edges.r[first], two.edges.r[second])
    np.testing.assert_allclose(one.pullback[first], two.pullback[second], rtol=1e-4, atol=1e-6)
    here = two.sample.edges
    assert (np.diff(here) > 0).all() and here.max() < len(two.edges.r)
    np.testing.assert_allclose(two.parts["function_u"], _along(two.pullback, two.edges)[here], atol=1e-4)


def _along(c, edges):
    """What of contributions without f_w points along Δ/d: solved for f_u in the plane of u and w."""
    u = edges.delta / np.linalg.norm(edges.delta, axis=1)[:, None]
    w = edges.relative
    cross = u[:, 0] * w[:, 1] - u[:, 1] * w[:, 0]
    return (c[:, 0] * w[:, 1] - c[:, 1] * w[:, 0]) / cross


def test_every_process_takes_its_share_of_a_batch_and_senders_are_of_the_same_frame():
    data = as_sightings(equal_frames())
    train = NBodyDataModule(data, "trajectories", 64, seed=3).train
    assert isinstance(train, Receivers)
    whole = list(Batches(train, 64, 5, lambda: 2))
    halves = [list(Batches(train, 64, 5, lambda: 2, Share(rank, 2))) for rank in range(2)]
    for batch, one, two in zip(whole, *halves, strict=True):
        assert set(batch.index.tolist()) == {*one.index.tolist(), *two.index.tolist()}
        assert len(one) == len(two) == 32
        receiver, sender, nodes = batch.graph[:3]
        frame = batch.table.frame
        assert nodes == 64 and (torch.bincount(receiver) == N - 1).all()
        rows = (batch.features[0][:, None] == data_rows(train, batch, sender)[None, :1]).all(-1)
        assert rows.any()
        assert frame is train.table.frame


def data_rows(train: Receivers, batch: Receivers, sender: torch.Tensor) -> torch.Tensor:
    """Features of the first sender, as the table has them."""
    table = train.table
    first = int(batch.index[0])
    others = [r for r in table.senders[table.first[first] : table.last[first]].tolist() if r != first]
    assert all(table.frame[r] == table.frame[first] for r in others)
    assert torch.equal(batch.features[0][sender[: N - 1]], table.features[others])
    return table.features[others]


def test_no_frame_is_in_two_parts_of_the_split():
    data = as_sightings(equal_frames())
    parts = NBodyDataModule(data, "trajectories", 64, seed=3)
    frames = [
        set(part.table.frame[part.index].tolist()) for part in (parts.train, parts.validation, parts.test)
    ]
    assert sum(map(len, frames)) == len(set.union(*frames)) == RUNS * FRAMES


@pytest.mark.parametrize("box", [None, (4.0, None, 3.0)])
def test_neighbours_are_those_of_all_distances(box):
    rng = np.random.default_rng(1)
    frame = np.sort(rng.integers(0, 6, 300))
    x = rng.uniform(-3, 5, (300, 3)) if box is None else rng.uniform(-1, 3, (300, 3))
    delta = x[:, None] - x[None]
    for k, edge in enumerate(box or ()):
        if edge:
            delta[..., k] -= edge * np.round(delta[..., k] / edge)
    distance = np.linalg.norm(delta, axis=-1)
    distance[(frame[:, None] != frame) | np.eye(300, dtype=bool)] = np.inf
    first, last, senders, shared, _ = within(frame, x, 1.4, box)
    assert not shared and (last - first).sum() == (distance < 1.4).sum() > 100
    for k in range(300):
        assert set(senders[first[k] : last[k]]) == set(np.flatnonzero(distance[k] < 1.4))
    near = nearest(frame, x, 4, box, np.arange(0, 300, 3))
    for row, found in zip(range(0, 300, 3), near, strict=True):
        best = np.argsort(distance[row])[: min(4, (frame == frame[row]).sum() - 1)]
        assert found[: len(best)].tolist() == best.tolist() and (found[len(best) :] == -1).all()


def test_many_pairs_lie_on_disk_and_give_the_same_batches(monkeypatch):
    rng = np.random.default_rng(3)
    frame, x = np.repeat(np.arange(40), 10), rng.random((400, 2)) * 3
    features = np.concatenate([x, rng.normal(size=(400, 4))], 1)[None].astype("f4")
    batches = []
    for most in (neighbours.IN_MEMORY, 100):
        monkeypatch.setattr(neighbours, "IN_MEMORY", most)
        company = within(frame, x, 1.2)
        assert isinstance(company[2], np.memmap) is (most == 100)
        seen = Sightings(frame, frame, np.arange(400), *company)
        data = ParticleData(features, features[..., :2].copy(), 1, softening=0.0, sightings=seen)
        batches.append(Receivers(Table.of(data), torch.arange(0, 400, 7)).gathered)
    one, two = batches
    assert len(one.graph.receiver) > 100 and (one.features == two.features).all()
    assert all(
        (a == b) if isinstance(a, int) else (a == b).all() for a, b in zip(one.graph, two.graph, strict=True)
    )


def test_no_neighbours_at_all_are_refused():
    with pytest.raises(InputError, match="dataset.radius = 0.1.*no two particles"):
        within(np.zeros(4, dtype=int), np.arange(8.0).reshape(4, 2), 0.1)


def test_filters_run_along_each_piece():
    rng = np.random.default_rng(2)
    lengths, dt = [40, 3, 9, 1, 25], np.array([0.1, 0.2, 0.1, 0.3, 0.5])
    pieces = Pieces(np.repeat(np.arange(5), lengths), dt)
    series, fit = rng.normal(size=(1, sum(lengths), 1, 2)), Differentiator(9, 4)
    for order in (0, 1, 2):
        found = pieces.derivative(series, fit, order)[0, :, 0]
        for k, start in enumerate(pieces.start):
            part = slice(start, start + lengths[k])
            if lengths[k] >= 9:
                alone = fit(series[:, part], dt[k : k + 1], order)[0, :, 0]
                np.testing.assert_allclose(found[part], alone, atol=1e-9)
    assert np.isnan(pieces.derivative(series, fit, 2)[0, pieces.start[3], 0]).all()
    line = np.arange(sum(lengths), dtype=float)[None, :, None, None] * np.ones((1, 1, 1, 2))
    straight = pieces.derivative(line, fit, 1)[0, :, 0, 0]
    np.testing.assert_allclose(straight[pieces.piece != 3], (1 / dt)[pieces.piece[pieces.piece != 3]])
    x, labels = pieces.steps(line, 1)
    assert (np.isfinite(labels[0, :, 0, 0]).sum()) == sum(max(0, n - 2) for n in lengths)
    _, _, _, inner = pieces.ends(9, True, x, x, x)
    assert np.isfinite(inner[0, :, 0, 0]).sum() == sum(max(0, n - 8) for n in lengths)


def tracks(seed: int = 0, runs: int = 4, frames: int = 60, n: int = 6) -> pd.DataFrame:
    """Particles on ellipses, some of them seen later than others."""
    rng = np.random.default_rng(seed)
    t = 0.1 * np.arange(frames)
    rows = []
    for run in range(runs):
        for i in range(n):
            a, b, phase, w = rng.uniform(0.5, 2, 4)
            x, y = a * np.cos(w * t + phase) + 0.3 * i, b * np.sin(w * t + phase)
            rows.append(pd.DataFrame({"run": run, "time": t, "particle": i, "x": x, "y": y}))
    return pd.concat(rows, ignore_index=True)


OPTIONS = {"dynamics": "second_order", "window": 7, "order": 4}


def load(path: Path, table: pd.DataFrame, **options) -> ParticleData:
    table.to_csv(path, index=False)
    return OwnData(str(path), **(OPTIONS | options)).load()


def test_a_lost_sighting_costs_the_labels_of_its_window_and_still_acts(tmp_path: Path):
    whole = tracks()
    full = load(tmp_path / "full.csv", whole)
    lost = whole[~((whole["run"] == 1) & (whole["particle"] == 2) & whole["time"].between(2.95, 3.05))]
    assert len(lost) == len(whole) - 1
    data = load(tmp_path / "lost.csv", lost)
    seen, a = data.sightings, data.accelerations[0]
    assert seen is not None and full.sightings is None
    labelled = np.isfinite(a).all(1)
    assert labelled.sum() == 4 * 6 * 54 - 7  # the ends of each track, and one window
    dense = full.features.reshape(4, 54, 6, -1)
    for s, i in ((0, 0), (1, 2), (3, 5)):
        here = labelled & (np.floor_divide(seen.unit, 1) == s)
        mine = [
            row
            for row in np.flatnonzero(here)
            if np.abs(dense[s, :, i, 0] - data.features[0, row, 0]).min() < 1e-6
        ]
        assert len(mine) >= 54 - 7
    filled = np.flatnonzero(seen.piece < 0)
    assert len(filled) == 1 and not labelled[filled].any()
    np.testing.assert_allclose(data.features[0, filled[0], :2], dense[1, 27, 2, :2], atol=1e-4)
    np.testing.assert_allclose(data.features[0, filled[0], 2:4], dense[1, 27, 2, 2:4], atol=1e-3)
    assert (seen.degree[labelled] == 5).all()  # all others act in every frame
    assert any("1 positions in them act" in note for note in data.notes) and not data.doubts


def test_a_row_without_a_position_is_no_sighting(tmp_path: Path):
    table = tracks()
    gone = (table["particle"] == 2) & table["time"].between(2.95, 3.05)
    unseen = table.copy()
    unseen.loc[gone, ["x", "y"]] = np.nan
    first, second = load(tmp_path / "a.csv", table[~gone]), load(tmp_path / "b.csv", unseen)
    assert np.array_equal(first.accelerations, second.accelerations, equal_nan=True)


def test_a_place_that_is_nan_in_an_array_is_no_sighting(tmp_path: Path):
    table = tracks().sort_values(["run", "time", "particle"])
    gone = (table["particle"] == 2) & table["time"].between(2.95, 3.05) | (table["time"] < 0.25)
    gone |= (table["particle"] == 4) & (table["time"] > 4)
    x = table[["x", "y"]].mask(gone).to_numpy().reshape(4, 60, 6, 2)
    np.savez(tmp_path / "t.npz", positions=x, times=0.1 * np.arange(60))
    rows = load(tmp_path / "t.csv", table[~gone])
    data = OwnData(str(tmp_path / "t.npz"), **OPTIONS).load()
    assert data.sightings is not None and rows.sightings is not None
    assert np.array_equal(data.accelerations, rows.accelerations, equal_nan=True)
    assert np.array_equal(data.features[..., :4], rows.features[..., :4])
    assert np.array_equal(data.sightings.frame, rows.sightings.frame)


def test_where_a_particle_is_not_seen_other_arrays_may_be_nan(tmp_path: Path):
    x = np.random.default_rng(0).normal(size=(30, 2, 7))  # frames, coordinates, particles
    x[4:9, :, 3] = np.nan
    arrays = {"positions": x, "velocities": 2 * x, "forces": 3 * x}
    np.savez(tmp_path / "x.npz", **arrays)
    data = OwnData(str(tmp_path / "x.npz")).load()
    assert data.sightings is not None and data.features.shape[1] == 30 * 7 - 5
    np.testing.assert_allclose(data.features[..., 2:4], 2 * data.features[..., :2])
    np.testing.assert_allclose(data.accelerations, 3 * data.features[..., :2], rtol=1e-6)
    arrays["forces"][0, 1, 2] = np.nan
    np.savez(tmp_path / "x.npz", **arrays)
    with pytest.raises(InputError, match=r"forces holds nan at index \[0, 2, 1\].*NaN in all its coord"):
        OwnData(str(tmp_path / "x.npz")).load()


def test_a_run_without_any_position_is_refused(tmp_path: Path):
    x = np.random.default_rng(0).normal(size=(2, 30, 3, 2))
    x[1] = np.nan
    np.save(tmp_path / "x.npy", x)
    with pytest.raises(InputError, match=r"positions holds nan at index \[1, 0, 0, 0\]"):
        OwnData(str(tmp_path / "x.npy"), time_step=0.1).load()


def test_frames_may_hold_any_number_of_particles(tmp_path: Path):
    table = tracks()
    table = table[(table["particle"] != 3) | (table["time"] < 2.05)]  # one leaves
    table = table[(table["particle"] != 4) | ~table["time"].between(1.0, 4.0)]  # one is lost for long
    data = load(tmp_path / "t.csv", table)
    seen = data.sightings
    assert seen is not None and set(np.bincount(seen.frame)) == {4, 5, 6}
    assert (seen.degree == np.bincount(seen.frame)[seen.frame] - 1).all()
    assert len(data.doubts) == 1 and "longer gaps" in data.doubts[0]


def test_frames_that_all_particles_lack_break_the_tracks(tmp_path: Path):
    table = tracks()
    data = load(tmp_path / "t.csv", table[~table["time"].between(2.95, 3.05)])
    assert data.sightings is not None and np.isfinite(data.accelerations).all(-1).sum() == 4 * 6 * (59 - 12)
    assert (data.sightings.piece >= 0).all()  # nobody was seen then on whom anybody could act


def test_blocks_of_a_run_share_no_frame_of_a_window(tmp_path: Path):
    table = tracks(runs=1, frames=200)
    data = load(tmp_path / "t.csv", table[~((table["particle"] == 2) & table["time"].between(2.95, 3.05))])
    seen = data.sightings
    assert seen is not None and data.blocks == len(set(seen.unit) - {-1}) >= 6
    labelled = seen.receivers(data.accelerations[0])
    ends = [
        (seen.frame[r].min(), seen.frame[r].max())
        for r in (labelled[seen.unit[labelled] == u] for u in range(data.blocks))
    ]
    assert all(later[0] - sooner[1] > 7 for sooner, later in zip(ends, ends[1:], strict=False))


def test_a_large_frame_takes_memory_by_its_pairs(tmp_path: Path):
    rng, n = np.random.default_rng(3), 10_000
    x = rng.uniform(0, 100, (3, 1, n, 2))
    np.savez(tmp_path / "t.npz", positions=x, velocities=0 * x, accelerations=rng.normal(size=x.shape))
    options = {"box": [100.0, 100.0], "blocks": 1}
    tracemalloc.start()
    data = OwnData(str(tmp_path / "t.npz"), radius=1.2, **options).load()
    parts = NBodyDataModule(data, "trajectories", 64, seed=0, batch_edges=2000)
    model = ParticleGNN(2, 2, width=8, layers=1, basis="isotropic", box=data.box)
    recorded = record(model, parts.test, None, Reading("pair"))
    part = motion(parts.train, None, (), edges=5000)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert data.sightings is not None and data.sightings.degree.mean() == pytest.approx(
        np.pi * 1.44, rel=0.05
    )
    assert peak < 1.5 * n * n  # bytes: a boolean for each pair of one frame alone is n²
    assert len(recorded.pullback) == parts.test.degree.sum() and 0 < len(part.edges.r) < 6000
    near = OwnData(str(tmp_path / "t.npz"), **options).load()
    assert near.sightings is not None and 20 < near.sightings.degree.mean() < 40
    assert any("about 10,000 particles in a frame: only pairs closer than" in note for note in near.notes)


def test_one_run_of_many_particles_and_few_frames_is_no_single_piece_of_evidence():
    data = as_sightings(equal_frames())
    table = Table.of(data)
    one_run = Receivers(table, torch.from_numpy(np.flatnonzero(data.sightings.unit == 2)))
    part = motion(one_run, None, (0.2, 0.6, 0.2), edges=10**9)
    assert len(np.unique(part.unit)) == len(part.labels) // (part.frames - 2)  # a unit for each stretch
