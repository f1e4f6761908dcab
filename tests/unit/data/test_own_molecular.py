"""Dumps of LAMMPS and XYZ give the particles that were simulated, in their box."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from gnn_distill.data.own.dataset import OwnData
from gnn_distill.errors import InputError

FRAMES, N, BOX, LOW = 30, 6, np.array([4.0, 5.0, 6.0]), np.array([-1.0, 2.0, 0.5])
RNG = np.random.default_rng(2)
V = RNG.normal(size=(1, N, 3)) + 0.05 * np.cumsum(RNG.normal(size=(FRAMES, N, 3)), 0)
X = LOW + RNG.uniform(0, 1, (N, 3)) * BOX + 0.1 * np.cumsum(V, 0)
"""Unwrapped positions; they leave the box."""
F = RNG.normal(size=(FRAMES, N, 3))
KINDS = np.array([1, 1, 2, 2, 1, 2])


def dump(path: Path, coordinates: str = "wrapped", bounds: str = "pp pp pp", tilt: str = "") -> None:
    """Rows in another order in each frame, every fifth step."""
    image = np.floor((X - LOW) / BOX)
    where = {
        "wrapped": ("x y z ix iy iz", np.concatenate([X - image * BOX, image], -1)),
        "scaled": ("xs ys zs", (X - image * BOX - LOW) / BOX),
        "unwrapped": ("xu yu zu", X),
    }
    names, values = where[coordinates]
    lines = []
    for k in range(FRAMES):
        lines += ["ITEM: TIMESTEP", str(5 * k), "ITEM: NUMBER OF ATOMS", str(N), f"ITEM: BOX BOUNDS {bounds}"]
        lines += [f"{low} {low + edge}{tilt}" for low, edge in zip(LOW, BOX, strict=True)]
        lines.append(f"ITEM: ATOMS id type {names} vx vy vz fx fy fz ")
        cells = np.concatenate([values[k], V[k], F[k]], -1)
        lines += [f"{i + 1} {KINDS[i]} {' '.join(map(repr, cells[i].tolist()))} " for i in RNG.permutation(N)]
    path.write_text("\n".join(lines) + "\n")


@pytest.mark.parametrize("coordinates", ["wrapped", "scaled", "unwrapped"])
def test_dumps_of_lammps(tmp_path: Path, coordinates: str):
    dump(tmp_path / "t.lammpstrj", coordinates)
    data = OwnData(str(tmp_path / "t.lammpstrj"), blocks=3, time_step=0.02).load()
    assert data.box == tuple(BOX) and data.columns.dim == 3 and data.further == ("kind_1", "kind_2")
    off = data.features[..., :3] - X
    np.testing.assert_allclose(off, BOX * np.round(off / BOX), atol=2e-5)
    np.testing.assert_allclose(data.features[..., 3:6], V, rtol=1e-6)
    np.testing.assert_allclose(data.accelerations, F, rtol=1e-6)
    assert data.spacing == pytest.approx(0.1)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda s: s.replace("ITEM: ATOMS id", "ITEM: ATOMS number", 1),
            "block at line 24 .* columns id type x y z",
        ),
        (lambda s: s[: len(s) * 2 // 3], "cannot be read"),
        (lambda s: "\n".join(s.splitlines()[:-2]), "line 4.. cannot be read .4 rows of 6"),
        (lambda s: s.replace("ITEM", "ITEMS"), "no line that begins with ITEM"),
        (lambda s: s.replace("ITEM: NUMBER OF ATOMS\n6", "ITEM: NUMBER OF ATOMS\nsix"), "block at line 3 "),
        (
            lambda s: s.replace("-1.0 3.0", "-1.0 -3.5", 1),
            r"vector 1 of the box of frame 0 is \[-2.5, 0.0, 0.0",
        ),
    ],
)
def test_dumps_that_cannot_be_used(tmp_path: Path, change, message: str):
    path = tmp_path / "t.dump"
    dump(path)
    path.write_text(change(path.read_text()))
    with pytest.raises(InputError, match=rf"t\.dump.*{message}"):
        OwnData(str(path), time_step=0.02).load()


def changed(path: Path, before: str, after: str, frame: int) -> None:
    """Write another text in the place of one, from this frame of a dump on."""
    parts = path.read_text().split("ITEM: TIMESTEP")
    whole = [part.replace(before, after) if k > frame else part for k, part in enumerate(parts)]
    path.write_text("ITEM: TIMESTEP".join(whole))


def test_boxes_of_dumps_that_are_tilted_are_read_and_open_sides_are_open(tmp_path: Path):
    path = tmp_path / "t.dump"
    dump(path, "unwrapped", tilt=" 0.5", bounds="xy xz yz pp pp pp")
    data = OwnData(str(path), time_step=0.02, blocks=3).load()
    assert data.box == (0.0, 0.0, 0.0)
    # LAMMPS writes the bounds of all corners: x reaches xy + xz farther than the edge, y by yz
    np.testing.assert_allclose(
        data.features[..., data.columns.cell], [3.0, 0.5, 4.5, 0.5, 0.5, 6.0] + 0 * X[..., :1]
    )
    vectors = np.array([[3.0, 0, 0], [0.5, 4.5, 0], [0.5, 0.5, 6.0]])
    turns = (data.features[..., :3] - X) @ np.linalg.inv(vectors)
    np.testing.assert_allclose(turns, np.round(turns), atol=1e-5)
    dump(path, tilt=" 0.0", bounds="xy xz yz pp pp pp")
    assert OwnData(str(path), time_step=0.02).load().box == tuple(BOX)
    changed(path, "-1.0 3.0 0.0", "-1.0 3.25 0.25", 17)
    cell = OwnData(str(path), time_step=0.02, blocks=3).load().features[..., 0, 8 + 2 : 8 + 8]
    assert cell[16].tolist() == [4, 0, 5, 0, 0, 6] and cell[17].tolist() == [4, 0.25, 5, 0, 0, 6]
    dump(path, tilt=" 0.0 1.0", bounds="abc origin pp pp pp")
    with pytest.raises(
        InputError, match=r"t\.dump.*vector 1 of the box of frame 0 is \[-1.0, 3.0, 0.0\]; turn"
    ):
        OwnData(str(path), time_step=0.02).load()
    dump(path, "unwrapped", bounds="pp ff ss")
    assert OwnData(str(path), time_step=0.02).load().box == (4.0, None, None)
    dump(path, "unwrapped", bounds="")
    data = OwnData(str(path), time_step=0.02).load()
    assert data.box is None and any("does not say if it is periodic" in note for note in data.notes)


def test_scaled_coordinates_of_a_tilted_box(tmp_path: Path):
    vectors = np.array([[3.0, 0, 0], [0.5, 4.5, 0], [0.5, 0.5, 6.0]])
    dump(tmp_path / "u.dump", "unwrapped", tilt=" 0.5", bounds="xy xz yz pp pp pp")
    text = (tmp_path / "u.dump").read_text().replace("xu yu zu", "xs ys zs").split("\n")
    for k, line in enumerate(text):
        cells = line.split()
        if len(cells) == 11 and "ITEM" not in line:
            scaled = (np.array(cells[2:5], float) - LOW) @ np.linalg.inv(vectors)
            text[k] = " ".join([*cells[:2], *map(repr, scaled.tolist()), *cells[5:]])
    (tmp_path / "s.dump").write_text("\n".join(text))
    one, two = (OwnData(str(tmp_path / f"{k}.dump"), time_step=0.02).load().features for k in "us")
    turns = (one - two)[..., :3] @ np.linalg.inv(vectors)
    np.testing.assert_allclose(turns, np.round(turns), atol=1e-5)
    np.testing.assert_allclose(one[..., 3:], two[..., 3:])


def test_files_in_boxes_of_their_own_are_read_together_and_sides_must_stay(tmp_path: Path):
    path = tmp_path / "t_1.dump"
    dump(path)
    changed(path, "pp pp pp", "pp pp ff", 14)
    with pytest.raises(InputError, match=r"frame 0 is periodic along x, y, z, and frame 14 along x, y;"):
        OwnData(str(path), time_step=0.02).load()
    dump(path)
    dump(tmp_path / "t_2.dump")
    assert OwnData(str(tmp_path / "t_*.dump"), time_step=0.02).load().box == tuple(BOX)
    changed(tmp_path / "t_2.dump", "-1.0 3.0", "-1.0 3.5", -1)
    data = OwnData(str(tmp_path / "t_*.dump"), time_step=0.02).load()
    assert data.box == (0.0, 0.0, 0.0)
    assert {*data.features[..., data.columns.cell.start].flatten().tolist()} == {4.0, 4.5}
    changed(tmp_path / "t_2.dump", "pp pp pp", "ff ff ff", -1)
    with pytest.raises(InputError, match=r"t_2\.dump.*no periodic box, and t_1\.dump has one; give runs in"):
        OwnData(str(tmp_path / "t_*.dump"), time_step=0.02).load()


def lower(vectors) -> np.ndarray:
    return np.asarray(vectors, dtype=float)[..., *np.tril_indices(3)]


@pytest.mark.parametrize(
    "cell",
    [
        lambda k: np.diag(BOX * (1 + 0.001 * k)),
        lambda k: np.array([[4, 0, 0], [0.4, 5, 0], [0, 0, 6.0]]),
        lambda k: np.array([[4, 0, 0], [0.4 * (k > 7), 5, 0], [0, 0, 6.0]]),
    ],
)
def test_boxes_that_change_or_are_tilted(tmp_path: Path, cell):
    write_extxyz(tmp_path / "t.extxyz", "Ar6", cell=cell)
    np.savez(
        tmp_path / "t.npz",
        positions=X,
        velocities=V,
        accelerations=F,
        box=np.array([cell(k) for k in range(FRAMES)]),
    )
    for name in ("t.extxyz", "t.npz"):
        data = OwnData(str(tmp_path / name), time_step=0.1, blocks=3).load()
        assert data.box == (0.0, 0.0, 0.0)
        expected = np.repeat(lower([cell(k) for k in range(FRAMES)])[:, None], N, 1)
        np.testing.assert_allclose(data.features[..., data.columns.cell], expected, rtol=1e-6)
        for k in range(FRAMES):
            turns = (data.features[k, :, :3] - X[k]) @ np.linalg.inv(cell(k))
            np.testing.assert_allclose(turns, np.round(turns), atol=1e-5)


@pytest.mark.parametrize(
    ("cell", "message"),
    [
        (
            lambda k: [[0, 4, 0], [5, 0, 0], [0, 0, 6]],
            r"vector 1 of the box of frame 0 is \[0.0, 4.0, 0.0\]; turn",
        ),
        (lambda k: BOX * (k > 0), r"frame 0 is periodic along no axis, and frame 1 along x, y, z"),
        (lambda k: BOX * (k < 29), r"frame 0 is periodic along x, y, z, and frame 29 along no axis"),
    ],
)
def test_boxes_of_extended_xyz_that_cannot_be_used(tmp_path: Path, cell, message: str):
    write_extxyz(tmp_path / "t.extxyz", "Ar6", cell=cell)
    with pytest.raises(InputError, match=rf"t\.extxyz.*{message}"):
        OwnData(str(tmp_path / "t.extxyz")).load()


def test_arrays_of_boxes_by_their_shape(tmp_path: Path):
    def read(box, place=X):
        np.savez(tmp_path / "t.npz", positions=place, velocities=V, accelerations=F, box=box)
        return OwnData(str(tmp_path / "t.npz"), time_step=0.1, blocks=3).load()

    for steady in (np.diag(BOX), np.tile(BOX, (FRAMES, 1))):
        assert read(steady, np.mod(X, BOX)).box == tuple(BOX)
    assert read(np.diag(BOX) + np.array([[0, 0, 0], [1, 0, 0], [0, 0, 0]])).box == (0.0, 0.0, 0.0)
    grown = BOX * np.linspace(1, 1.1, FRAMES)[:, None]
    data = read(grown)
    np.testing.assert_allclose(data.features[:, 0, data.columns.cell][:, [0, 2, 5]], grown, rtol=1e-6)
    for wrong in (np.ones((FRAMES - 1, 3)), -grown, np.triu(np.ones((3, 3)))):
        with pytest.raises(
            InputError, match=r"t\.npz.*save its 3 edges, or 3 vectors as rows below its diagonal"
        ):
            read(wrong)


def test_arrays_of_runs_in_boxes_of_their_own(tmp_path: Path):
    for k, box in enumerate((BOX, 1.1 * BOX, np.diag(BOX))):
        np.savez(tmp_path / f"t_{k}.npz", positions=X, velocities=V, accelerations=F, box=box)
    data = OwnData(str(tmp_path / "t_*.npz"), time_step=0.1).load()
    edges = data.features[:, 0, data.columns.cell.start].reshape(3, -1)
    np.testing.assert_allclose(
        edges, np.tile(BOX[0] * np.array([[1], [1.1], [1]]), edges.shape[1]), rtol=1e-6
    )


def test_cells_of_tables_are_whole_and_axes_stay(tmp_path: Path):
    rows = ["time,particle,x,y,vx,vy,ax,ay,cell_lx,cell_xy,cell_ly"]
    for k in range(FRAMES):
        rows += [f"{k},{i},{0.1 * i},{0.2 * i + k},0,1,0,0,4,{0.1 * i},5" for i in range(3)]
    path = tmp_path / "t.csv"
    path.write_text("\n".join(rows))
    assert OwnData(str(path)).load().box == (0.0, 0.0)
    path.write_text("\n".join(row.rsplit(",", 2)[0] for row in rows))
    with pytest.raises(InputError, match=r"cell has 1 columns; give the 3 numbers of the lower triangle"):
        OwnData(str(path)).load()
    path.write_text("\n".join([*rows[:-1], rows[-1].replace(",4,", ",0,")]))
    with pytest.raises(InputError, match="periodic in some rows only"):
        OwnData(str(path)).load()


@pytest.mark.parametrize("names", ["x y zs", "xu y z", "xs yu z"])
def test_dumps_may_mix_coordinates(tmp_path: Path, names: str):
    dump(tmp_path / "t.dump", "unwrapped")
    lines = (tmp_path / "t.dump").read_text().replace("xu yu zu", names).split("\n")
    kept = []
    for line in lines:
        cells = line.split()
        if len(cells) == 11 and "ITEM" not in line:
            for k, name in enumerate(names.split()):
                if name.endswith("s"):
                    cells[2 + k] = repr(float((float(cells[2 + k]) - LOW[k]) / BOX[k]))
        kept.append(" ".join(cells))
    (tmp_path / "t.dump").write_text("\n".join(kept))
    data = OwnData(str(tmp_path / "t.dump"), blocks=3, time_step=0.02).load()
    off = data.features[..., :3] - X
    np.testing.assert_allclose(off, BOX * np.round(off / BOX), atol=2e-5)


def write_extxyz(path: Path, symbols: str, cell=lambda k: BOX, **info: float) -> None:
    ase, io = pytest.importorskip("ase"), pytest.importorskip("ase.io")
    frames = []
    for k in range(FRAMES):
        atoms = ase.Atoms(symbols, positions=X[k], cell=cell(k), pbc=True, info={"Time": 0.1 * k, **info})
        atoms.arrays |= {"vel": V[k], "force": F[k]}
        frames.append(atoms)
    io.write(path, frames, format="extxyz")


def test_extended_xyz(tmp_path: Path):
    write_extxyz(tmp_path / "t.extxyz", "Ar6")
    data = OwnData(str(tmp_path / "t.extxyz"), blocks=3).load()
    assert data.box == tuple(BOX) and data.further == ()
    off = data.features[..., :3] - X
    np.testing.assert_allclose(off, BOX * np.round(off / BOX), atol=2e-5)
    np.testing.assert_allclose(data.features[..., 3:6], V, atol=1e-7)
    np.testing.assert_allclose(data.accelerations, F, atol=1e-7)  # one kind: in units of its mass


def test_elements_give_masses(tmp_path: Path):
    write_extxyz(tmp_path / "t.xyz", "Na3Cl3")
    data = OwnData(str(tmp_path / "t.xyz"), blocks=3).load()
    assert data.further == ("kind_Cl", "kind_Na")
    assert data.features[0, :, 7].tolist() == pytest.approx([22.98977] * 3 + [35.45] * 3, rel=1e-4)
    np.testing.assert_allclose(data.accelerations[:, 0], F[:, 0] / 22.98976928, rtol=1e-5)
    assert any("masses are those of the elements" in note for note in data.notes)
    (tmp_path / "bad.xyz").write_text("3\n\nAr 0 0 0\nAr 1 1 1\n")
    with pytest.raises(InputError, match=r"bad\.xyz.*frame 0 cannot be read"):
        OwnData(str(tmp_path / "bad.xyz")).load()
