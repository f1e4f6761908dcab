import numpy as np
import pytest
import torch

from gnn_distill.analyse.scores import analyse, relative_error
from gnn_distill.data.graphs import Subset
from gnn_distill.model.heads import Messages
from gnn_distill.model.network import ParticleGNN
from gnn_distill.physics.laws import Spring
from gnn_distill.read.record import record

POWER = 0.5


class Perfect(ParticleGNN):
    """Messages F m1^(−½) in a rotated frame, undone by the node model."""

    rotation = torch.tensor([[0.8, -0.6], [0.6, 0.8]])

    def edge_update(self, x_i: torch.Tensor, x_j: torch.Tensor) -> Messages:
        delta = x_i[..., :2] - x_j[..., :2]
        d = delta.norm(dim=-1, keepdim=True)
        force = -2 * (d + 0.01 - 1) * delta / d
        e = (force * x_i[..., 5:] ** -POWER) @ self.rotation.T
        return Messages(e, e, None)

    def node(self, x: torch.Tensor, total: torch.Tensor) -> torch.Tensor:
        return total @ self.rotation * x[..., 5:] ** (POWER - 1)


@pytest.fixture(scope="module")
def result() -> dict:
    x = torch.randn(800, 4, 6, generator=torch.Generator().manual_seed(0))
    x[..., 5] = x[..., 5].exp()
    model = Perfect(2, 2, width=4)
    return analyse(record(model, Subset(x, model(x)[0].detach()), Spring()), "trajectories")


def test_a_perfect_network_is_seen_as_such(result: dict):
    assert result["test"]["mae"] < 1e-6 and result["components"] in ([0, 1], [1, 0])
    assert result["gauge"]["p"] == pytest.approx(POWER, abs=5e-3)
    assert result["best"]["gauge"] == "gauge" and result["best"]["robust_mean"] > 0.9999
    assert min(result["r2"]["pullback"]["robust"]) > 0.999999
    assert max(result["r2"]["force"]["robust"] + result["r2"]["acceleration"]["robust"]) < 0.99
    for kind in ("pullback", "messages"):
        rows = result["relative_error"][kind]
        assert sum(row["edges"] for row in rows) == 800 * 12
        assert all(row["median"] < 1e-2 for row in rows if row["low"] >= 0.1)


def test_relative_error_is_the_median_within_each_decade():
    truth = np.array([[0.5, 0.0], [0.0, 0.2], [3.0, 4.0], [0.0, 0.0]])
    rows = relative_error(truth * 1.1, truth)
    assert [(row["edges"], row["low"]) for row in rows] == [(2, pytest.approx(0.1)), (1, pytest.approx(1.0))]
    assert [row["median"] for row in rows] == pytest.approx([0.1, 0.1])
