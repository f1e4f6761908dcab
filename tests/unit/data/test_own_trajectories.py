"""Binary trajectories of molecular dynamics give the particles that were written, in Å, ps and u."""

from __future__ import annotations

import sys
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.io import netcdf_file

from gnn_distill.data.own.dataset import OwnData
from gnn_distill.data.own.files.columns import Table, Wanted
from gnn_distill.data.own.files.names import CELL
from gnn_distill.data.own.files.read import table_of
from gnn_distill.errors import InputError
from gnn_distill.pipeline.keys import sources

FRAMES, N, STEP, BOX = 40, 6, 0.5, np.array([14.0, 15.0, 16.0])
RNG = np.random.default_rng(3)
RATES, PHASES = RNG.uniform(0.1, 0.3, (N, 3)), RNG.uniform(0, 6, (N, 3))
ANGLES = RATES * STEP * np.arange(FRAMES)[:, None, None] + PHASES
X = RNG.uniform(-1, 15, (N, 3)) + 2.0 * np.sin(ANGLES)
V, A = 2.0 * RATES * np.cos(ANGLES), -2.0 * RATES**2 * np.sin(ANGLES)
NAMES = {"Ar": ["Ar"] * N, "NaCl": ["Na"] * 3 + ["Cl"] * 3}
MASSES = np.array([22.98976928] * 3 + [35.45] * 3)


def universe(names: list[str], with_forces: bool = False) -> Any:
    """Atoms in memory."""
    library = pytest.importorskip("MDAnalysis")
    made = library.Universe.empty(
        len(names),
        trajectory=True,
        velocities=with_forces,
        forces=with_forces,
        atom_resindex=[0] * len(names),
    )
    made.add_TopologyAttr("names", names)
    made.add_TopologyAttr("elements", names)
    made.add_TopologyAttr("resnames", ["ALL"])
    return made


def write(
    path: Path, kind: str = "Ar", moving: bool = False, box: Any = lambda k: BOX, angles: Any = 90.0
) -> str:
    """A trajectory, and its topology, a PDB file, whose path is returned."""
    library = pytest.importorskip("MDAnalysis")
    atoms, topology = universe(NAMES[kind], moving), path.with_name("atoms.pdb")
    more = {"dt": STEP} if path.suffix == ".dcd" else {}
    more |= {"velocities": moving, "forces": moving} if path.suffix == ".ncdf" else {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        atoms.atoms.positions = X[0]
        atoms.atoms.write(str(topology))
        with library.Writer(str(path), len(atoms.atoms), **more) as writer:
            for k in range(FRAMES):
                step = atoms.trajectory.ts
                step.frame, step.time, step.data["time"] = k, STEP * k, STEP * k
                step.positions = X[k]
                if moving:
                    step.velocities = V[k]
                    step.forces = A[k] * MASSES[:, None] / 100.0  # kJ/(mol Å), as MDAnalysis has them
                lengths = box(k)
                step.dimensions = None if lengths is None else [*lengths, angles, 90.0, 90.0]
                writer.write(atoms.atoms)
    return str(topology)


def rows_of(path: Path, topology: str | None, **more: Any) -> Table:
    found = table_of([path], Wanted(topology=topology, **more))
    assert found is not None
    return found


def vectors(table: Table, prefix: str = "") -> np.ndarray:
    """Components [F, N, 3]."""
    return table.rows[[prefix + axis for axis in "xyz"]].to_numpy().reshape(FRAMES, N, 3)


@pytest.mark.parametrize(
    ("ending", "exact"), [(".dcd", 1e-5), (".xtc", 6e-3), (".trr", 1e-5), (".ncdf", 1e-5)]
)
def test_positions_times_and_the_box_are_those_that_were_written(tmp_path: Path, ending: str, exact: float):
    path = tmp_path / f"t{ending}"
    table = rows_of(path, write(path))
    x = vectors(table)
    delta = x - X
    assert np.abs(delta - BOX * np.round(delta / BOX)).max() < exact
    assert (x >= 0).all() and (x <= BOX).all() and (X < 0).any() and (X > BOX).any()
    assert table.box == pytest.approx(tuple(BOX), rel=1e-6) and table.kinds == ()
    assert table.rows["time"].to_numpy()[::N] == pytest.approx(STEP * np.arange(FRAMES), rel=1e-5)
    assert table.units == {"length": "Å", "time": "ps", "mass": "u"}
    assert set(table.rows["mass"]) == {39.948} and "vx" not in table.rows
    assert sorted(p.name for p in tmp_path.iterdir()) == ["atoms.pdb", path.name]  # and no file of offsets


@pytest.mark.parametrize("ending", [".trr", ".ncdf"])
def test_velocities_and_forces_are_in_the_units_of_positions_and_times(tmp_path: Path, ending: str):
    path = tmp_path / f"t{ending}"
    topology = write(path, "NaCl", moving=True)
    table = rows_of(path, topology)
    np.testing.assert_allclose(vectors(table, "v"), V, atol=2e-6)
    np.testing.assert_allclose(vectors(table, "a"), A, atol=1e-6)
    assert table.rows["mass"].to_numpy()[:N] == pytest.approx(MASSES) and table.kinds == (
        "kind_Cl",
        "kind_Na",
    )
    assert any("forces in u Å/ps²" in note for note in table.notes)
    assert any("masses are those of the elements, in u: Na 22.9898, Cl 35.45" in note for note in table.notes)
    data = OwnData(str(path), topology=topology, blocks=3).load()
    assert not any("elocities" in doubt for doubt in data.doubts)


def write_amber(path: Path, scale: float | None) -> None:
    """NetCDF as AMBER writes it: velocities in Å by 1/20.455 ps, and what they are to be multiplied by."""
    with netcdf_file(path, "w", version=2) as file:
        file.Conventions, file.ConventionVersion = "AMBER", "1.0"
        file.program, file.programVersion = "sander", "9.0"
        for name, size in (("frame", FRAMES), ("spatial", 3), ("atom", N)):
            file.createDimension(name, size)
        file.createVariable("spatial", "c", ("spatial",))[:] = [b"x", b"y", b"z"]
        time = file.createVariable("time", "f", ("frame",))
        time.units, time[:] = "picosecond", STEP * np.arange(FRAMES)
        places = file.createVariable("coordinates", "f", ("frame", "atom", "spatial"))
        places.units, places[:] = "angstrom", X
        velocities = file.createVariable("velocities", "f", ("frame", "atom", "spatial"))
        velocities.units, velocities[:] = "angstrom/picosecond", V / 20.455
        if scale is not None:
            velocities.scale_factor = np.float32(scale)


def test_velocities_of_amber_are_scaled_as_the_file_says_and_refused_where_it_does_not(tmp_path: Path):
    topology = write(tmp_path / "t.dcd")
    write_amber(tmp_path / "amber.nc", 20.455)
    table = rows_of(tmp_path / "amber.nc", topology)
    np.testing.assert_allclose(vectors(table, "v"), V, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(vectors(table), X, atol=1e-5)
    assert table.box is None
    write_amber(tmp_path / "amber.nc", None)
    with pytest.raises(InputError, match=r"20\.4"):
        OwnData(str(tmp_path / "amber.nc"), topology=topology, blocks=3).load()


def test_times_of_a_dcd_are_told_and_can_be_given(tmp_path: Path):
    topology = write(tmp_path / "t.dcd")
    told = rows_of(tmp_path / "t.dcd", topology)
    assert any("frames are 0.5 ps apart, as the header says" in note for note in told.notes)
    given = rows_of(tmp_path / "t.dcd", topology, time_step=0.25)
    assert given.clock == "frame" and given.rows["frame"].tolist()[::N] == [*range(FRAMES)]
    data = OwnData(str(tmp_path / "t.dcd"), topology=topology, time_step=0.25, blocks=3).load()
    assert data.spacing == pytest.approx(0.25)


def test_a_dcd_of_lammps_is_in_units_of_its_own(tmp_path: Path):
    path = tmp_path / "t.dcd"
    topology, whole = write(path), path.read_bytes()
    path.write_bytes(whole[:100] + b"Written by LAMMPS" + whole[117:])  # its title
    table = rows_of(path, topology)
    assert table.clock == "frame" and table.units == {"mass": "u"}
    assert table.notes[0].startswith("LAMMPS wrote it in units of its own")
    assert table.box == pytest.approx(tuple(BOX), rel=1e-6)
    with pytest.raises(InputError, match=r"dataset\.time_step"):
        OwnData(str(path), topology=topology, blocks=3).load()


def test_what_is_derived_from_a_trajectory_is_right(tmp_path: Path):
    topology = write(tmp_path / "t.trr")
    options: dict[str, Any] = {"blocks": 1, "window": 7, "dynamics": "second_order"}
    names = [str(tmp_path / f"t_{k}.trr") for k in range(3)]
    for name in names:
        Path(name).write_bytes((tmp_path / "t.trr").read_bytes())
    data = OwnData(names, topology=topology, **options).load()
    assert data.features.shape == (3 * (FRAMES - 6), N, 8)
    np.testing.assert_allclose(data.features[: FRAMES - 6, :, 3:6], V[3:-3], atol=1e-3)
    np.testing.assert_allclose(data.accelerations[: FRAMES - 6], A[3:-3], atol=1e-3)


def test_elements_are_guessed_where_the_topology_has_none(tmp_path: Path):
    write(tmp_path / "t.xtc", "NaCl")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        universe(NAMES["NaCl"]).atoms.write(str(tmp_path / "atoms.gro"))
    table = rows_of(tmp_path / "t.xtc", str(tmp_path / "atoms.gro"))
    assert table.rows["mass"].to_numpy()[:N] == pytest.approx(MASSES) and table.kinds == (
        "kind_Cl",
        "kind_Na",
    )
    assert "elements are guessed from the names of atoms" in table.notes


@pytest.mark.parametrize(
    ("box", "angles", "message"),
    [
        (lambda k: BOX if k < 20 else [0, 0, 0], 90.0, r"periodic along x, y, z, and frame 20 along no axis"),
    ],
)
def test_boxes_that_cannot_be_used_are_refused(tmp_path: Path, box, angles: float, message: str):
    topology = write(tmp_path / "t.trr", box=box, angles=angles)
    with pytest.raises(InputError, match=rf"t\.trr.*{message}"):
        rows_of(tmp_path / "t.trr", topology)


@pytest.mark.parametrize("angle", [90.0, 80.0])
def test_boxes_that_grow_or_are_tilted(tmp_path: Path, angle: float):
    topology = write(tmp_path / "t.trr", box=lambda k: BOX * (1 + 0.001 * k), angles=angle)
    table = rows_of(tmp_path / "t.trr", topology)
    assert table.box is None
    cell = table.rows[[*CELL]].to_numpy().reshape(len(X), -1, 6)
    lengths = BOX * (1 + 0.001 * np.arange(len(X)))[:, None]
    np.testing.assert_allclose(cell[:, 0, 0], lengths[:, 0], rtol=1e-5)
    b, c = cell[:, 0, 1:3], cell[:, 0, 3:]
    np.testing.assert_allclose(np.linalg.norm(b, axis=1), lengths[:, 1], rtol=1e-5)
    np.testing.assert_allclose(np.linalg.norm(c, axis=1), lengths[:, 2], rtol=1e-5)
    cosine = (b * c[:, :2]).sum(1) / lengths[:, 1] / lengths[:, 2]  # the first angle is that of b and c
    np.testing.assert_allclose(cosine, np.cos(np.radians(angle)), atol=1e-5)
    np.testing.assert_allclose(vectors(table), X, atol=1e-5)  # positions stay as they were written


def test_without_a_box_space_is_open(tmp_path: Path):
    topology = write(tmp_path / "t.dcd", box=lambda k: None)
    table = rows_of(tmp_path / "t.dcd", topology)
    assert table.box is None
    np.testing.assert_allclose(vectors(table), X, atol=1e-5)


def test_a_topology_is_asked_for_and_must_fit(tmp_path: Path):
    path = tmp_path / "t.xtc"
    topology = write(path)
    with pytest.raises(InputError, match=r"dataset\.topology = None .*dataset\.topology=system\.pdb"):
        OwnData(str(path)).load()
    with pytest.raises(InputError, match=r"dataset\.topology = 'no\.pdb'.*there is no such file"):
        OwnData(str(path), topology="no.pdb").load()
    (tmp_path / "bad.pdb").write_bytes(b"\x00\xff" * 20)
    with pytest.raises(InputError, match=r"dataset\.topology = .*bad\.pdb"):
        OwnData(str(path), topology=str(tmp_path / "bad.pdb")).load()
    universe(["Ar"] * 5).atoms.write(str(tmp_path / "five.pdb"))
    with pytest.raises(
        InputError, match=r"dataset\.topology = .*five\.pdb'.*it is of 5 atoms, and t\.xtc of oth"
    ):
        OwnData(str(path), topology=str(tmp_path / "five.pdb")).load()
    (tmp_path / "t.csv").write_text("id,t,x,y\n1,0,0,0\n1,1,0,0\n")
    with pytest.raises(InputError, match=r"dataset\.topology = .*goes with trajectories that end in \.dcd"):
        OwnData(str(tmp_path / "t.csv"), topology=topology).load()


@pytest.mark.parametrize("ending", [".dcd", ".xtc", ".trr", ".ncdf"])
def test_a_damaged_trajectory_is_named(tmp_path: Path, ending: str, capfd: pytest.CaptureFixture[str]):
    path = tmp_path / f"t{ending}"
    topology = write(path)
    whole = path.read_bytes()
    middle = len(whole) // 2
    inside = whole[:middle] + b"\xff" * 60 + whole[middle + 60 :]  # a TRR is then read up to there
    for damaged in (whole[:30], b"", b"none" * 30, *([inside] if ending != ".trr" else [])):
        path.write_bytes(damaged)
        with pytest.raises(InputError, match=rf"t\{ending}' cannot be used: .*frame \d+ .*; c"):
            rows_of(path, topology)
    assert "Exception ignored" not in capfd.readouterr().err


def test_without_mdanalysis_the_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    topology = tmp_path / "atoms.pdb"
    topology.write_text("END\n")
    (tmp_path / "t.xtc").write_bytes(b"0")
    monkeypatch.setitem(sys.modules, "MDAnalysis", None)
    with pytest.raises(InputError, match=r"reading \.xtc needs MDAnalysis; pip install 'gnn_distill\[md\]'"):
        OwnData(str(tmp_path / "t.xtc"), topology=str(topology)).load()


def test_another_topology_is_another_dataset(tmp_path: Path):
    (tmp_path / "t.xtc").write_bytes(b"0")
    (tmp_path / "atoms.pdb").write_text("one")
    dataset = {"path": str(tmp_path / "t.xtc"), "topology": str(tmp_path / "atoms.pdb")}
    before = sources(dataset)
    (tmp_path / "atoms.pdb").write_text("two")
    assert before["content"] != sources(dataset)["content"]
