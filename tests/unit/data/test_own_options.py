"""Options of own data that cannot be used, alone or with the file."""

from pathlib import Path

import numpy as np
import pytest

from gnn_distill.data.own.dataset import OwnData
from gnn_distill.errors import InputError
from gnn_distill.physics.laws import Coulomb, Spring, String
from tests.unit.data.test_own_bad_files import good

OPTIONS = {
    "path": [
        ("", "dataset.path=tracks.csv"),
        ("a.npz", "no such file"),
        ("a.mat", r"'\.mat' is not known.*\.npz"),
    ],
    "dim": [(4, r"\[2, 3\]"), (2.0, "whole number")],
    "features": [("radius", r"features=\[radius\]")],
    "units": [("um", "units=.length: um"), ({"speed": "c"}, "length, time, mass or charge")],
    "time_step": [(0, r"\(0, inf"), (-0.1, r"\(0, inf"), ("1", "number, not str")],
    "window": [(6, "odd number, say 7"), (1, r"\[3"), ("7", "auto or an odd whole")],
    "order": [(9, r"\[2, 8\]"), (1, r"\[2, 8\]")],
    "dynamics": [("third_order", "auto, first_order, second_order"), (1, "auto")],
    "box": [([1.0], "dataset.box="), ([0.0, 1.0], r"\(0, inf"), ([None, None], "null along"), (3.0, "edges")],
    "drop_edges": [("yes", "true or false")],
    "graph": [("star", "chain, complete, cutoff, file, nearest"), ("nearest", "give both")],
    "neighbours": [(2, "dataset.graph=nearest and dataset.neighbours go together")],
    "radius": [(0.0, r"\(0, inf")],
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
        ({"box": [3.0, 100.0]}, r"dataset.box = \[3.0, 100.0\].*span [4-9].* axis x.*edge is 3"),
        ({"box": [9.0, 9.0, 9.0]}, "give 2 edges"),
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


def saved(path: Path, **changes: object) -> str:
    arrays = {k: v for k, v in (good() | changes).items() if v is not None}
    np.savez(path / "t.npz", **arrays)
    return str(path / "t.npz")


@pytest.mark.parametrize(
    ("changes", "options", "between"),
    [
        ({}, {"time_step": 0.01, "every": 2}, 0.02),
        ({}, {}, None),
        ({"times": 0.5 * np.arange(10)}, {"every": 3}, 1.5),
        ({"times": np.arange(10) ** 2 / 10}, {}, None),  # uneven, which is no harm where nothing is derived
    ],
)
def test_the_time_between_kept_frames_is_known(tmp_path: Path, changes, options, between):
    data = OwnData(saved(tmp_path, **changes), blocks=1, **options).load()
    assert data.spacing == (between if between is None else pytest.approx(between))


def test_rounded_times_want_the_exact_step(tmp_path: Path):
    path = saved(tmp_path, times=np.round(np.arange(10) / 60, 2), velocities=None, accelerations=None)
    with pytest.raises(InputError, match="3 frames.*if times are only rounded.*dataset.time_step"):
        OwnData(path, drop_edges=False).load()
    options = {"drop_edges": False, "dynamics": "second_order"}
    assert OwnData(path, **options, time_step=1 / 60).load().spacing == pytest.approx(1 / 60)


def test_a_law_of_neighbours_is_compared_along_the_chain(tmp_path: Path):
    rng = np.random.default_rng(0)
    x = rng.standard_normal((3, 10, 4, 2))
    path = saved(tmp_path, positions=x, velocities=x, accelerations=x, masses=np.ones(4))
    joined = OwnData(path, law=String()).load().adjacency
    assert joined is not None and joined.sum() == 6
    assert OwnData(path, law=String(), graph="complete").load().adjacency is None
    assert OwnData(path, law=Spring()).load().adjacency is None


def test_masses_that_change_in_time_are_doubted(tmp_path: Path):
    rng = np.random.default_rng(0)
    x, steady = rng.standard_normal((3, 10, 4, 2)), np.exp(rng.standard_normal(4))
    arrays = {"positions": x, "velocities": x, "accelerations": x}
    for masses, doubted in ((steady, False), (steady * (1 + 0.01 * rng.random((3, 10, 4))), True)):
        doubts = OwnData(saved(tmp_path, **arrays, masses=masses)).load().doubts
        assert any("Masses change in time" in doubt for doubt in doubts) is doubted


def test_a_law_of_charges_is_refused_where_there_are_none(tmp_path: Path):
    x = np.random.default_rng(0).standard_normal((3, 10, 4, 2))
    bare = {"positions": x, "velocities": x, "accelerations": x, "masses": np.ones(4)}
    with pytest.raises(InputError, match="dataset.law.*acts on charges.*array charges"):
        OwnData(saved(tmp_path, **bare), law=Coulomb()).load()
    assert OwnData(saved(tmp_path, **bare), law=Spring()).load().frames == 10
    assert OwnData(saved(tmp_path, **bare, charges=np.ones(4)), law=Coulomb()).load().frames == 10


def test_positions_far_from_the_origin_are_moved_there(tmp_path: Path, caplog: pytest.LogCaptureFixture):
    x = good()["positions"]
    far = OwnData(saved(tmp_path, positions=x + [5e5, 5.4e6]), blocks=1).load().features[..., :2]
    assert "have been moved" in caplog.text
    np.testing.assert_allclose(far[:, 0] - far[:, 1], (x[:, :, 0] - x[:, :, 1]).reshape(-1, 2), atol=1e-6)
    caplog.clear()
    near = OwnData(saved(tmp_path), blocks=1).load().features[..., :2]
    np.testing.assert_allclose(near, x.reshape(-1, 2, 2), rtol=1e-6)
    assert "moved" not in caplog.text
    large = OwnData(saved(tmp_path, positions=1e3 * x), blocks=1).load()
    assert not any("change units" in doubt for doubt in large.doubts)
    small = saved(tmp_path, positions=1e-6 * x)
    assert not any("change units" in doubt for doubt in OwnData(small, blocks=1).load().doubts)
    softened = OwnData(small, blocks=1, law=Spring()).load()  # whose r = d + 0.01 has a scale
    assert "change units" in caplog.text and any("change units" in doubt for doubt in softened.doubts)
