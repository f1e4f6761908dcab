"""Which trajectories network and law are let run on, and what is said where they do not get to the end."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch

from gnn_distill.data.graphs import Subset, chain
from gnn_distill.distil.law.rollout import ENOUGH, evaluations, roll_out
from gnn_distill.distil.problem import Evidence
from gnn_distill.model.network import ParticleGNN
from gnn_distill.physics.laws import ForceLaw, Spring, String
from gnn_distill.report.figures.rollout import caption

LAW = {"acceleration": ["-2*(r - 1)*dx/(m1*r)", "-2*(r - 1)*dy/(m1*r)"]}
FRAMES = 2


def evidence(
    n: int,
    trajectories: int = 3,
    law: ForceLaw | None = None,
    joined: npt.NDArray[np.bool_] | None = None,
) -> Evidence:
    torch.manual_seed(0)
    x = torch.randn(FRAMES * trajectories, n, 6)
    x[..., 5] = 1.0
    model = ParticleGNN(2, 2, width=4, layers=1)
    if joined is not None:
        model.connect(*map(torch.from_numpy, np.nonzero(joined)))
    of = torch.arange(trajectories).repeat_interleave(FRAMES)
    test = Subset(x, torch.zeros(len(x), n, 2), trajectory=of)
    recording: Any = None
    return Evidence(model, recording, test, test, test, law or Spring(), spacing=0.05)


@pytest.mark.parametrize(("n", "expected"), [(4, 3), (31, 2), (46, 1), (112, 1)])
def test_trajectories_of_many_particles_are_few(n: int, expected: int):
    said: list[str] = []
    rolled = roll_out(evidence(n), LAW, 12, said.append)
    assert rolled is not None and rolled[1]["trajectories"] == expected and said == []
    assert expected == 1 or evaluations(expected * n * (n - 1)) >= ENOUGH
    assert rolled[1]["law"]["ended"] is None and np.isfinite(rolled[0]["law_error"]).all()


def test_a_rollout_that_ends_early_is_told_of():
    said: list[str] = []
    rolled = roll_out(evidence(4), LAW, 2, said.append, limit=lambda edges: 8 if edges == 2 * 12 else 1)
    assert rolled is not None and rolled[1]["law"]["ended"] == "8 evaluations were spent"
    assert any("rollout of the law ended at a time of 0 of 0.05: 8 evaluations" in line for line in said)
    figures = SimpleNamespace(law={"rollouts": rolled[1]})
    assert "for the distilled law (ended there: 8 evaluations were spent)" in caption(figures)


def test_nothing_is_followed_where_no_trajectory_was_asked_for():
    assert roll_out(evidence(4), LAW, 0) is None


@pytest.mark.parametrize(
    ("law", "joined", "known"),
    [
        (Spring(), None, True),
        (Spring(), ~np.eye(4, dtype=bool), True),
        (Spring(), chain(4), False),
        (String(), chain(4), True),
        (String(), None, False),
    ],
)
def test_energy_is_shown_where_particles_interact_as_the_law_says(law: ForceLaw, joined: Any, known: bool):
    rolled = roll_out(evidence(4, law=law, joined=joined), LAW, 1)
    assert rolled is not None and ("energy_drift" in rolled[1]["law"]) is known
