"""Which trajectories network and law are let run on, and what is said where they do not get to the end."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from gnn_distill.data.graphs import Subset, chain
from gnn_distill.distil.law import rollout as rollouts
from gnn_distill.distil.law.rollout import ENOUGH, evaluations, roll_out
from gnn_distill.model.network import ParticleGNN
from gnn_distill.physics.laws import ForceLaw, Spring, String
from gnn_distill.physics.simulate import Simulation
from gnn_distill.report.figures.rollout import caption

LAW = {"acceleration": ["-2*(r - 1)*dx/(m1*r)", "-2*(r - 1)*dy/(m1*r)"]}


def experiment(
    n: int,
    said: list[str],
    trajectories: int = 3,
    wanted: int = 12,
    law: ForceLaw | None = None,
    joined: Any = None,
):
    torch.manual_seed(0)
    x = torch.randn(2 * trajectories, n, 6)
    x[..., 5] = 1.0
    return SimpleNamespace(
        source=Simulation(law or Spring(), n=n, frames=2),
        data=SimpleNamespace(frames=2, spacing=None, adjacency=joined),
        datamodule=SimpleNamespace(test=Subset(x, torch.zeros(2 * trajectories, n, 2))),
        module=SimpleNamespace(model=ParticleGNN(2, 2, width=4, layers=1)),
        config={"symbolic": {"rollouts": wanted}, "split": "trajectories"},
        report=SimpleNamespace(line=said.append),
    )


@pytest.mark.parametrize(("n", "expected"), [(4, 3), (31, 2), (46, 1), (112, 1)])
def test_trajectories_of_many_particles_are_few(n: int, expected: int):
    said: list[str] = []
    rolled = roll_out(experiment(n, said), LAW)
    assert rolled is not None and rolled[1]["trajectories"] == expected and said == []
    assert expected == 1 or evaluations(expected * n * (n - 1)) >= ENOUGH
    assert rolled[1]["law"]["ended"] is None and np.isfinite(rolled[0]["law_error"]).all()


def test_a_rollout_that_ends_early_is_told_of(monkeypatch: pytest.MonkeyPatch):
    said: list[str] = []
    monkeypatch.setattr(rollouts, "evaluations", lambda edges: 8 if edges == 2 * 12 else 1)
    rolled = roll_out(experiment(4, said, wanted=2), LAW)
    assert rolled is not None and rolled[1]["law"]["ended"] == "8 evaluations were spent"
    assert any("rollout of the law ended at a time of 0 of 0.05: 8 evaluations" in line for line in said)
    figures = SimpleNamespace(law={"rollouts": rolled[1]})
    assert "for the distilled law (ended there: 8 evaluations were spent)" in caption(figures)


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
    rolled = roll_out(experiment(4, [], wanted=1, law=law, joined=joined), LAW)
    assert rolled is not None and ("energy_drift" in rolled[1]["law"]) is known
