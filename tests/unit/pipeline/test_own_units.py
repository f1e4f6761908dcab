"""Metres and Å, kilograms and u: the network computes the same, and constants have the units of the file."""

from pathlib import Path

import numpy as np
import pytest
import torch

from gnn_distill.distil.expressions.parse import parse, write
from gnn_distill.pipeline.build import build
from gnn_distill.pipeline.progress import Reporter

METRE, SECOND, KILOGRAM, COULOMB = 1e-10, 1e-15, 1.66e-27, 1.6e-19


def twins(folder: Path) -> list[str]:
    """The same particles twice, in units near 1 and in those of SI."""
    rng = np.random.default_rng(3)
    x, v, a = rng.standard_normal((3, 30, 9, 4, 2))
    m, q = rng.uniform(10, 40, (30, 4)), rng.choice([-1.0, 1.0, 2.0], (30, 4))
    t = 0.5 * np.arange(9)
    paths = []
    units = {"near": (1, 1, 1, 1), "si": (METRE, SECOND, KILOGRAM, COULOMB)}
    for name, (length, time, mass, charge) in units.items():
        arrays = {"positions": length * x, "velocities": length / time * v, "masses": mass * m}
        arrays |= {"accelerations": length / time**2 * a, "charges": charge * q, "times": time * t}
        np.savez(folder / f"{name}.npz", **arrays)
        paths.append(str(folder / f"{name}.npz"))
    return paths


@pytest.mark.filterwarnings("error:overflow")
def test_what_the_network_computes_does_not_depend_on_units(compose, tmp_path: Path):
    found = []
    for path in twins(tmp_path):
        experiment = build(compose("dataset=own", f"dataset.path={path}", "threads=1"), Reporter())
        train, model = experiment.datamodule.train, experiment.module.model
        model.calibrate(train.features, train.accelerations)
        with torch.no_grad():
            found.append(model(train.features)[0].double())
    near, si = found
    torch.testing.assert_close(si * SECOND**2 / METRE, near, rtol=1e-3, atol=1e-3 * float(near.abs().mean()))


@pytest.mark.parametrize("text", ["2.856364824775889e+52*q1*q2/r", "1.9677475521841916e-113/d**13"])
def test_constants_of_small_units_are_written_and_read(text: str):
    assert write(parse(text)) == write(parse(write(parse(text))))
