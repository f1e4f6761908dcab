"""Every unusable file is refused with its name, what is wrong with it and what to do."""

import pickle
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from gnn_distill.data.own.dataset import OwnData
from gnn_distill.errors import InputError

Arrays = dict[str, np.ndarray]


def good() -> Arrays:
    """Arrays that load: three trajectories of ten frames, two particles."""
    rng = np.random.default_rng(0)
    x = rng.standard_normal((3, 10, 2, 2))
    return {"positions": x, "velocities": x.copy(), "accelerations": x.copy(), "masses": np.ones(2)}


def changed(name: str, value: object) -> Callable[[Arrays], Arrays]:
    return lambda arrays: arrays | {name: np.asarray(value)}


def without(*names: str) -> Callable[[Arrays], Arrays]:
    return lambda arrays: {k: v for k, v in arrays.items() if k not in names}


def spoilt(name: str, index: tuple[int, ...], value: float) -> Callable[[Arrays], Arrays]:
    def change(arrays: Arrays) -> Arrays:
        arrays[name][index] = value
        return arrays

    return change


def flat(arrays: Arrays) -> Arrays:
    return {"positions": np.zeros((10, 4))}


ARRAYS = {
    "no positions": (without("positions"), {}, "no array 'positions'.*velocities, accelerations, masses"),
    "two axes": (flat, {}, r"positions has shape \(10, 4\).*particles, dim"),
    "empty": (changed("positions", np.zeros((3, 0, 2, 2))), {}, r"\(3, 0, 2, 2\): it is empty"),
    "3-D with dim=2": (changed("positions", np.zeros((9, 4, 3))), {"dim": 2}, r"9, 4, 3\).*dataset\.dim=3"),
    "2-D with dim=3": (lambda a: a, {"dim": 3}, r"\(3, 10, 2, 2\).*dataset\.dim=2"),
    "4-D": (changed("positions", np.zeros((9, 5, 4))), {}, r"9, 5, 4\).*2 or 3 coordinates.*particles, dim"),
    "one particle": (changed("positions", np.zeros((9, 1, 2))), {}, r"\(9, 1, 2\): one particle"),
    "NaN": (spoilt("positions", (1, 4, 0, 1), np.nan), {}, r"positions holds nan at index \[1, 4, 0, 1\]"),
    "inf": (spoilt("accelerations", (2, 0, 1, 0), -np.inf), {}, r"accelerations holds -inf.*\[2, 0, 1, 0\]"),
    "velocities' shape": (
        changed("velocities", np.zeros((3, 9, 2, 2))),
        {},
        r"velocities has shape \(3, 9, 2, 2\) but positions has \(3, 10, 2, 2\)",
    ),
    "masses' shape": (changed("masses", np.ones(3)), {}, r"masses has shape \(3,\).*\(2,\).*\(3, 2\)"),
    "mass 0": (changed("masses", [1.0, 0.0]), {}, r"masses: 0 at .* \[0, 0, 1\].*positive"),
    "mass < 0": (changed("masses", [[1, 1], [1, 1], [-2, 1]]), {}, r"masses: -2 at .*\[2, 0, 0\]"),
    "text": (changed("charges", ["a", "b"]), {}, "charges holds values of type <U1.*real numbers"),
    "complex": (changed("charges", [1j, 1]), {}, "charges holds values of type complex128"),
    "features' shape": (changed("features", np.ones(2)), {}, r"features has shape \(2,\).*\[n, K\]"),
    "unknown array": (changed("velocitys", np.ones(2)), {}, "'velocitys' is not known.*velocities"),
    "twice": (changed("mass", np.ones(2)), {}, "masses is there twice, as 'mass'"),
    "times' shape": (changed("times", np.arange(9)), {}, r"times has shape \(9,\).*\(10,\) or \(3, 10\)"),
    "unsorted": (
        changed("times", [0, 1, 2, 3, 5, 4, 6, 7, 8, 9]),
        {},
        "times is not ascending: 4 at frame 5 comes after 5",
    ),
    "repeated time": (changed("times", [0, 1, 2, 3, 3, 4, 5, 6, 7, 8]), {}, "3 at frame 4 comes after 3"),
    "two clocks": (lambda a: a | {"times": np.arange(10), "dt": np.array(1.0)}, {}, "times and dt both"),
    "dt 0": (changed("dt", 0.0), {}, r"dt is 0\.0.*positive"),
    "edges' shape": (changed("edge_index", [[0, 1]]), {}, r"edge_index has shape \(1, 2\).*\(2, E\)"),
    "edges outside": (changed("edge_index", [[0, 1], [1, 2]]), {}, r"holds 2 at \[1, 1\].*0 to 1"),
    "self-loop": (changed("edge_index", [[0, 1], [1, 1]]), {}, r"particle 1 to itself \(edge 1\)"),
    "no edges": (lambda a: a, {"graph": "file"}, "no edge_index.*dataset.graph"),
}
DERIVED = {
    "no clock": (lambda a: a, {}, "dataset.time_step = None.*dataset.time_step=0.01"),
    "uneven": (
        changed("times", [0, 1, 2, 3, 5, 6, 7, 8, 9, 10]),
        {},
        r"6 frames \(of the longest unbroken track\)",
    ),
    "disagreement": (
        changed("times", 0.5 * np.arange(10)),
        {"time_step": 0.1},
        r"dataset.time_step = 0\.1.*0\.5 apart",
    ),
    "too few frames": (lambda a: a, {"time_step": 0.1, "window": 11}, "10 frames.*dataset.window=11"),
    "too many blocks": (lambda a: a, {"time_step": 0.1, "blocks": 3}, "dataset.blocks = 3.*4 frames, 7"),
}


@pytest.mark.parametrize("ending", ["npz", "pt"])
@pytest.mark.parametrize("case", [k for k in ARRAYS if k not in ("text",)])
def test_bad_arrays(tmp_path: Path, case: str, ending: str):
    change, options, message = ARRAYS[case]
    refused(tmp_path / f"bad.{ending}", change(good()), options, message)


def test_text_is_refused(tmp_path: Path):
    change, options, message = ARRAYS["text"]
    refused(tmp_path / "bad.npz", change(good()), options, message)


@pytest.mark.parametrize("case", DERIVED)
def test_files_that_cannot_be_differentiated(tmp_path: Path, case: str):
    change, options, message = DERIVED[case]
    refused(tmp_path / "bad.npz", change(without("accelerations")(good())), options, message)


def refused(path: Path, arrays: Arrays, options: dict[str, object], message: str) -> None:
    if path.suffix == ".npz":
        np.savez(path, **arrays)
    else:
        torch.save({k: torch.from_numpy(v.copy()) for k, v in arrays.items()}, path)
    with pytest.raises(InputError, match=message) as caught:
        OwnData(str(path), **options).load()
    assert caught.value.value == str(path) or message.startswith(caught.value.key)


ROWS = "time,particle,x,y\n" + "".join(f"{t},{i},{t + i},{t * i}\n" for t in range(9) for i in range(2))
TABLES = {
    "nothing": ("", {}, "first line is empty"),
    "header only": ("time,particle,x,y\n", {}, "no rows under the header.*time, particle, x, y"),
    "no x": (ROWS.replace(",x", ",px"), {}, "no column 'x' .found: time, particle, px, y"),
    "no clock": (ROWS.replace("time", "when"), {}, "no column 'time' or 'frame' .found: when"),
    "no particle": (ROWS.replace("particle", "who"), {}, "no column 'particle'"),
    "3-D velocity": ("time,particle,x,y,vz\n0,0,1,1,1\n", {}, "column 'vz' is a third dimension"),
    "2-D with dim=3": (ROWS, {"dim": 3}, "no column 'z'.*dataset.dim=2"),
    "not a number": (ROWS.replace("3,1,4,3", "3,1,4,no"), {}, "column 'y' holds 'no' in row 8 below"),
    "gap": (ROWS.replace("3,1,4,3", "3,1,4,"), {}, "'y' holds nan in row 8 .*empty cell is nan"),
    "NaN": (ROWS.replace("3,1,4,3", "3,1,4,nan"), {}, "'y' holds nan in row 8 below"),
    "cell lost": (ROWS.replace("3,1,4,3", "3,1,4"), {}, "'y' holds nan in row 8 below"),
    "cell too many": (ROWS.replace("3,1,4,3", "3,1,4,3,"), {}, "Expected 4 fields in line 9, saw 5"),
    "cells too many": (ROWS.replace("\n", ",\n").replace("y,", "y"), {}, "first row has more .* header, 4"),
    "true and false": ("time,particle,x,y\n0,0,1,True\n0,1,2,False\n", {}, "'y' holds True in row 1 below"),
    "empty label": (ROWS.replace("3,1,4,3", "3,,4,3"), {}, "'particle' is empty or nan in row 8 below"),
    "infinity": (ROWS.replace("3,1,4,3", "3,1,4,1e400"), {}, "'y' holds inf in row 8 below"),
    "empty line": (ROWS.replace("\n3,0", "\n\n3,0").replace("3,1,4,3", "3,1,4,x"), {}, "'x' in row 9 below"),
    "row twice": (
        ROWS.replace("3,1,4,3\n", "3,1,4,3\n" * 2),
        {},
        "particle 1 goes from time 3 to 3 in row 9",
    ),
    "unsorted": (
        ROWS + "4.5,0,1,1\n4.5,1,1,1\n",
        {},
        "particle 0 goes from time 8 to 4.5 in row 19",
    ),
    "frame lost": (ROWS.replace("3,0,3,0\n3,1,4,3\n", ""), {}, r"5 frames \(of the longest unbroken track\)"),
    "no name": (ROWS.replace("particle", ""), {}, "column 2 has no name.*index=False"),
    "no header": ("0.5,1,2,3\n" * 4, {}, "no line with names of its 4 columns; write a header"),
    "column twice": (ROWS.replace(",y", ",x"), {}, "column 'x' is there twice"),
    "one particle": ("time,particle,x,y\n0,0,1,1\n1,0,1,1\n", {}, "one particle"),
    "mass 0": (
        "time,particle,x,y,mass\n0,a,1,1,1\n0,b,1,1,0\n",
        {},
        r"masses: 0 at \[trajectory, frame, particle\] = \[0, 0, 1\]",
    ),
}


@pytest.mark.parametrize("case", TABLES)
def test_bad_tables(tmp_path: Path, case: str):
    text, options, message = TABLES[case]
    path = tmp_path / "bad.csv"
    path.write_text(text)
    with pytest.raises(InputError, match=message) as caught:
        OwnData(str(path), **options).load()
    assert (caught.value.key, caught.value.value) == ("dataset.path", str(path))


def test_half_a_vector_is_refused(tmp_path: Path):
    (tmp_path / "bad.csv").write_text("time,particle,x,y,vy\n0,0,1,1,1\n0,1,2,2,2\n")
    with pytest.raises(InputError, match="no column 'vx' .*vy"):
        OwnData(str(tmp_path / "bad.csv")).load()


@pytest.mark.parametrize(
    ("column", "values", "message"),
    [
        ("y", [1.0, None], "'y' holds nan in row 2 below the header"),
        ("y", ["1", "one"], "'y' holds 'one' in row 2"),
        ("y", [[1.0], [2.0]], r"'y' holds \[1\.\] in row 1"),
        ("particle", [0, None], "'particle' is empty or nan in row 2"),
    ],
)
def test_a_parquet_cell_that_is_no_number_is_named(tmp_path: Path, column: str, values: list, message: str):
    pyarrow, parquet = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    cells = {"time": [0.0, 0.0], "particle": [0, 1], "x": [0.0, 1.0], "y": [0.0, 1.0], column: values}
    parquet.write_table(pyarrow.table(cells), tmp_path / "bad.parquet")
    with pytest.raises(InputError, match=message):
        OwnData(str(tmp_path / "bad.parquet")).load()


class Bomb:
    """Unpickling it leaves a file behind."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self):
        return Path.touch, (self.path,)


@pytest.mark.parametrize("ending", ["npz", "pt"])
def test_pickled_objects_are_refused_unopened(tmp_path: Path, ending: str):
    bomb, path = Bomb(tmp_path / "exploded"), tmp_path / f"bad.{ending}"
    if ending == "npz":
        np.savez(path, positions=np.array([bomb], dtype=object))
    else:
        torch.save({"positions": bomb}, path)
    with pytest.raises(InputError, match="pickled Python objects, which are refused; save"):
        OwnData(str(path)).load()
    assert not (tmp_path / "exploded").exists()


@pytest.mark.filterwarnings("ignore:Detected pickle protocol")
@pytest.mark.parametrize("ending", ["npz", "pt", "parquet", "csv"])
@pytest.mark.parametrize("content", [b"", b"\x00\xff\xfe nonsense \x93" * 50, pickle.dumps({"a": 1})])
def test_garbage_is_refused(tmp_path: Path, ending: str, content: bytes):
    path = tmp_path / f"bad.{ending}"
    path.write_bytes(content)
    with pytest.raises(InputError, match=path.name):
        OwnData(str(path)).load()


@pytest.mark.parametrize("ending", ["npz", "pt"])
@pytest.mark.parametrize("part", [0.2, 0.6, 0.95])
def test_a_cut_off_file_is_refused(tmp_path: Path, ending: str, part: float):
    path = tmp_path / f"bad.{ending}"
    if ending == "npz":
        np.savez(path, **good())
    else:
        torch.save({k: torch.from_numpy(v) for k, v in good().items()}, path)
    content = path.read_bytes()
    path.write_bytes(content[: int(part * len(content))])
    with pytest.raises(InputError, match=path.name):
        OwnData(str(path)).load()


def test_a_flipped_byte_in_an_array_is_refused(tmp_path: Path):
    path = tmp_path / "bad.npz"
    np.savez(path, **good())
    content = bytearray(path.read_bytes())
    content[400] ^= 1
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"bad\.npz.*'positions' cannot be read.*CRC"):
        OwnData(str(path)).load()


@pytest.mark.parametrize(
    ("content", "message"),
    [(torch.zeros(3), "holds a Tensor"), ({"positions": [1, 2]}, "'positions' holds a list")],
)
def test_torch_files_hold_a_dict_of_tensors(tmp_path: Path, content: object, message: str):
    torch.save(content, tmp_path / "bad.pt")
    with pytest.raises(InputError, match=rf"{message}; save a dict of tensors"):
        OwnData(str(tmp_path / "bad.pt")).load()
