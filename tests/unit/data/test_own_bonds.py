"""Edges of a file may have numbers: each particle then knows those of its own."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from gnn_distill.data.own.dataset import OwnData
from gnn_distill.data.particles import ParticleData
from gnn_distill.errors import InputError
from gnn_distill.physics.variables import Bonds

S, T, N = 4, 40, 5
RNG = np.random.default_rng(1)
ANGLE = 0.1 * np.arange(T)[:, None, None] + RNG.uniform(0, 6, (S, 1, N, 1))
X = np.concatenate([np.cos(ANGLE), np.sin(ANGLE)], -1)
MATRIX = RNG.choice([0.0, 0.1, 1.0], (S, N, N)) * (1 - np.eye(N))
PAIRS = np.array([[0, 1], [1, 2], [3, 4]])


def load(folder: Path, **arrays: np.ndarray | str) -> ParticleData:
    options = {k: v for k, v in arrays.items() if isinstance(v, str)}
    given = {k: v for k, v in arrays.items() if not isinstance(v, str)}
    np.savez(folder / "t.npz", positions=X, dt=0.1, **given)
    return OwnData(str(folder / "t.npz"), dynamics="second_order", hidden=0, **options).load()


def known(data: ParticleData) -> dict[str, np.ndarray]:
    """What pairs of the first frame of each run know of their edges, by receiver and sender."""
    x = data.features[:: data.frames]
    return data.columns.between(x[:, :, None], x[:, None])


def test_pairs_know_the_number_and_the_kind_of_their_edge(tmp_path: Path):
    data = load(tmp_path, edges=MATRIX)
    assert (
        data.bonds == Bonds(N, (float(np.float32(0.1)), 1.0))
        and data.columns.count == data.features.shape[-1]
    )
    assert [*known(data)] == ["k12", "edge_0_1_12", "edge_1_12"]
    assert known(data)["k12"] == pytest.approx(MATRIX, abs=1e-7)
    assert (known(data)["edge_0_1_12"] == (MATRIX == 0.1)).all()
    assert data.adjacency is not None and (data.adjacency[:: data.frames] == (MATRIX != 0)).all()
    assert data.anonymous().bonds is None and data.anonymous().features.shape[-1] == 6


def test_where_all_pairs_act_those_without_an_edge_are_a_kind(tmp_path: Path):
    data = load(tmp_path, edges=MATRIX, graph="complete")
    assert data.adjacency is None and data.bonds is not None and data.bonds.kinds[0] == 0.0
    bonded = load(tmp_path, edges=PAIRS, graph="complete")
    assert bonded.bonds == Bonds(N, (0.0, 1.0))


def test_lists_of_edges_are_read_and_a_pair_that_is_named_once_acts_both_ways(tmp_path: Path):
    data = load(tmp_path, edges=PAIRS, edge_attr=np.array([1.0, 2.0, 1.0]))
    k = known(data)["k12"][0]
    assert (k == k.T).all() and k[0, 1] == 1 and k[1, 2] == 2 and k[0, 2] == 0
    each = load(tmp_path, edges=np.broadcast_to(PAIRS, (S, 3, 2)), edge_type=np.tile([1, 2, 3], (S, 1)))
    assert (known(each)["k12"][-1][3, 4]) == 3
    one_way = load(tmp_path, edge_index=PAIRS.T, edge_attr=np.array([1.0, 2.0, 1.0]))
    assert known(one_way)["k12"][0][2, 1] == 2 and known(one_way)["k12"][0][1, 2] == 0


def test_edges_that_are_alike_are_no_input(tmp_path: Path):
    assert load(tmp_path, edges=1.0 * (MATRIX != 0)).bonds is None
    assert load(tmp_path, edges=MATRIX, graph="chain").bonds is None


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"edges": np.ones((T, N, N))}, r"edges has shape \(40, 5, 5\).*pairs as \(E, 2\)"),
        ({"edges": PAIRS + 1}, "number the 5 particles 0 to 4"),
        ({"edge_attr": np.ones(3)}, "without edge_index or edges"),
        ({"edges": PAIRS, "edge_attr": np.ones((4, 3))}, "one number for each edge"),
        ({"edges": MATRIX, "edge_attr": np.ones(3)}, "numbers in the matrix"),
    ],
)
def test_edges_that_do_not_fit_are_refused(tmp_path: Path, arrays: dict[str, np.ndarray], message: str):
    with pytest.raises(InputError, match=message):
        load(tmp_path, **arrays)
