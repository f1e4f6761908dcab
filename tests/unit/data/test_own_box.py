"""Radii in a box are such that it takes them; images in cells that are tilted or change are the nearest."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from gnn_distill.data.own.box import half, inside, rounded_down, unwrapped
from gnn_distill.data.own.dataset import OwnData
from gnn_distill.data.own.describe import describe
from gnn_distill.data.own.neighbours import closest, typical_radius, within
from gnn_distill.errors import InputError
from gnn_distill.physics.variables import nearest_image

EDGE = 3.43816  # half of it is 1.71908, and 1.72 to three figures


def drifting(path: Path, edge: float = EDGE, n: int = 6) -> str:
    rng = np.random.default_rng(0)
    x, v = rng.uniform(0, edge, (1, n, 2)), rng.normal(size=(1, n, 2))
    t = 0.01 * np.arange(80)[:, None, None]
    place = np.mod(x + v * t + 0.05 * np.sin(3 * t + 6 * x), edge)
    np.savez(path, positions=place, box=np.array([edge, edge]), dt=0.01)
    return str(path)


@pytest.mark.parametrize("value", [1.71908, 1.715, 2.5, 9.999, 10.0, 0.012345, 123456.0, 1.0])
def test_rounding_down_never_goes_up(value: float):
    for figures in (3, 6):
        found = rounded_down(value, figures)
        assert value * (1 - 10.0 ** (1 - figures)) <= found <= value
        assert found == float(f"{found:.{figures}g}")


def test_the_radius_of_many_particles_fits_into_the_box():
    x = np.random.default_rng(0).uniform(0, EDGE, (20, 2))  # fewer than 30 neighbours: all of the box
    assert typical_radius(np.zeros(20, dtype=int), x, (EDGE, EDGE)) == 1.71 < half((EDGE, EDGE))
    assert half((None, None)) == half(None) == np.inf


def test_the_radius_that_is_proposed_is_taken(tmp_path: Path):
    path = drifting(tmp_path / "t.npz")
    assert "dataset.radius=1.71" in describe(OwnData(path)).keys
    assert OwnData(path, radius=1.71, dynamics="second_order").load().radius == 1.71


def test_the_radius_that_an_error_names_is_taken(tmp_path: Path):
    path = drifting(tmp_path / "t.npz", edge=3.4381977)  # 1.71909885, and 1.7191 to six figures
    with pytest.raises(InputError, match="dataset.radius = 1.72") as error:
        OwnData(path, radius=1.72, dynamics="second_order").load()
    named = float(re.search(r"box, ([\d.]+), is the most", str(error.value))[1])
    assert OwnData(path, radius=named, dynamics="second_order").load().radius == named


def wandering(path: Path, *wrapped: int, table: bool) -> str:
    """Six particles on their way, positions wrapped into a box of 4 along some axes."""
    rng = np.random.default_rng(3)
    x, v = rng.uniform(0, 4, (1, 6, 2)), 3 * rng.normal(size=(1, 6, 2))
    place = x + v * (0.01 * np.arange(200)[:, None, None]) + 0.02 * rng.normal(size=(200, 6, 2)).cumsum(0)
    for axis in wrapped:
        place[..., axis] %= 4
    frame, who = np.divmod(np.arange(1200), 6)
    rows = pd.DataFrame(
        {"time": 0.01 * frame, "particle": who} | dict(zip("xy", place.reshape(-1, 2).T, strict=True))
    )
    (rows.drop(index=[400, 500]) if table else rows).to_csv(path, index=False)
    return str(path)


@pytest.mark.parametrize("table", [True, False])
@pytest.mark.parametrize(("wrapped", "edges"), [((0, 1), "4,4"), ((1,), "null,4")])
def test_tracks_wrapped_into_an_unknown_box_are_seen(wrapped: tuple, edges: str, table: bool, tmp_path: Path):
    path = wandering(tmp_path / "tracks.csv", *wrapped, table=table)
    assert f"dataset.box=[{edges}]" in describe(OwnData(path)).keys
    with pytest.raises(InputError, match=re.escape(f"such as dataset.box=[{edges}]")):
        OwnData(path, dynamics="second_order").load()
    box = [None if edge == "null" else float(edge) for edge in edges.split(",")]
    assert OwnData(path, dynamics="second_order", box=box).load().box == tuple(box)


@pytest.mark.parametrize("table", [True, False])
def test_tracks_in_open_space_are_in_no_box(table: bool, tmp_path: Path):
    path = wandering(tmp_path / "tracks.csv", table=table)
    OwnData(path, dynamics="second_order").load()
    scattered = pd.read_csv(path)  # steps across all of it, and none that goes quite across
    scattered[["x", "y"]] = np.random.default_rng(0).uniform(0, 4, (len(scattered), 2))
    scattered.to_csv(path, index=False)
    OwnData(path, dynamics="second_order").load()


TILTED = {
    2: np.array([[5.0, 0], [2.2, 4.0]]),
    3: np.array([[5.0, 0, 0], [-2.2, 6.0, 0], [2.4, 2.9, 4.5]]),
}


def images(delta: np.ndarray, vectors: np.ndarray) -> np.ndarray:
    """The shortest of all images nearby, one by one."""
    steps = [np.arange(-3, 4) if edge > 0 else np.zeros(1) for edge in np.diagonal(vectors)]
    turns = np.stack(np.meshgrid(*steps), -1).reshape(-1, len(vectors))
    every = delta[:, None] + turns @ vectors
    return every[np.arange(len(delta)), np.linalg.norm(every, axis=-1).argmin(1)]


def rows(vectors: np.ndarray, count: int) -> np.ndarray:
    return np.tile(vectors[np.tril_indices(len(vectors))], (count, 1))


@pytest.mark.parametrize("dim", [2, 3])
@pytest.mark.parametrize("opened", [False, True])
def test_images_in_a_tilted_cell_are_the_shortest(dim: int, opened: bool):
    vectors = TILTED[dim].copy()
    if opened:
        vectors[0] = 0.0  # along x space is open, and the second vector is tilted all the same
    delta = np.random.default_rng(0).uniform(-20, 20, (2000, dim)) * np.where(
        np.diagonal(vectors) > 0, 1, 0.1
    )
    shortest = images(delta, vectors)
    near = np.linalg.norm(shortest, axis=1) < half(None, rows(vectors, 1))
    assert near.sum() > 100
    cell = rows(vectors, len(delta))
    np.testing.assert_allclose(nearest_image(delta.copy(), cell)[near], shortest[near], atol=1e-12)
    in_torch = nearest_image(torch.from_numpy(delta), torch.from_numpy(cell)).numpy()
    np.testing.assert_allclose(in_torch[near], shortest[near], atol=1e-12)
    home = inside(delta, cell)
    moved = home - delta
    used = np.diagonal(vectors) > 0
    np.testing.assert_allclose(images(moved, vectors), 0, atol=1e-9)
    assert (np.ptp(home[:, used], axis=0) <= np.diagonal(vectors)[used] + 1e-9).all()


@pytest.mark.parametrize("dim", [2, 3])
@pytest.mark.parametrize("tilt", [0.0, 1.0, 3.0])
def test_neighbours_in_cells_that_are_tilted_and_grow(dim: int, tilt: float):
    rng, n = np.random.default_rng(1), 60
    frame = np.repeat([0, 1], n)
    shape = np.where(np.eye(dim) > 0, 1.0, tilt)
    cells = [TILTED[dim] * shape, 1.3 * TILTED[dim] * shape]
    x = rng.uniform(0, 1, (2 * n, dim)) @ cells[0]
    cell = np.concatenate([rows(vectors, n) for vectors in cells])
    box, radius = (0.0,) * dim, 1.9
    first, last, senders = within(frame, x, radius, box, cell)[:3]
    four = closest(frame, x, 4, box, cell)
    for i in range(2 * n):
        others = np.flatnonzero((frame == frame[i]) & (np.arange(2 * n) != i))
        d = np.linalg.norm(images(x[i] - x[others], cells[frame[i]]), axis=1)
        assert {*senders[first[i] : last[i]].tolist()} == {*others[d < radius].tolist()}
        if np.sort(d)[3] < half(None, cell):
            assert {*four[2][four[0][i] : four[1][i]].tolist()} == {*others[np.argsort(d)[:4]].tolist()}
    assert typical_radius(frame, x, box, cell) <= half(box, cell)
    few = slice(0, 12)
    first, last, senders, *_ = closest(frame[few], x[few], 11, box, cell[few])  # all others, each once
    for i in range(12):
        assert {*senders[first[i] : last[i]].tolist()} == {*range(12)} - {i}


@pytest.mark.parametrize(("growth", "error"), [(0.0, 1e-9), (0.0003, 0.02)])
def test_tracks_go_on_through_the_faces_of_a_cell(growth: float, error: float):
    t = np.arange(200)
    vectors = TILTED[3] * (1 + growth * t)[:, None, None]
    true = np.array([0.3, -0.2, 0.25]) * t[:, None] + np.array([1.0, 2.0, 3.0])
    cell = vectors[:, *np.tril_indices(3)]
    seen = inside(true, cell)
    assert np.abs(np.diff(seen, axis=0)).max() > 2  # it has crossed faces
    tracks = unwrapped(seen[None, :, None], (0.0,) * 3, cell[None, :, None])[0, :, 0]
    # an image moves with the faces of a cell that grows, by the growth of a few edges in a frame
    np.testing.assert_allclose(np.diff(tracks, axis=0), np.diff(true, axis=0), atol=error)
