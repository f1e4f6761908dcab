"""Options of own data that cannot be used, alone or with the file."""

from pathlib import Path

import numpy as np
import pytest

from gnn_distill.errors import InputError
from gnn_distill.own import OwnData
from tests.unit.test_own_bad_files import good

OPTIONS = {
    "path": [
        ("", "dataset.path=tracks.csv"),
        ("a.npz", "no such file"),
        ("a.h5", r"'\.h5' is not known.*\.npz"),
    ],
    "dim": [(4, r"\[2, 3\]"), (2.0, "whole number")],
    "time_step": [(0, r"\(0, inf"), (-0.1, r"\(0, inf"), ("1", "number, not str")],
    "window": [(6, "odd number, say 7"), (1, r"\[3"), ("7", "whole")],
    "order": [(7, r"\[2, 6\]"), (1, r"\[2, 6\]")],
    "drop_edges": [("yes", "true or false")],
    "graph": [("star", "chain, complete, cutoff, file, nearest"), ("nearest", "give both")],
    "neighbours": [(2, "dataset.graph=nearest and dataset.neighbours go together")],
    "radius": [(1.0, "dataset.graph=cutoff and dataset.radius go together")],
    "blocks": [(0, r"\[1, inf"), (2.5, "whole")],
    "every": [(0, r"\[1, inf")],
    "law": [("spring", "ForceLaw")],
    "seed": [(-1, r"\[0, inf")],
}


@pytest.mark.parametrize(("key", "value", "fix"), [(k, *v) for k, vs in OPTIONS.items() for v in vs])
def test_bad_options_are_refused_before_the_file_is_read(tmp_path: Path, key: str, value: object, fix: str):
    path = tmp_path / "never_read.npz"
    path.touch()
    with pytest.raises(InputError, match=fix):
        OwnData(**({"path": str(path)} | {key: value}))  # type: ignore[arg-type]


def test_no_path_says_how_to_give_one():
    with pytest.raises(InputError, match="dataset.path = None.*give the file: dataset.path=tracks.csv"):
        OwnData()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"graph": "nearest", "neighbours": 2}, r"dataset.neighbours = 2.*\[1, 1\]"),
        ({"graph": "cutoff", "radius": 1e-9}, "dataset.radius = 1e-09.*larger"),
        ({"blocks": 40}, "dataset.blocks = 40.*10 frames"),
    ],
)
def test_options_that_the_file_contradicts(tmp_path: Path, options: dict[str, object], message: str):
    np.savez(tmp_path / "t.npz", **good())
    with pytest.raises(InputError, match=message):
        OwnData(str(tmp_path / "t.npz"), **options).load()  # type: ignore[arg-type]


def test_one_trajectory_in_one_block_cannot_be_split(tmp_path: Path):
    np.savez(tmp_path / "t.npz", **{k: v[0] for k, v in good().items() if k != "masses"})
    with pytest.raises(InputError, match="dataset.blocks = 1.*use 20"):
        OwnData(str(tmp_path / "t.npz"), blocks=1).load()


def test_a_folder_is_not_a_file(tmp_path: Path):
    (tmp_path / "folder.npz").mkdir()
    with pytest.raises(InputError, match="no such file"):
        OwnData(str(tmp_path / "folder.npz"))
