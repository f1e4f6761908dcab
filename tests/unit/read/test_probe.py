"""Gauge and probes read off a network whose messages are known."""

import numpy as np
import pytest
import torch

from gnn_distill.data.graphs import Graph, Subset, complete_graph
from gnn_distill.model.heads import Messages
from gnn_distill.physics.laws import InverseSquare, Spring
from gnn_distill.physics.variables import PROPERTIES
from gnn_distill.read.probe import designed, gauge_fixed, network_gauge, pairs_of, pulled_back, rotations

MIX = torch.tensor([[0.8, -0.6], [0.5, 0.9]], dtype=torch.float64)


class Perfect:
    """A network that carries F·m1^(−p), mixed and offset by a function of the receiver, and undoes it."""

    dim, message_dim, frame = 2, 2, None

    def __init__(self, law, p):
        self.law, self.p = law, p

    def graph_of(self, data):
        n = data.features.shape[1]
        return Graph(*complete_graph(n), n, complete=True)

    def on(self, data):
        return self(data.features)

    def offset(self, one):
        return torch.stack([one[..., 2] + one[..., 5], 3 * one[..., 4]], dim=-1)

    def edge_update(self, one, two):
        one, two = one.double(), two.double()
        parts = [v.numpy() for v in (one[..., 5], two[..., 5], one[..., 4], two[..., 4])]
        force = torch.from_numpy(self.law.pair_force((one - two)[..., :2].numpy(), *parts))
        e = force @ MIX.T * one[..., 5:6] ** -self.p + self.offset(one)
        return Messages(e, e, None)

    def node(self, x, total):
        """Exact where three messages arrive."""
        x = x.double()
        back = torch.linalg.inv(MIX).T
        return (total - 3 * self.offset(x)) @ back * x[..., 5:6] ** (self.p - 1)

    def __call__(self, x):
        receiver, sender = complete_graph(n := x.shape[1])
        messages = self.edge_update(x[:, receiver], x[:, sender])
        return self.node(x, messages.mean.reshape(len(x), n, n - 1, -1).sum(2)), messages


@pytest.fixture
def graphs():
    x = torch.from_numpy(np.random.default_rng(0).standard_normal((80, 4, 6)))
    x[..., 5] = x[..., 5].exp()
    return Subset(x, torch.zeros(80, 4, 2))


EDGES = np.arange(0, 960, 3)


@pytest.mark.parametrize("law", [Spring(), InverseSquare()], ids=lambda law: law.name)
@pytest.mark.parametrize("p", [0.0, 0.43, 1.0])
def test_gauge_is_read_off_the_network_without_the_law(graphs, law, p):
    model = Perfect(law, p)
    pairs = pairs_of(model, graphs, EDGES)
    slope = network_gauge(model, graphs, [0, 1], np.ones(2)).mass_slope
    fixed = gauge_fixed(model, pairs, (0, 1), slope)
    power = 1.0 if law.name == "r2" else 0.0
    assert slope == pytest.approx(power - p, abs=1e-6)
    edges = pairs.edges()
    force = law.pair_force(edges.delta, *(edges.properties[name] for name in PROPERTIES))
    assert fixed == pytest.approx(force @ MIX.numpy().T * edges.m1[:, None] ** -power, rel=1e-6, abs=1e-9)


def test_edges_are_those_of_the_recording(graphs):
    receiver, sender = complete_graph(4)
    pairs = pairs_of(Perfect(Spring(), 0.0), graphs, np.array([0, 13, 959]))
    x = graphs.features
    assert torch.equal(pairs.one[1], x[1, receiver[1]]) and torch.equal(pairs.two[2], x[79, sender[11]])
    exists = torch.ones(80, 12, dtype=torch.bool)
    exists[0] = False
    masked = pairs_of(Perfect(Spring(), 0.0), Subset(x, graphs.accelerations, exists), np.array([1]))
    assert torch.equal(masked.one[0], pairs.one[1])


def test_probes_are_spread_over_the_decades_of_r_inside_the_range(graphs):
    pairs = pairs_of(Perfect(Spring(), 0.0), graphs, EDGES)
    made = designed(pairs, 4000, np.random.default_rng(1)).edges()
    real = pairs.edges()
    assert real.r.min() <= made.r.min() and made.r.max() <= real.r.max()
    counts, _ = np.histogram(np.log(made.r - 0.01), bins=4)
    assert counts.min() > 0.8 * counts.max()
    assert set(np.round(made.properties["m2"], 12)) <= set(np.round(real.properties["m2"], 12))


@pytest.mark.parametrize("p", [0.0, 0.43])
def test_pull_back_at_probes_is_the_true_contribution(graphs, p):
    law = Spring()
    model = Perfect(law, p)
    pairs = designed(pairs_of(model, graphs, EDGES), 50, np.random.default_rng(2))
    edges = pairs.edges()
    truth = law.pair_force(edges.delta, *(edges.properties[name] for name in PROPERTIES)) / edges.m1[:, None]
    assert pulled_back(model, pairs) == pytest.approx(truth, rel=1e-6, abs=1e-9)


@pytest.mark.parametrize("dim", [2, 3])
def test_rotations_average_every_vector_to_zero(dim):
    turns = rotations(dim)
    assert turns.sum(0).abs().max() < 1e-5
    one = torch.eye(dim).expand(len(turns), dim, dim)
    torch.testing.assert_close(turns @ turns.mT, one, atol=1e-5, rtol=0)


def test_sums_of_many_graphs_are_made_a_few_at_a_time(graphs):
    seen = []

    class Watched(Perfect):
        def edge_update(self, one, two):
            seen.append(len(one))
            return super().edge_update(one, two)

    model = Watched(Spring(), 0.0)
    whole = pairs_of(model, graphs, EDGES)
    assert seen == [80]  # small systems at once
    parts = pairs_of(model, graphs, EDGES, at_once=12 * 30)
    assert seen[1:] == [30, 30, 20]
    for name in ("one", "two", "total"):
        assert torch.equal(getattr(parts, name), getattr(whole, name))
    assert torch.equal(pairs_of(model, graphs, EDGES, at_once=1).total, whole.total) and seen[4:] == [1] * 80
