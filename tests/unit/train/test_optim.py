import pytest
import torch
from torch import nn

from gnn_distill.errors import InputError
from gnn_distill.train import optim
from gnn_distill.train.optim import Muon, Optimisation, Together


def network() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(4, 32), nn.ReLU(), nn.Linear(32, 32), nn.ReLU(), nn.Linear(32, 2))


def train(
    net: nn.Module, optimiser: torch.optim.Optimizer, steps: int, start: int = 0, total: int = 20
) -> float:
    rate = Optimisation().rate(optimiser, total)
    x = torch.randn(64, 4, generator=torch.Generator().manual_seed(1))
    for _ in range(start):
        rate.step()
    loss = torch.zeros(())
    for _ in range(steps):
        optimiser.zero_grad()
        loss = (net(x) - x[:, :2] * x[:, 2:]).abs().mean()
        loss.backward()
        optimiser.step()
        rate.step()
    return float(loss.detach())


def test_adam_is_the_published_default():
    adam = Optimisation().optimizer(network().parameters())
    group = adam.param_groups[0]
    assert type(adam) is torch.optim.Adam
    assert (group["lr"], group["betas"], group["weight_decay"]) == (1e-3, (0.9, 0.999), 1e-8)


def test_muon_takes_hidden_matrices_and_leaves_the_rest_to_adam():
    net = network()
    both = Optimisation(optimiser="muon").optimizer(net.parameters())
    adam, muon = (group["params"] for group in both.param_groups)
    assert [p is net[2].weight for p in muon] == [True]
    assert len(adam) == len(list(net.parameters())) - 1


def test_the_scheduler_moves_the_rate_of_both():
    both = Optimisation(2e-3, optimiser="muon", muon_rate=1e-2).optimizer(network().parameters())
    rate = Optimisation(2e-3).rate(both, 10)
    for _ in range(5):
        both.step()
        rate.step()
    assert [part.param_groups[0]["lr"] for part in both.parts] == pytest.approx([1e-3, 5e-3])


def test_with_torchs_polynomials_muon_moves_as_torchs_own_up_to_its_rounding(monkeypatch):
    monkeypatch.setattr(optim, "POLYNOMIALS", ((3.4445, -4.775, 2.0315),) * 5)
    torch.manual_seed(0)
    start = torch.randn(96, 40)
    ours, theirs = (torch.nn.Parameter(start.clone()) for _ in range(2))
    settings = {"lr": 1e-2, "weight_decay": 1e-3}
    one, two = Muon([ours], **settings), torch.optim.Muon([theirs], **settings)
    for _ in range(5):
        ours.grad = torch.randn(96, 40)
        theirs.grad = ours.grad.clone()
        one.step(), two.step()
    moved = (theirs - start).norm()
    assert 0 < (ours - theirs).norm() < 0.02 * moved  # bfloat16 holds eight binary digits
    assert one.state_dict()["state"][0].keys() == two.state_dict()["state"][0].keys()


@pytest.mark.parametrize("shape", [(64, 64), (40, 96), (96, 40)])
def test_singular_values_come_near_one_and_singular_vectors_stay(shape: tuple[int, int]):
    torch.manual_seed(0)
    u, _, v = torch.linalg.svd(torch.randn(*shape), full_matrices=False)
    values = torch.logspace(0, -2, min(shape))
    found = u.T @ optim.orthogonal(u * values @ v) @ v.T
    near = found.diag()
    assert (found - near.diag()).abs().max() < 1e-4
    assert 0.4 < near.min() and near.max() < 1.6


def test_muon_learns():
    net = network()
    both = Optimisation(3e-3, optimiser="muon", muon_rate=2e-2).optimizer(net.parameters())
    before = train(net, both, 1)
    assert train(net, both, 200, total=200) < 0.3 * before  # measured: 0.08


def test_restored_state_goes_on_bitwise():
    whole, part = network(), network()
    o = Optimisation(optimiser="muon")
    one, two = o.optimizer(whole.parameters()), o.optimizer(part.parameters())
    train(whole, one, 6), train(part, two, 3)
    again = o.optimizer(part.parameters())
    again.load_state_dict(two.state_dict())
    assert isinstance(again, Together) and again.param_groups[1] is again.parts[1].param_groups[0]
    train(part, again, 3, start=3)
    for a, b in zip(whole.parameters(), part.parameters(), strict=True):
        torch.testing.assert_close(a, b, rtol=0, atol=0)


@pytest.mark.parametrize(
    ("key", "bad"),
    [("optimiser", "sgd"), ("muon_rate", 0.0), ("learning_rate", -1.0), ("warmup", 2.0)],
)
def test_bad_values_are_named(key: str, bad: object):
    with pytest.raises(InputError, match=f"profile.{key}"):
        Optimisation(**{key: bad})
