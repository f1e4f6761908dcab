"""The fused network is the plain one, with its gradients; bfloat16 stays where it does no harm."""

import pytest
import torch

from gnn_distill.model.mlp import MLP


def gradients(net: MLP, x: torch.Tensor, mixed: bool = False) -> tuple[torch.Tensor, list[torch.Tensor]]:
    x = x.clone().requires_grad_()
    net.zero_grad()
    with torch.autocast("cpu", torch.bfloat16, enabled=mixed):
        y = net(x)
    y.float().square().sum().backward()
    return y.detach(), [x.grad, *[p.grad for p in net.parameters()]]


def apart(one: torch.Tensor, two: torch.Tensor) -> float:
    return float((one - two).norm() / two.norm())


@pytest.mark.parametrize("activation", [torch.nn.ReLU, torch.nn.SiLU])
@pytest.mark.parametrize(("shape", "layers"), [((7, 5), 3), ((4, 3, 5), 1), ((1, 5), 2), ((300, 5), 2)])
def test_training_mode_gives_the_plain_networks_output_and_gradients(
    shape: tuple[int, ...], layers: int, activation: type[torch.nn.Module]
):
    torch.manual_seed(0)
    net, x = MLP(5, 3, 80, layers, activation=activation), torch.randn(shape)
    fused, into = gradients(net.train(), x)
    plain, expected = gradients(net.eval(), x)
    assert fused.shape == plain.shape == (*shape[:-1], 3)
    node, made = net.train()(x).grad_fn, []
    while node is not None and len(made) < 4:
        made.append(type(node).__name__)
        node = node.next_functions[0][0]
    assert "_FusedMLPBackward" in made
    torch.testing.assert_close(fused, plain)
    for got, want in zip(into, expected, strict=True):
        torch.testing.assert_close(got, want, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("exact", [True, False])
@pytest.mark.parametrize("training", [True, False])
def test_bfloat16_keeps_small_differences_of_large_inputs(training: bool, exact: bool):
    # inputs of ±10 that differ by 1e-3: bfloat16 has steps of 0.06 there and cannot tell them apart
    torch.manual_seed(0)
    net = MLP(2, 4, 64, 2, exact_output=exact).train(training)
    with torch.no_grad():
        net[0].weight[:, 1] = -net[0].weight[:, 0]
        net[0].bias.zero_()
    near = 10 * torch.randn(500, 1)
    x = torch.cat([near, near + 1e-3 * torch.randn(500, 1)], dim=1)
    full, g_full = gradients(net, x)
    mixed, g_mixed = gradients(net, x, mixed=True)
    assert mixed.dtype == torch.float32 and all(g.dtype == torch.float32 for g in g_mixed)
    assert apart(mixed, full) < 0.02
    assert apart(g_mixed[1], g_full[1]) < 0.05


def test_evaluation_can_be_differentiated_twice():
    net, x = MLP(3, 1, 8, 2).eval(), torch.randn(4, 3, requires_grad=True)
    (g,) = torch.autograd.grad(net(x).square().sum(), x, create_graph=True)
    g.sum().backward()
    assert x.grad is not None


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
@pytest.mark.parametrize("mixed", [False, True])
def test_nan_is_not_swallowed(bad: float, mixed: bool):
    net, x = MLP(5, 3, 16, 3).train(), torch.randn(7, 5)
    x[2, 1] = bad
    with torch.autocast("cpu", torch.bfloat16, enabled=mixed):
        y = net(x)
    assert not y[2].isfinite().all() and y[:2].isfinite().all() and y[3:].isfinite().all()
