"""Arrays of simulations and of trackers, in whatever order of their axes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from gnn_distill.data.own.dataset import OwnData
from gnn_distill.errors import InputError
from gnn_distill.physics.variables import Bonds
from tests.unit.data.test_own_bad_files import good

S, T, N = 4, 40, 5
RNG = np.random.default_rng(0)
ANGLE = 0.1 * np.arange(T)[:, None, None] + RNG.uniform(0, 6, (S, 1, 2, N))
LOC, VEL = np.cos(ANGLE), -np.sin(ANGLE)
"""As simulations of interacting balls are published: [S, T, 2, n]."""
EDGES = np.triu(RNG.choice([0.0, 0.5, 1.0], (S, N, N)), 1)
EDGES = EDGES + EDGES.transpose(0, 2, 1)


def test_files_named_after_arrays_belong_together(tmp_path: Path):
    for part in ("train", "test"):
        for name, array in (("loc", LOC), ("vel", VEL), ("edges", EDGES)):
            np.save(tmp_path / f"{name}_{part}_springs5.npy", array)
    data = OwnData(str(tmp_path), time_step=0.1, drop_edges=False, hidden=0).load()
    assert data.features.shape == (2 * S * T, N, 12) and data.frames == T
    expected = np.moveaxis(LOC, 2, 3).reshape(-1, N, 2).astype("f4")
    assert (data.features[: S * T, :, :2] == expected).all()
    assert any("(8, 40, 2, 5) are read as [..., dim, particles]: 5 particles" in n for n in data.notes)
    assert data.adjacency is not None and data.adjacency.shape == (2 * S * T, N, N)
    assert (data.adjacency[T] == (EDGES[1] != 0)).all() and data.bonds == Bonds(N, (0.5, 1.0))
    alone = OwnData(f"{tmp_path}/*_train_*.npy", time_step=0.1, drop_edges=False, hidden=0).load()
    assert (alone.features == data.features[: S * T]).all()


def test_one_array_is_one_of_positions(tmp_path: Path):
    np.save(tmp_path / "fish.npy", LOC[0].transpose(0, 2, 1))
    data = OwnData(str(tmp_path / "fish.npy"), time_step=0.1, dynamics="second_order", blocks=3).load()
    assert data.columns.dim == 2 and data.features.shape[1] == N


def test_hdf5_holds_arrays_by_the_same_names(tmp_path: Path):
    h5py = pytest.importorskip("h5py")
    with h5py.File(tmp_path / "t.h5", "w") as file:
        file["trajectories"], file["vel"] = LOC[0].transpose(0, 2, 1), VEL[0].transpose(0, 2, 1)
        file["dt"], file["box"] = 0.1, [4.0, 4.0]
    data = OwnData(str(tmp_path / "t.h5"), blocks=3).load()
    assert data.box == (4.0, 4.0) and data.spacing == pytest.approx(0.1)
    (tmp_path / "bad.h5").write_bytes(b"no HDF5 at all")
    with pytest.raises(InputError, match=r"bad\.h5.*cannot be read"):
        OwnData(str(tmp_path / "bad.h5")).load()


def test_forces_of_arrays_become_accelerations(tmp_path: Path):
    arrays, masses = good(), np.array([2.0, 4.0])
    arrays |= {"force": arrays.pop("accelerations"), "masses": masses}
    np.savez(tmp_path / "t.npz", **arrays)
    data = OwnData(str(tmp_path / "t.npz")).load()
    expected = (arrays["force"] / masses[:, None]).reshape(-1, 2, 2)
    np.testing.assert_allclose(data.accelerations, expected, rtol=1e-6)


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({"loc_a": LOC, "loc_b": LOC[:, :9]}, r"loc_b.*shape \(9, 2, 5\).*loc_a.npy \(40, 2, 5\)"),
        ({"loc_a": LOC, "vel_b": LOC}, r"vel_b.*holds velocities, and loc_a.npy positions"),
        ({"loc": LOC, "edges": EDGES[:2]}, r"edges has shape \(2, 5, 5\).*\(4, 5, 5\)"),
        (
            {"loc": LOC.transpose(0, 2, 3, 1)},
            r"\(4, 2, 5, 40\).*save .*frames, particles, dim\]",
        ),
    ],
)
def test_files_that_do_not_go_together(tmp_path: Path, files: dict[str, np.ndarray], message: str):
    for name, array in files.items():
        np.save(tmp_path / f"{name}.npy", array)
    with pytest.raises(InputError, match=message):
        OwnData(str(tmp_path), time_step=0.1).load()


def test_pickled_npy_is_refused(tmp_path: Path):
    np.save(tmp_path / "t.npy", np.array([{"trajectories": LOC}], dtype=object), allow_pickle=True)
    with pytest.raises(InputError, match=r"t\.npy.*pickled Python objects, which are refused"):
        OwnData(str(tmp_path / "t.npy")).load()
