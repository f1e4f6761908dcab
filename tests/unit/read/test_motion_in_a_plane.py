"""Motion in a plane of three-dimensional space: an axis along which nothing moves."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from gnn_distill import distill
from gnn_distill.data.graphs import Subset, complete_graph
from gnn_distill.distil.engines.given import GivenEngine
from gnn_distill.distil.solve import Work, solve
from gnn_distill.distil.verdict.judge import STILL, data_ranges
from gnn_distill.model.network import ParticleGNN
from gnn_distill.physics.laws import Spring
from gnn_distill.physics.variables import Columns
from gnn_distill.read.field import field, typical
from gnn_distill.read.probe import designed, gauge_fixed, moving, offsets, pairs_of
from gnn_distill.read.recording import edge_features
from gnn_distill.report.figures.fields import plane
from tests.integration.test_distil import posed as points_of

HEIGHT = 1.5


def flat(still: int, graphs: int = 60) -> torch.Tensor:
    """Features [G, 4, 8] of particles at rest along one axis."""
    x = torch.from_numpy(np.random.default_rng(0).standard_normal((graphs, 4, 8)))
    x[..., 7] = x[..., 7].exp()
    x[..., still], x[..., 3 + still] = HEIGHT, 0.0
    return x


class Planar(ParticleGNN):
    """A network that is asked about its own plane only."""

    still = 2

    def edge_update(self, x_i, x_j):
        for end in (x_i, x_j):
            assert (end[..., self.still] == HEIGHT).all(), "asked beyond the plane"
        return super().edge_update(x_i, x_j)


def network(still: int) -> Planar:
    torch.manual_seed(0)
    model = Planar(3, 3, width=8, layers=1).double().eval()
    model.still = still
    return model


def test_axes_of_motion():
    assert moving(flat(2)[:, 0, :3] - flat(2)[:, 1, :3]) == [0, 1]
    assert moving(flat(0)[:, :1, :3] - flat(0)[:, 1:, :3]) == [1, 2]
    assert moving(torch.zeros(4, 2)) == [0, 1]


@pytest.mark.parametrize("still", [0, 2])
def test_networks_are_asked_within_the_plane(still: int):
    model, x = network(still), flat(still)
    graphs = Subset(x, torch.zeros(60, 4, 3))
    pairs = pairs_of(model, graphs, np.arange(0, 720, 3))
    made = designed(pairs, 50, np.random.default_rng(1))
    assert (made.two[:, still] == HEIGHT).all() and (made.two[:, 1] != made.one[:, 1]).all()
    fixed = gauge_fixed(model, pairs, (0, 1, 2), 0.0)
    assert fixed.shape == (240, 3)
    receiver, sender = complete_graph(4)
    h = offsets(model, x[:, receiver], x[:, sender])
    turned = x[:, sender].clone()  # a quarter turn of the sender about the receiver, in the plane
    a, b = [k for k in range(3) if k != still]
    delta = x[:, sender] - x[:, receiver]
    turned[..., a], turned[..., b] = x[:, receiver, a] - delta[..., b], x[:, receiver, b] + delta[..., a]
    torch.testing.assert_close(offsets(model, x[:, receiver], turned), h)


@pytest.mark.parametrize("still", [0, 2])
def test_the_force_field_lies_in_the_plane(still: int):
    x = flat(still)
    found = field(network(still), Subset(x, torch.zeros(60, 4, 3)), [0, 1], np.ones(2))
    assert (found.delta[:, still] == 0).all()
    assert plane(found.delta) == [k for k in range(3) if k != still]
    assert typical(x, Columns(3))[still] == HEIGHT


def planar_edges(still: int):
    return edge_features(flat(still, 100), complete_graph(4), Columns(3), Spring())


@pytest.mark.parametrize("still", [0, 2])
def test_an_axis_without_motion_stays_and_is_not_searched(still: int):
    edges, axis = planar_edges(still), ("dx", "dy", "dz")[still]
    noisy = edges.acceleration + 1e-9 * np.random.default_rng(1).standard_normal(edges.delta.shape)
    posed = points_of(noisy, edges)
    assert posed.labels == ("dx", "dy", "dz") and axis in posed.names
    assert [posed.still(k) for k in range(3)] == [k == still for k in range(3)]
    ranges = data_ranges(edges.variables, edges.names)
    searched: list[str] = []
    one_by_one = Work(GivenEngine("-3*dy*(r - 1.5)/(m1*r)"), 0, memory=searched.append)
    for work in (Work(GivenEngine("-3*(r - 1.5)/m1"), 0), one_by_one):
        found = solve(work, posed, Spring(), ranges)
        assert [v.recovered for v in found.verdicts] == [k != still for k in range(3)]
        assert [v.reason == STILL for v in found.verdicts] == [k == still for k in range(3)]
    assert searched == [f"pullback_{d}" for d in ("dx", "dy", "dz") if d != axis]
    assert len(found.fronts[still].equations) == 1


@pytest.mark.parametrize("still", [0, 2])
def test_distill_takes_accelerations_that_are_nothing_along_an_axis(still: int):
    edges = planar_edges(still)
    given = GivenEngine("-3*(r - 1.5)/m1")
    with np.errstate(all="raise"):
        found = distill(edges.variables, edges.acceleration, edges.names, law=Spring(), engine=given)
    assert found.recovered and found.law is not None
    nothing = found.law.components[still]
    assert nothing.is_number and float(nothing) == 0
