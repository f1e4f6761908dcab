"""Which trajectories network and law are let run on, and what is said where they do not get to the end."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import numpy.typing as npt
import pytest
import torch

from gnn_distill.arrays import Array
from gnn_distill.data.graphs import Subset
from gnn_distill.data.particles import chain
from gnn_distill.distil.law.rollout import ENOUGH, evaluations, roll_out
from gnn_distill.distil.problem import Evidence
from gnn_distill.model.network import ParticleGNN
from gnn_distill.physics.laws import ForceLaw, Spring, String
from gnn_distill.report.figures.rollout import caption, rollout

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
    x[..., 4:] = 1.0
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


def test_each_run_goes_on_with_the_edges_of_its_own():
    known = evidence(2, trajectories=2)
    mask = torch.tensor([[True, True], [True, True], [False, False], [False, False]])
    rolled = roll_out(replace(known, test=replace(known.test, edge_mask=mask)), LAW, 2)
    assert rolled is not None and "law_drift" not in rolled[0]
    whole = roll_out(known, LAW, 2)
    x, free = rolled[0]["law_positions"], known.test.features.double().numpy()
    assert whole is not None and x[0] == pytest.approx(whole[0]["law_positions"][0], abs=1e-6)
    assert x[1, 1] == pytest.approx(free[2, :, :2] + 0.05 * free[2, :, 2:4], abs=1e-6)
    changing = replace(known.test, edge_mask=mask ^ torch.tensor([[True], [False], [False], [False]]))
    assert roll_out(replace(known, test=changing), LAW, 2) is None


def along(times: Array, start: Array, speed: Array, rest: Any) -> Array:
    """Graphs of particles that move straight on, one trajectory; features [T, n, F]."""
    places = start + np.asarray(times)[:, None, None] * speed
    constant = np.broadcast_to(np.asarray(rest, dtype=float), (*places.shape[:2], np.shape(rest)[-1]))
    return np.concatenate([places, np.broadcast_to(speed, places.shape), constant], axis=-1)


def seen(x: Array, **more: Any) -> Evidence:
    """Evidence of one trajectory with features [T, n, F], two of them further columns where F is 8."""
    further = ("size", "theta")[: x.shape[-1] - 6]
    box, order = more.get("box"), more.get("order", 2)
    a = torch.zeros(*x.shape[:2], 2)
    test = Subset(torch.from_numpy(x).float(), a, None, torch.zeros(len(x)), further, box)
    model, recording = ParticleGNN(2, 2, width=4, layers=1, extra_features=len(further)), cast(Any, None)
    return Evidence(model, recording, test, test, test, None, spacing=TIMES[1], order=order)


TIMES = 0.1 * np.arange(6)
START, SPEED = np.array([[0.2, 0.5], [1.9, -0.4]]), np.array([[1.0, 0.0], [-3.0, 0.5]])


def test_further_columns_that_stay_are_read_and_those_that_change_forbid_a_rollout():
    x = along(TIMES, START, SPEED, [[0, 1, 2, 0.3], [0, 1, 0, 0.5]])
    law = {"acceleration": ["0", "0"], "one_body": ["size1", "0"], "further": ["size", "theta"]}
    rolled = roll_out(seen(x), law, 1)
    assert rolled is not None
    assert rolled[0]["law_error"][0] == pytest.approx(TIMES**2 / np.sqrt(2), abs=1e-5)
    x[3, 0, 7] += 1e-3
    assert roll_out(seen(x), law, 1) is None


def test_in_first_order_the_law_is_the_velocity():
    x = along(TIMES, START, 0 * SPEED, [[0, 1], [0, 1]])
    x[..., :2] = START * np.exp(-0.5 * TIMES)[:, None, None]  # velocities in the features say nothing
    law = {"acceleration": ["0", "0"], "one_body": ["-0.5*x", "-0.5*y"], "order": 1}
    evidence = seen(x, order=1)
    rolled = roll_out(evidence, law, 1)
    assert rolled is not None and rolled[1]["law"]["position_error"] < 1e-5
    with torch.no_grad():
        for parameter in evidence.model.parameters():
            parameter.zero_()
    rolled = roll_out(evidence, law, 1)  # a network that says zero stands still
    assert rolled is not None and (rolled[0]["network_positions"] == rolled[0]["true_positions"][:, :1]).all()


def test_in_a_box_tracks_have_no_jumps_and_the_law_reads_positions_inside():
    x = along(TIMES, START, SPEED, [[0, 1], [0, 1]])
    straight = x[..., :2].copy()
    x[..., 0] %= 2.0
    law = {"acceleration": ["0", "0"], "box": [2.0, None]}
    rolled = roll_out(seen(x, box=(2.0, None)), law, 1)
    assert rolled is not None and rolled[0]["true_positions"][0] == pytest.approx(straight, abs=1e-6)
    assert rolled[1]["law"]["position_error"] < 1e-5
    read = roll_out(seen(x, box=(2.0, None)), law | {"one_body": ["0", "log(2.05 - x) + log(x + 0.05)"]}, 1)
    assert read is not None and np.isfinite(read[0]["law_error"]).all()  # NaN outside of the box


def test_random_steps_are_drawn_where_diffusion_is_known():
    rng, dt, constant = np.random.default_rng(7), TIMES[1], 0.02
    x = np.zeros((150, 12, 6))
    x[0, :, :2] = rng.normal(size=(12, 2)) * np.sqrt(constant / 0.5)
    for t in range(1, 150):  # a trap, at rest in the mean
        x[t, :, :2] = x[t - 1, :, :2] * (1 - 0.5 * dt)
        x[t, :, :2] += np.sqrt(2 * constant * dt) * rng.normal(size=(12, 2))
    law = {"acceleration": ["0", "0"], "one_body": ["-0.5*x", "-0.5*y"], "order": 1}
    law |= {"estimates": {"diffusion": [constant, 0.019, 0.021]}}
    evidence = seen(x, order=1)
    for parameter in evidence.model.parameters():
        parameter.data.zero_()
    rolled, again = (roll_out(evidence, law, 1, limit=lambda edges: 300) for _ in range(2))
    assert rolled is not None and again is not None
    arrays, summary = rolled
    assert summary["law"]["spread"] == pytest.approx(1, abs=0.2) and summary["law"]["position_error"] is None
    assert summary["network"]["spread"] > 1.5  # free diffusion goes further than in a trap
    free = np.diff(arrays["network_positions"], axis=1)
    assert free.std() == pytest.approx(np.sqrt(2 * constant * dt), rel=0.02)
    assert (again[0]["law_positions"] == arrays["law_positions"]).all()
    still = roll_out(evidence, law | {"estimates": {}}, 1, limit=lambda edges: 60)
    assert still is not None and "true_spread" not in still[0]
    few = roll_out(evidence, law, 1, limit=lambda edges: 30)
    assert few is not None and few[1]["law"]["ended"] == "30 evaluations were spent"
    assert np.isfinite(few[0]["law_spread"][0]).sum() == 31
    told = caption(cast(Any, SimpleNamespace(law={"rollouts": summary})))
    assert "no path is foretold" in told and "for the distilled law" in told
    drawn = rollout(cast(Any, SimpleNamespace(rollout=lambda: arrays)), {})
    assert drawn is not None and "displacement" in drawn.axes[0].get_ylabel()


def test_where_the_truth_is_not_known_the_energy_is_that_of_the_law():
    x = along(TIMES, START, 0 * SPEED, [[0, 1], [0, 1]])
    middle, apart = START.mean(axis=0), START - START.mean(axis=0)
    turned = np.stack([np.cos(2 * TIMES), np.sin(2 * TIMES)], axis=1)[:, :, None, None]
    across = apart[:, ::-1] * [-1, 1]
    x[..., :2] = middle + turned[:, 0] * apart + turned[:, 1] * across  # a circle, as springs without length
    x[..., 2:4] = 2 * (turned[:, 0] * across - turned[:, 1] * apart)
    law: dict[str, Any] = {"acceleration": ["-2.0*dx", "-2.0*dy"]}
    rolled = roll_out(seen(x), law, 1)
    assert rolled is not None and rolled[0]["true_drift"].max() < 1e-6
    assert rolled[1]["law"]["energy_drift"] < 1e-5 < 1e-2 < rolled[1]["network"]["energy_drift"]
    one_way = seen(x)
    one_way.model.connect(torch.tensor([0]), torch.tensor([1]))
    for evidence, more in ((one_way, {}), (seen(x), {"one_body": ["-0.1*vx", "-0.1*vy"]})):
        without = roll_out(evidence, law | more, 1)
        assert without is not None and "energy_drift" not in without[1]["law"]


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
