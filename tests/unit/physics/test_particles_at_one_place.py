"""Two particles at the same place: no direction, no force, and nothing that is not a number."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import numpy as np
import pytest
import torch
from matplotlib.figure import Figure

from gnn_distill.data.graphs import Subset, complete_graph
from gnn_distill.distil.expressions.parse import parse
from gnn_distill.distil.law.closed_form import Law, Nodes, compare
from gnn_distill.distil.law.export import export
from gnn_distill.distil.law.module import LawModule
from gnn_distill.model.network import ParticleGNN
from gnn_distill.physics.laws import Coulomb, Spring
from gnn_distill.physics.simulate import Simulation, integrate
from gnn_distill.physics.variables import Columns
from gnn_distill.read.record import Reading, record
from gnn_distill.read.recording import edge_features
from gnn_distill.report.figures.radial import _cloud

NAMES = ("dx", "dy", "r", "m1", "m2", "q1", "q2")
LAW = Law.along(parse("-2.0*(r - 1.0)/m1", NAMES), 2)


def graphs(count: int = 200) -> torch.Tensor:
    """Particle 1 of every graph lies on particle 0."""
    x = torch.randn(count, 4, 6, generator=torch.Generator().manual_seed(0))
    x[..., 5] = x[..., 5].exp()
    x[:, 1, :2] = x[:, 0, :2]
    return x


def test_a_simulation_goes_on():
    x = np.zeros((1, 3, 2))
    x[0, 2] = 1.0
    v = np.ones((1, 3, 2)) * [[[0.3], [0.3], [0.0]]]
    spec = Simulation(Coulomb(), n=3, frames=5)
    positions, _, a, ok = integrate(spec, x, v, np.ones((1, 3)), np.ones((1, 3)))
    assert ok.all() and np.isfinite(a).all()
    np.testing.assert_array_equal(positions[:, :, 0], positions[:, :, 1])  # they feel the same


@pytest.mark.parametrize("basis", ["raw", "delta", "polar"])
def test_networks_read_and_learn_from_such_pairs(basis: str):
    torch.manual_seed(0)
    model = ParticleGNN(2, 3, width=8, layers=1, basis=basis)
    predicted, messages = model(graphs())
    (predicted.abs().sum() + messages.value.abs().sum()).backward()
    assert torch.isfinite(predicted).all() and torch.isfinite(messages.value).all()
    assert all(p.grad is not None and torch.isfinite(p.grad).all() for p in model.parameters())


@pytest.mark.parametrize("pullback", ["share", "odd", "path"])
def test_a_recording_is_finite(pullback: str):
    torch.manual_seed(0)
    model = ParticleGNN(2, 3, width=8, layers=1, basis="polar")
    rec = record(model, Subset(graphs(), torch.zeros(200, 4, 2)), Spring(), Reading(pullback=pullback))
    assert (rec.edges.r == 0.01).sum() == 400 and (rec.edges.force[rec.edges.r == 0.01] == 0).all()
    for name, values in rec.arrays().items():
        assert name == "variables" or np.isfinite(values).all(), name
    for values in (rec.pullback, rec.selected, rec.network.powers):
        assert np.isfinite(values).all()


def snapshot():
    x = graphs()
    edges = edge_features(x, complete_graph(4), Columns(2), Spring())
    a = np.stack([np.bincount(edges.receiver, c) for c in edges.acceleration.T], axis=1)
    flat = x.flatten(0, 1).double().numpy()
    return x, edges, Nodes(Columns(2).own(flat), a)


def test_the_law_in_every_form_leaves_such_pairs_out(tmp_path: Path):
    x, edges, nodes = snapshot()
    assert LAW.accelerations(edges, nodes) == pytest.approx(nodes.acceleration, rel=1e-6, abs=1e-9)
    content = compare(LAW, edges, nodes, network_mae=1.0)
    assert content["test"]["mae"] < 1e-6 and min(content["r2_truth"]["ols"]) > 0.999999
    module = LawModule.from_law(content)(x.double()).detach().numpy()
    assert module.reshape(-1, 2) == pytest.approx(nodes.acceleration, rel=1e-6, abs=1e-9)
    export(LAW, content, tmp_path)
    spec = importlib.util.spec_from_file_location("law_numpy", tmp_path / "law_numpy.py")
    written = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(written)
    one = x[0].double().numpy()
    with np.errstate(all="ignore"):
        a = written.acceleration(one[:, :2], one[:, 2:4], one[:, 5], one[:, 4])
    assert a == pytest.approx(nodes.acceleration[:4], rel=1e-6, abs=1e-9)


@pytest.mark.parametrize("guide", [[np.nan, -2.0, 3.0], [np.nan, np.nan, np.nan]])
def test_the_figure_of_the_law_needs_no_value_there(guide: list[float]):
    axes = Figure().subplots()
    r = np.concatenate([np.full(20, 0.01), np.linspace(0.1, 2, 80)])
    _cloud(axes, r, 1 - r, np.array(guide))
    low, high = axes.get_ylim()
    assert (low, high) == pytest.approx((-3.0, 4.0) if np.isfinite(guide).any() else (-1.398, 1.388))
