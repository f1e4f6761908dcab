"""What programs write is read as they mean it."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from gnn_distill.data.own.dataset import OwnData
from gnn_distill.data.own.files.columns import Table, Wanted
from gnn_distill.data.own.files.names import Heading
from gnn_distill.data.own.files.places import files_of
from gnn_distill.data.own.files.read import ENDINGS, read, table_of
from gnn_distill.errors import InputError

FRAMES, N = 12, 3
RNG = np.random.default_rng(5)
X = (np.linspace(0, 1, FRAMES)[:, None, None] + RNG.normal(size=(1, N, 2)) * [3, 5]).round(6)
"""Positions [T, n, 2] with few digits, so that every format holds them exactly."""


def rows(**more: np.ndarray) -> pd.DataFrame:
    frame, particle = np.indices((FRAMES, N)).reshape(2, -1)
    plain = {"frame": frame, "particle": particle, "x": X[..., 0].ravel(), "y": X[..., 1].ravel()}
    return pd.DataFrame(plain | {name: np.broadcast_to(v, (FRAMES, N)).ravel() for name, v in more.items()})


def trackpy(path: Path) -> None:
    noise = RNG.random((7, FRAMES, N))
    columns = dict(zip(["mass", "size", "ecc", "signal", "raw_mass", "ep"], noise, strict=False))
    rows(**columns)[["y", "x", *columns, "frame", "particle"]].to_csv(path)


def pedpy(path: Path) -> None:
    head = "# PeTrack project: a.pet\n# framerate: 16.00\n# id frame x/cm y/cm z/cm\n"
    table = rows(z=np.array([176.0, 180, 169]))[["particle", "frame", "x", "y", "z"]]
    path.write_text(head + table.to_csv(index=False, header=False, sep=" "))


def bare(path: Path) -> None:
    table = rows().assign(particle=lambda t: t.particle + 1, frame=lambda t: t.frame + 1)
    table[["frame", "particle", "x", "y"]].to_csv(path, index=False, header=False, sep="\t")


def trackmate(path: Path) -> None:
    names = {
        "particle": "TRACK_ID",
        "x": "POSITION_X",
        "y": "POSITION_Y",
        "z": "POSITION_Z",
        "t": "POSITION_T",
    }
    table = rows(z=0.0, t=0.5 * np.arange(FRAMES)[:, None]).rename(columns=names | {"frame": "FRAME"})
    table.insert(0, "LABEL", [f"ID{k}" for k in range(len(table))])
    table.insert(1, "ID", range(1000, 1000 + len(table)))
    head = ",".join(table) + "\nLabel,Spot ID,Frame,Track ID,X,Y,Z,T\nLabel,Spot ID,Frame,Track ID,X,Y,Z,T\n"
    head += ",,(frame),,(micron),(micron),(micron),(sec)\n"
    stray = "ID9,9,0,,1.0,2.0,0.0,0.0\n"
    path.write_text(head + table.to_csv(index=False, header=False) + stray)


def imagej(path: Path) -> None:
    table = rows(z=0.0, m0=1.5).rename(columns={"particle": "Trajectory", "frame": "Frame"})
    table[["Trajectory", "Frame", "x", "y", "z", "m0"]].to_csv(path, index_label=" ")


def idtracker(path: Path) -> None:
    wide = {f"{axis}{i + 1}": X[:, i, k] for i in range(N) for k, axis in enumerate("xy")}
    wide |= {f"ProbId{i + 1}": np.ones(FRAMES) for i in range(N)}
    pd.DataFrame(wide).to_csv(path, index=False, sep="\t")


def german(path: Path) -> None:
    rows().rename(columns={"x": "X (µm)", "y": "Y (µm)"}).to_csv(path, index=False, sep=";", decimal=",")


DIALECTS: dict[str, tuple[str, Callable[[Path], None], str]] = {
    "trackpy": ("t.csv", trackpy, "brightness of a spot.*left out: size, ecc"),
    "pedpy": ("t.txt", pedpy, "1/16 s apart.*z never changes"),
    "no header": ("t.dat", bare, "taken for frame, id, x, y"),
    "trackmate": ("t.csv", trackmate, "belong to no track"),
    "imagej": ("t.csv", imagej, "row numbers.*trajectory is taken for the particle.*m0"),
    "idtracker": ("t.txt", idtracker, ""),
    "german": ("t.csv", german, "decimal commas"),
}


def table(path: Path, **wanted: object) -> Table:
    found = table_of([path], Wanted(**wanted))  # type: ignore[arg-type]
    assert found is not None
    return found


@pytest.mark.parametrize("dialect", DIALECTS)
def test_tables_of_tracking_programs(tmp_path: Path, dialect: str):
    name, write, words = DIALECTS[dialect]
    write(tmp_path / name)
    contents = read([tmp_path / name], Wanted())
    assert (contents.arrays["positions"] == X[None]).all()
    assert {*contents.arrays} <= {"positions", "times", "frames"} and contents.columns == ()
    assert pd.Series(" ".join(contents.notes)).str.contains(words).all(), contents.notes


def test_units_and_frame_rate_of_headers_and_comments(tmp_path: Path):
    pedpy(tmp_path / "t.txt")
    found = table(tmp_path / "t.txt")
    assert found.units == {"length": "cm", "time": "s"} and found.rows["time"].iloc[-1] == (FRAMES - 1) / 16
    assert table(tmp_path / "t.txt", time_step=0.1).clock == "frame"  # what the user says goes before it
    trackmate(tmp_path / "t.csv")
    assert table(tmp_path / "t.csv").units == {"length": "micron", "time": "sec"}
    assert table(tmp_path / "t.csv", units={"length": "um"}).units["length"] == "um"


@pytest.mark.parametrize(
    ("text", "name", "unit"),
    [
        ("x/cm", "x", "cm"),
        (" Y [m] ", "y", "m"),
        ("v_x/cm/s", "vx", "cm/s"),
        ("Velocity Y (um/s)", "vy", "um/s"),
        ("t_ms", "t", "ms"),
        ("Track ID", "track_id", None),
        ("force_z", "fz", None),
        ("a/b", "a/b", None),
        ("spin_s", "spin_s", None),
    ],
)
def test_headings(text: str, name: str, unit: str | None):
    assert (Heading.of(text).name, Heading.of(text).unit) == (name, unit)


def test_dimensions_are_those_in_which_particles_are(tmp_path: Path):
    deep = np.sin(np.arange(FRAMES))[:, None] + np.arange(N)
    for z, given, dim in (
        (1.0, None, 2),
        (deep, None, 3),
        (deep, 2, 2),
        (np.arange(N), None, 2),
        (1.0, 3, 3),
    ):
        rows(z=z).to_csv(tmp_path / "t.csv", index=False)
        assert table(tmp_path / "t.csv", dim=given).dim == dim


def test_forces_are_the_answer_and_no_input(tmp_path: Path):
    force, mass = RNG.normal(size=(2, FRAMES, N)), np.array([1.0, 2.0, 4.0])
    columns = {"fx": force[0], "fy": force[1], "vx": X[..., 0], "vy": X[..., 1], "type": np.array([1, 2, 1])}
    rows(**columns, mass=mass).to_csv(tmp_path / "t.csv", index=False)
    data = OwnData(str(tmp_path / "t.csv"), blocks=3).load()
    np.testing.assert_allclose(data.accelerations[..., 0], force[0] / mass, rtol=1e-6)
    assert data.further == ("kind_1", "kind_2")
    assert (data.features[0, :, 6:] == [[1, 0], [0, 1], [1, 0]]).all()
    assert any("never an input" in note for note in data.notes)


def test_kinds_are_switches_and_no_sizes(tmp_path: Path):
    rows(element=np.array(["Na", "Cl-", "Na"])).to_csv(tmp_path / "t.csv", index=False)
    found = table(tmp_path / "t.csv")
    assert found.features == found.kinds == ("kind_Cl", "kind_Na")
    assert found.rows["kind_Na"].head(3).tolist() == [1, 0, 1]
    rows(element=np.array(["Na", "Na", "Na"])).to_csv(tmp_path / "t.csv", index=False)
    assert table(tmp_path / "t.csv").features == ()


def test_columns_nobody_asked_for_are_left_out_with_a_word(tmp_path: Path):
    more = {"radius": np.array([1.0, 2, 3]), "ecc": RNG.random((FRAMES, N)), "theta": X[..., 0]}
    rows(**more, colour=np.array(["r", "g", "r"])).to_csv(tmp_path / "t.csv", index=False)
    found = table(tmp_path / "t.csv")
    assert found.features == ("theta",) and found.left_out == ("radius", "ecc", "colour")
    (note,) = (note for note in found.notes if "left out" in note)
    assert "ecc, colour; radius (the same in all frames" in note and "dataset.features=[radius]" in note
    asked = table(tmp_path / "t.csv", features=("radius", "colour"))
    assert asked.features == ("radius", "theta", "colour_g", "colour_r") and asked.left_out == ("ecc",)
    with pytest.raises(InputError, match=r"dataset.features.*no column 'spin'.*radius, ecc"):
        table(tmp_path / "t.csv", features=("spin",))


def test_each_of_several_files_is_a_run(tmp_path: Path):
    rows().to_csv(tmp_path / "a.csv", index=False)
    (2 * rows()).to_csv(tmp_path / "b.csv", index=False)
    for path in (str(tmp_path), f"{tmp_path}/*.csv", [f"{tmp_path}/a.csv", f"{tmp_path}/b.csv"]):
        positions = read(files_of(path, ENDINGS), Wanted()).arrays["positions"]
        assert (positions == np.stack([X, 2 * X])).all()
    bad = rows()
    bad.loc[7, "x"] = np.nan
    bad.to_csv(tmp_path / "b.csv", index=False)
    with pytest.raises(InputError, match="'x' holds nan in row 8 below the header of run b"):
        read(files_of(str(tmp_path), ENDINGS), Wanted())
    (tmp_path / "c.parquet").touch()
    with pytest.raises(InputError, match="files of several kinds.*pattern"):
        files_of(str(tmp_path), ENDINGS)


def test_what_is_numbered_by_particle_is_taken_apart(tmp_path: Path):
    names = ["x1", "x2", "y1", "y2", "vx1", "vx2", "vy1", "vy2", "m1", "m2", "spin_1", "spin_2"]
    wide = pd.DataFrame(RNG.random((FRAMES, 12)), columns=names).assign(t=0.1 * np.arange(FRAMES))
    wide.to_csv(tmp_path / "t.csv", index=False)
    found = read([tmp_path / "t.csv"], Wanted(features=("spin",)))
    values = wide.drop(columns="t").to_numpy().reshape(FRAMES, 6, 2)
    for name, k in (("positions", [0, 1]), ("velocities", [2, 3]), ("features", [5])):
        assert (found.arrays[name][0] == values[:, k].swapaxes(1, 2)).all()
    assert (found.arrays["masses"][0] == values[:, 4]).all()
    wide.assign(x_1=0.0).to_csv(tmp_path / "t.csv", index=False)
    with pytest.raises(InputError, match="mean the same of particle 1: x1.*x_1"):
        table(tmp_path / "t.csv")


def test_planets_have_names(tmp_path: Path):
    names = np.array(["Sun", "Earth", "Io"])
    rows(name=names).drop(columns="particle").to_csv(tmp_path / "t.csv", index=False)
    assert [*table(tmp_path / "t.csv").rows["particle"].cat.categories] == ["Earth", "Io", "Sun"]
    rows(body=names).drop(columns="particle").to_csv(tmp_path / "t.csv", index=False)
    found = table(tmp_path / "t.csv")
    assert [*found.rows["particle"].cat.categories] == ["Earth", "Io", "Sun"]
    assert any("column body is taken for the particle" in note for note in found.notes)


RECORDED = Path(__file__).parents[4] / "shared" / "data" / "pedestrians"
PEDESTRIANS = Path(os.environ.get("PEDESTRIANS", RECORDED))
"""A folder with data files of PedPy (github.com/PedestrianDynamics/PedPy)."""


@pytest.mark.skipif(not PEDESTRIANS.is_dir(), reason="set PEDESTRIANS to the folder of the recordings")
def test_real_recordings_of_pedestrians():
    corridor = table(PEDESTRIANS / "bi_corr_400_b_03.txt")
    assert corridor.dim == 2 and corridor.units == {"length": "cm", "time": "s"}
    assert table(PEDESTRIANS / "uo-050-180-180.txt").rows["x"].iloc[0] == 79.035
    assert {"vx", "vy"} <= {*table(PEDESTRIANS / "n34_cam2.csv").rows}
