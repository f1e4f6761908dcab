"""Radii that the program chooses, names or proposes in a box are such that it takes them."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from gnn_distill.data.own.box import half, rounded_down
from gnn_distill.data.own.dataset import OwnData
from gnn_distill.data.own.describe import describe
from gnn_distill.data.own.neighbours import typical_radius
from gnn_distill.errors import InputError

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
