import pytest
import torch

from gnn_distill.errors import InputError
from gnn_distill.model.heads import Messages
from gnn_distill.train.penalties import KLPenalty, L1Penalty, NoPenalty

GRAPHS, N, M = 3, 4, 5
value = torch.randn(GRAPHS, N * (N - 1), M, generator=torch.Generator().manual_seed(0))
plain = Messages(value, value, None)


def test_none_adds_nothing():
    assert NoPenalty()(plain, GRAPHS * N) == 0


def test_l1_is_the_sum_over_a_graphs_edges_and_dims_per_particle():
    per_graph = torch.stack([0.01 * g.abs().sum() / N for g in value])
    torch.testing.assert_close(L1Penalty(0.01)(plain, GRAPHS * N), per_graph.mean())
    formula = 0.01 * value.abs().mean()  # the report's normalisation, by message entries
    torch.testing.assert_close(L1Penalty(0.01)(plain, GRAPHS * N), formula * (N - 1) * M)


def test_kl_matches_the_closed_form_of_gaussians():
    s = 0.3 * value + 0.1
    messages = Messages(value, value, s)
    closed = torch.distributions.kl_divergence(
        torch.distributions.Normal(value, torch.exp(0.5 * s)), torch.distributions.Normal(0.0, 1.0)
    )
    expected = (closed + 0.5).sum() / (GRAPHS * N)  # the published formula leaves the constant -1/2 out
    torch.testing.assert_close(KLPenalty(1.0)(messages, GRAPHS * N), expected)


def test_kl_needs_a_variance():
    with pytest.raises(TypeError, match="GaussianHead"):
        KLPenalty()(plain, 4)


@pytest.mark.parametrize("penalty", [L1Penalty, KLPenalty])
def test_negative_weight_is_refused(penalty: type):
    with pytest.raises(InputError, match="regulariser.weight"):
        penalty(-1.0)


def test_kl_weight_rises_over_the_warmup():
    messages = Messages(value, value, 0.3 * value)
    full = KLPenalty(2.0)(messages, GRAPHS * N)
    warming = KLPenalty(2.0, warmup=0.4)
    torch.testing.assert_close(warming(messages, GRAPHS * N, 0.1), full / 16)
    torch.testing.assert_close(warming(messages, GRAPHS * N, 0.7), full)


def test_dims_below_the_free_bits_are_not_pulled():
    mean = torch.zeros(GRAPHS, 12, 2, requires_grad=True)
    with torch.no_grad():
        mean[..., 0], mean[..., 1] = 0.1, 3.0  # divergences of 0.005 and 4.5 nats
    messages = Messages(mean, mean, torch.zeros_like(mean))
    free = KLPenalty(1.0, free_bits=1.0)(messages, GRAPHS * N)
    free.backward()
    assert mean.grad is not None and mean.grad[..., 0].abs().max() == 0
    assert mean.grad[..., 1].abs().min() > 0
    torch.testing.assert_close(free.detach(), torch.tensor((1.5 + 5.0) * (N - 1)))


def test_edges_that_do_not_exist_count_for_nothing():
    torch.manual_seed(0)
    mean = torch.randn(2, 6, 3)
    exists = torch.zeros(2, 6, 1)
    exists[:, :2] = 1
    few = Messages(mean[:, :2], mean[:, :2], 0.3 * mean[:, :2])
    many = Messages(mean * exists, mean * exists, 0.3 * mean * exists, exists)
    for penalty in (KLPenalty(1.0), KLPenalty(1.0, free_bits=0.2)):
        torch.testing.assert_close(penalty(many, 8), penalty(few, 8))
