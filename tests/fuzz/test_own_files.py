"""Files of the user's own, wrong in every way: read correctly, or refused by name."""

from __future__ import annotations

import io
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from gnn_distill.data.own.dataset import OwnData
from gnn_distill.errors import InputError

SETTINGS = {"deadline": None, "suppress_health_check": list(HealthCheck)}
ODD = [np.nan, np.inf, -np.inf, 0.0, -1.0, 1e300, -1e300, 1e-300, 1e38, 4e38]
TYPES = ["f8", "f4", "f2", "i8", "u1", "b1", "c16", "U3", "S3", "M8[s]"]
NAMES = ["positions", "velocities", "accelerations", "masses", "charges", "features", "times", "frames", "dt"]
NAMES += ["edge_index", "position", "t", "x", "", "../x", "π"]
CELLS = ["", " ", "nan", "inf", "-1", "1e400", "x", "1,5", '"', "'", "0x1", "１", "\x00", "=1+1", "9" * 400]
OPTIONS = st.fixed_dictionaries(
    {},
    optional={
        "dim": st.sampled_from([None, 2, 3]),
        "features": st.sampled_from([None, [], ["z"], ["mass", "x "]]),
        "time_step": st.sampled_from([None, 0.1, 1e-300, 1e300]),
        "dynamics": st.sampled_from(["auto", "first_order", "second_order"]),
        "window": st.sampled_from(["auto", 3, 5, 7, 101]),
        "order": st.sampled_from([2, 3, 4, 6]),
        "drop_edges": st.booleans(),
        "graph": st.sampled_from([None, "complete", "chain", "nearest", "cutoff", "file", "none"]),
        "neighbours": st.sampled_from([None, 1, 2, 50]),
        "radius": st.sampled_from([None, 1e-9, 1.0, 1e9]),
        "box": st.sampled_from([None, [5.0, 1e9], [None, 1e6], [1e9, 1e9, 1e9]]),
        "blocks": st.sampled_from([None, 1, 3, 1000]),
        "every": st.sampled_from([1, 2, 1000]),
    },
)


def good(sims: int = 3, frames: int = 30, n: int = 3, dim: int = 2) -> dict[str, np.ndarray]:
    x = np.random.default_rng(0).standard_normal((sims, frames, n, dim)).cumsum(1)
    return {"positions": x, "masses": np.ones(n), "times": 0.1 * np.arange(frames)}


@st.composite
def contents(draw: st.DrawFn) -> dict[str, Any]:
    """Arrays of a file: good ones with some of them replaced, bent or taken away, and strange ones beside."""
    found: dict[str, Any] = good(
        draw(st.integers(1, 4)), draw(st.integers(1, 40)), draw(st.integers(1, 4)), draw(st.integers(1, 4))
    )
    for _ in range(draw(st.integers(0, 3))):
        name = draw(st.sampled_from(NAMES))
        kind = draw(st.sampled_from(["remove", "value", "axis", "type", "strange", "copy"]))
        old = found.get(name)
        if kind == "remove":
            found.pop(name, None)
        elif kind == "strange" or old is None:
            shape = draw(arrays.array_shapes(min_dims=0, max_dims=5, min_side=0, max_side=4))
            type_ = np.dtype(draw(st.sampled_from(TYPES)))
            found[name] = draw(arrays.arrays(type_, shape))
        elif kind == "value" and old.size and old.dtype.kind == "f":
            found[name] = old.copy()
            found[name].flat[draw(st.integers(0, old.size - 1))] = draw(st.sampled_from(ODD))
        elif kind == "axis" and old.ndim:
            axis = draw(st.integers(0, old.ndim - 1))
            found[name] = np.take(old, range(draw(st.integers(0, old.shape[axis]))), axis)
        elif kind == "type" and old.dtype.kind in "fiub":
            found[name] = old.astype(draw(st.sampled_from(["f2", "f4", "i4", "U8", "c8"])))
        elif kind == "copy":
            found[draw(st.sampled_from(NAMES))] = old
    return found


def table(frames: int, n: int) -> list[list[str]]:
    rows = [["time", "particle", "x", "y"]]
    rng = np.random.default_rng(0)
    return rows + [[str(t), str(k), *map(str, rng.normal(size=2))] for t in range(frames) for k in range(n)]


@st.composite
def texts(draw: st.DrawFn) -> bytes:
    """A table as bytes: cells, rows and columns changed, then perhaps the encoding, then perhaps cut off."""
    rows = table(draw(st.integers(0, 40)), draw(st.integers(1, 3)))
    for _ in range(draw(st.integers(0, 4))):
        row = draw(st.integers(0, len(rows) - 1)) if rows else 0
        match draw(st.sampled_from(["cell", "drop", "twice", "swap", "more", "less", "head"])):
            case "cell" if rows and rows[row]:
                rows[row][draw(st.integers(0, len(rows[row]) - 1))] = draw(st.sampled_from(CELLS) | st.text())
            case "drop" if rows:
                rows.pop(row)
            case "twice" if rows:
                rows.insert(row, rows[row])
            case "swap" if len(rows) > 2:
                rows[1], rows[-1] = rows[-1], rows[1]
            case "more" if rows:
                rows[row] = [*rows[row], draw(st.sampled_from(CELLS))]
            case "less" if rows:
                rows[row] = rows[row][:-1]
            case "head" if rows:
                names = ["time", "frame", "particle", "trajectory", "x", "y", "z", "vx", "mass", "", "x "]
                names += [
                    "X (µm)",
                    "x1",
                    "y1",
                    "x2",
                    "y2",
                    "fx",
                    "fy",
                    "kind",
                    "theta",
                    "POSITION_Y",
                    "TRACK_ID",
                ]
                rows[0] = draw(st.lists(st.sampled_from(names), max_size=6))
    rows = [[f"{draw(st.sampled_from('#%'))} {draw(st.text(max_size=9))}"]] * draw(st.integers(0, 2)) + rows
    text = draw(st.sampled_from(["\n", "\r\n", "\r"])).join(
        draw(st.sampled_from([",", ";", "\t", " "])).join(row) for row in rows
    )
    content = text.encode(draw(st.sampled_from(["utf-8", "utf-8-sig", "utf-16", "latin-1"])), "replace")
    return content[: draw(st.integers(0, len(content)))] if draw(st.booleans()) else content


def check(path: Path, options: dict[str, Any]) -> None:
    """The file is read into finite numbers of one shape, or refused in words that name it or an option."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        warnings.simplefilter("ignore", RuntimeWarning)
        try:
            data = OwnData(str(path), **options).load()
        except InputError as error:
            assert error.key.startswith("dataset.") and error.fix and len(str(error)) < 2000
            assert path.name in str(error) or error.key != "dataset.path"
            return
    graphs, n, _ = data.features.shape
    assert graphs > 0 and n >= 2 and data.accelerations.shape[:2] == (graphs, n)
    assert np.isfinite(data.features).all() and np.isfinite(data.accelerations).all()
    assert graphs % data.frames == 0 and (data.features[..., 2 * data.accelerations.shape[-1] + 1] > 0).all()


def write(path: Path, found: dict[str, Any]) -> None:
    if path.suffix == ".npz":
        with path.open("wb") as file:
            np.savez(file, **{name or "_": value for name, value in found.items()})
        return
    numbers = {k: v for k, v in found.items() if np.asarray(v).dtype.kind in "fiubc"}
    torch.save({k: torch.from_numpy(np.array(v)) for k, v in numbers.items()}, path)


def fuzz_arrays(folder: Path, examples: int, **more: Any) -> None:
    @settings(max_examples=examples, **SETTINGS, **more)
    @given(contents(), OPTIONS, st.sampled_from([".npz", ".pt"]))
    def each(found: dict[str, Any], options: dict[str, Any], ending: str) -> None:
        path = folder / f"case{ending}"
        write(path, found)
        check(path, options)

    each()


def fuzz_tables(folder: Path, examples: int, **more: Any) -> None:
    @settings(max_examples=examples, **SETTINGS, **more)
    @given(texts(), OPTIONS)
    def each(content: bytes, options: dict[str, Any]) -> None:
        path = folder / "case.csv"
        path.write_bytes(content)
        check(path, options)

    each()


def written(folder: Path) -> dict[str, bytes]:
    """Good files of other programs, by their ending."""
    x = good()["positions"][0]
    np.save(folder / "good.npy", x)
    files = {".npy": (folder / "good.npy").read_bytes()}
    lines, atoms = [], []
    for k, frame in enumerate(x):
        head = f"ITEM: TIMESTEP\n{k}\nITEM: NUMBER OF ATOMS\n{len(frame)}\nITEM: BOX BOUNDS pp ff pp\n"
        lines.append(head + "-9 9\n" * 3 + "ITEM: ATOMS id type xs ys zs fx fy fz")
        lines += [f"{i} {i % 2} {a / 9} {b / 9} 0 {b} {a} 0" for i, (a, b) in enumerate(frame.tolist())]
        atoms += [str(len(frame)), 'Lattice="9 0 0 0 9 0 0 0 9" Properties=species:S:1:pos:R:3:vel:R:3']
        atoms += [f"Ar {a} {b} 0 {b} {a} 0" for a, b in frame.tolist()]
    files[".dump"], files[".xyz"] = "\n".join(lines).encode(), "\n".join(atoms).encode()
    rows = [f"{i} {k} {a} {b}" for k, frame in enumerate(x) for i, (a, b) in enumerate(frame.tolist())]
    files[".txt"] = "\n".join(["# framerate: 25 fps", "# id frame x/cm y/cm", *rows]).encode()
    h5py = pytest.importorskip("h5py")
    with h5py.File(folder / "good.h5", "w") as file:
        file["trajectories"], file["dt"] = x, 0.1
    return files | {".h5": (folder / "good.h5").read_bytes()}


def fuzz_bytes(folder: Path, examples: int, **more: Any) -> None:
    """Good files with bytes cut, changed or put in, and no files at all."""
    whole: dict[str, bytes] = {}
    for ending in (".npz", ".pt"):
        write(folder / f"good{ending}", good())
        whole[ending] = (folder / f"good{ending}").read_bytes()
    whole[".csv"] = "\n".join(",".join(row) for row in table(30, 3)).encode()
    pyarrow = pytest.importorskip("pyarrow")
    from pyarrow import csv, parquet

    parquet.write_table(csv.read_csv(io.BytesIO(whole[".csv"])), folder / "good.parquet")
    whole[".parquet"] = (folder / "good.parquet").read_bytes()
    assert pyarrow
    whole |= written(folder)

    @settings(max_examples=examples, **SETTINGS, **more)
    @given(st.sampled_from(sorted(whole)), st.data())
    def each(ending: str, data: st.DataObject) -> None:
        content = bytearray(whole[ending])
        for _ in range(data.draw(st.integers(1, 3))):
            place = data.draw(st.integers(0, max(0, len(content) - 1)))
            match data.draw(st.sampled_from(["cut", "change", "insert", "junk"])):
                case "cut":
                    del content[place:]
                case "change" if content:
                    content[place] = data.draw(st.integers(0, 255))
                case "insert":
                    content[place:place] = data.draw(st.binary(max_size=8))
                case "junk":
                    content = bytearray(data.draw(st.binary(max_size=64)))
        path = folder / f"case{ending}"
        path.write_bytes(bytes(content))
        check(path, {})

    each()


FUZZ = [fuzz_arrays, fuzz_tables, fuzz_bytes]


@pytest.mark.parametrize("fuzz", FUZZ)
def test_files(fuzz: Any, tmp_path: Path):
    fuzz(tmp_path, 60, derandomize=True)


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("fuzz", FUZZ)
def test_many_files(fuzz: Any, tmp_path: Path):
    fuzz(tmp_path, 600)
