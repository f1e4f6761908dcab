import pytest
import torch
from torch import nn

from gnn_distill.data.graphs import complete_graph
from gnn_distill.model.heads import Messages
from gnn_distill.model.network import ParticleGNN
from gnn_distill.read.pullback import contributions, odd_contributions

B, N, M, D = 20, 4, 100, 2


class Planted(nn.Module):
    """φv that undoes a random receiver-dependent map and offset of 100-dimensional messages."""

    def __init__(self, bend: float = 0.0) -> None:
        super().__init__()
        self.embed = torch.randn(M, D, dtype=torch.double)
        self.map = torch.randn(6, D * D, dtype=torch.double)
        self.bend = bend

    def gauge(self, v: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        a = torch.eye(D, dtype=torch.double) * 3 + torch.tanh(v @ self.map).unflatten(-1, (D, D))
        return a, torch.sin(v[..., :M].sum(-1, keepdim=True)) * torch.ones(M, dtype=torch.double)

    def encode(self, v: torch.Tensor, f: torch.Tensor) -> torch.Tensor:
        a, h = self.gauge(v)
        return (a @ f[..., None])[..., 0] @ self.embed.T + h

    def forward(self, v: torch.Tensor, total: torch.Tensor) -> torch.Tensor:
        a, h = self.gauge(v)
        inside = torch.linalg.pinv(self.embed) @ (total - (N - 1) * h)[..., None]
        out = (torch.linalg.inv(a) @ inside)[..., 0]
        return out + self.bend * torch.sin(out)


def planted(bend: float) -> tuple[ParticleGNN, torch.Tensor, torch.Tensor, torch.Tensor]:
    torch.manual_seed(0)
    model = ParticleGNN(D, M, width=4).double().eval()
    model.node_net = Planted(bend)
    x = torch.randn(B, N, 6, dtype=torch.double)
    f = torch.randn(B, N * (N - 1), D, dtype=torch.double)
    receiver, _ = complete_graph(N)
    return model, x, f, model.node_net.encode(x[:, receiver], f)


@pytest.mark.parametrize("path_points", [0, 5])
def test_exact_through_any_receiver_dependent_map_and_offset(path_points: int):
    model, x, f, messages = planted(bend=0.0)
    c, acceleration = contributions(model, x, messages, path_points=path_points)
    torch.testing.assert_close(c, f, atol=1e-6, rtol=1e-5)
    torch.testing.assert_close(acceleration, f.unflatten(1, (N, N - 1)).sum(2), atol=1e-6, rtol=1e-5)


@pytest.mark.parametrize("path_points", [0, 3])
def test_contributions_sum_to_the_prediction_even_where_the_node_model_bends(path_points: int):
    model, x, _, messages = planted(bend=0.5)
    c, acceleration = contributions(model, x, messages, path_points=path_points)
    torch.testing.assert_close(c.unflatten(1, (N, N - 1)).sum(2), acceleration)


def test_jacobian_is_that_of_the_network():
    torch.manual_seed(0)
    model = ParticleGNN(D, 5, width=8, scale_output=True).double().eval()
    model.calibrate(torch.ones(1, 2, 6), torch.full((1, 2, 2), 3.0))
    x = torch.randn(2, N, 6, dtype=torch.double)
    messages = model(x)[1].value.detach()
    c, acceleration = contributions(model, x, messages)
    total = messages.unflatten(1, (N, N - 1)).sum(2)
    jacobian = torch.autograd.functional.jacobian(lambda t: model.node(x[1, 2], t), total[1, 2])
    e = messages[1, 2 * (N - 1) + 1]
    expected = jacobian @ e + (acceleration[1, 2] - jacobian @ total[1, 2]) / (N - 1)
    torch.testing.assert_close(c[1, 2 * (N - 1) + 1], expected)


def test_contributions_on_a_graph_with_missing_edges_sum_to_the_prediction():
    torch.manual_seed(0)
    model = ParticleGNN(D, 5, width=8).double().eval()
    receiver, sender = torch.tensor([0, 1, 1, 2, 3]), torch.tensor([1, 0, 2, 1, 2])
    model.connect(receiver, sender)
    exists = torch.tensor([[1, 1, 1, 1, 1], [1, 0, 1, 0, 1]]).bool()
    x = torch.randn(2, N, 6, dtype=torch.double)
    predicted, messages = model(x, edge_mask=exists)
    c, acceleration = contributions(model, x, messages.value, exists)
    torch.testing.assert_close(acceleration, predicted)
    assert (c[~exists] == 0).all()
    total = model.total(c, N)
    reached = model.total(exists[..., None].double(), N)[..., 0] > 0
    torch.testing.assert_close(total[reached], predicted[reached])


def test_odd_part_holds_pairs_alone():
    """A network that hides a one-body acceleration in messages and in φv."""

    class Hidden(ParticleGNN):
        def edge_update(self, x_i, x_j):
            delta = x_i[..., :2] - x_j[..., :2]
            pair = delta / (1 + (delta**2).sum(-1, keepdim=True))
            e = pair * x_i[..., 5:] + torch.sin(x_i[..., 2:4])
            return Messages(e, e, None)

        def node(self, x, total):
            return total / x[..., 5:] - 0.7 * x[..., 2:4]

    torch.manual_seed(0)
    model = Hidden(2, 2, width=4).double().eval()
    x = torch.randn(B, N, 6, dtype=torch.double).exp()
    _, messages = model(x)
    receiver, sender = complete_graph(N)
    delta = x[:, receiver, :2] - x[:, sender, :2]
    pair = delta / (1 + (delta**2).sum(-1, keepdim=True))
    torch.testing.assert_close(odd_contributions(model, x, messages.value), pair)
    assert (contributions(model, x, messages.value)[0] - pair).abs().max() > 0.1
