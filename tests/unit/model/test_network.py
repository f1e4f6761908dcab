import itertools
import tempfile
from pathlib import Path

import numpy as np
import pytest
import torch

from gnn_distill.data.graphs import Subset, complete_graph
from gnn_distill.errors import InputError
from gnn_distill.model.heads import DeterministicHead, GaussianHead
from gnn_distill.model.moments import EDGES_AT_ONCE, graphs_at_once, moments
from gnn_distill.model.network import ParticleGNN

OPTIONS = list(
    itertools.product(
        ["raw", "delta", "polar"], ["mlp", "linear", "power"], [DeterministicHead, GaussianHead]
    )
)


def network(dim: int = 2, message_dim: int = 7, **options) -> ParticleGNN:
    torch.manual_seed(0)
    return ParticleGNN(dim, message_dim, width=16, layers=2, **options).eval()


def graphs(count: int = 5, n: int = 4, dim: int = 2) -> torch.Tensor:
    return torch.randn(count, n, 2 * dim + 2, generator=torch.Generator().manual_seed(1))


def batched_edge_index(count: int, n: int) -> torch.Tensor:
    receiver, sender = complete_graph(n)
    shift = n * torch.arange(count)[:, None]
    return torch.stack([(sender + shift).flatten(), (receiver + shift).flatten()])


@pytest.mark.parametrize(("basis", "node", "head"), OPTIONS)
@pytest.mark.parametrize("dim", [2, 3])
def test_dense_path_gives_the_reference_paths_numbers(basis: str, node: str, head: type, dim: int):
    model = network(dim, basis=basis, node=node, head=head(), charge_scale=4.0)
    x = graphs(dim=dim)
    dense, messages = model(x)
    reference, edges = model(x.flatten(0, 1), batched_edge_index(5, 4))
    torch.testing.assert_close(dense.flatten(0, 1), reference)
    torch.testing.assert_close(messages.value.flatten(0, 1), edges.value)


def test_edges_run_from_sender_to_receiver():
    model, x = network(), graphs(1)[0]
    edge_index = torch.tensor([[2], [0]])  # 2 sends, 0 receives
    _, messages = model(x, edge_index)
    torch.testing.assert_close(messages.value[0], model.edge_update(x[0], x[2]).value)
    changed = x.clone()
    changed[2] += 1.0
    moved = (model(changed, edge_index)[0] != model(x, edge_index)[0]).any(1)
    assert moved.tolist() == [True, False, True, False]  # node 2 by its own features only


@pytest.mark.parametrize(
    ("basis", "node"), list(itertools.product(["raw", "delta", "polar"], ["mlp", "linear", "power"]))
)
def test_permuting_particles_permutes_accelerations(basis: str, node: str):
    model, x = network(basis=basis, node=node), graphs()
    order = torch.tensor([2, 0, 3, 1])
    torch.testing.assert_close(model(x[:, order])[0], model(x)[0][:, order])


def test_delta_basis_is_a_linear_change_of_the_raw_inputs():
    raw, delta = network(basis="raw"), network(basis="delta")
    x = torch.randn(200, 12)
    one, two = x[:, :6], x[:, 6:]
    a, b = raw._edge_inputs(one, two), delta._edge_inputs(one, two)
    change = torch.linalg.lstsq(a, b).solution
    torch.testing.assert_close(a @ change, b)
    assert torch.linalg.matrix_rank(change) == 12


def test_polar_basis_adds_direction_and_log_distance():
    delta, polar = network(basis="delta"), network(basis="polar")
    one, two = torch.randn(200, 6), torch.randn(200, 6)
    inputs = polar._edge_inputs(one, two)
    torch.testing.assert_close(inputs[:, :12], delta._edge_inputs(one, two))
    torch.testing.assert_close(inputs[:, 12:14] * inputs[:, 14:].exp(), one[:, :2] - two[:, :2])
    assert polar._edge_inputs(one, one).isfinite().all()


def test_pruned_dimensions_send_nothing_and_do_not_matter():
    model, x = network(), graphs()
    model.mask[[1, 4]] = 0.0
    before, messages = model(x)
    assert (messages.value[..., [1, 4]] == 0).all() and (messages.value[..., 0] != 0).any()
    assert model.active_dims == 5
    with torch.no_grad():
        model.edge_net[-1].bias[[1, 4]] += 100.0
    torch.testing.assert_close(model(x)[0], before)
    assert "mask" in model.state_dict()


def test_gaussian_head_samples_in_training_only():
    model, x = network(head=GaussianHead()), graphs()
    assert (model(x)[1].value == model(x)[1].value).all()
    model.train()
    first, second = model(x)[1], model(x)[1]
    assert (first.value != second.value).any() and (first.mean == second.mean).all()
    many = torch.stack([model(x)[1].value for _ in range(4000)])
    sigma = torch.exp(0.5 * first.log_variance)
    assert ((many.mean(0) - first.mean).abs() < 6 * sigma / 4000**0.5).all()
    torch.testing.assert_close(many.std(0), sigma, rtol=0.1, atol=0)


def test_gaussian_head_reads_means_at_even_outputs():
    raw = torch.arange(8.0).reshape(1, 8)
    sent = GaussianHead().eval()(raw)
    assert sent.mean.tolist() == [[0, 2, 4, 6]] and sent.log_variance.tolist() == [[1, 3, 5, 7]]


def test_output_scale_is_the_mean_acceleration():
    model, x = network(scale_output=True), graphs()
    plain = model(x)[0]
    model.calibrate(torch.ones(3, 4, 6), torch.full((3, 4, 2), -5.0))
    torch.testing.assert_close(model(x)[0], 5 * plain)
    fixed = network()
    fixed.calibrate(torch.ones(3, 4, 6), torch.full((3, 4, 2), -5.0))
    assert fixed.output_scale == 1


@pytest.mark.parametrize("basis", ["raw", "delta", "polar"])
@pytest.mark.parametrize("node", ["mlp", "power"])
def test_a_unit_of_its_own_makes_pixels_as_good_as_metres(basis: str, node: str):
    model, other = (network(basis=basis, node=node, scale_input=True) for _ in range(2))
    x, factor = graphs(), torch.tensor([150.0, 150.0, 40.0, 40.0, 1e-3, 7.0])
    model.calibrate(x, x[..., :2])
    other.load_state_dict(model.state_dict())
    other.calibrate(factor * x, x[..., :2])
    torch.testing.assert_close(other(factor * x)[0], model(x)[0], rtol=1e-4, atol=1e-5)
    assert (model(factor * x)[0] - model(x)[0]).abs().max() > 1e-2
    assert other.length == pytest.approx(150 * float(model.length), rel=1e-5)
    apart = x[..., :2] - x[..., :2].mean(1, keepdim=True)
    assert float((apart / model.length).square().sum(-1).mean().sqrt()) == pytest.approx(2.0, rel=1e-5)
    assert torch.equal(network(scale_input=True).unit, torch.ones(6)) and network().length is None
    assert "unit" not in network().state_dict()  # weights of before still fit


def test_a_column_of_zeros_has_the_unit_one():
    model, x = network(scale_input=True), graphs()
    x[..., 4] = 0.0
    model.calibrate(x, x[..., :2])
    assert model.unit[4] == 1 and model.unit.isfinite().all()


def test_a_silent_start_sends_nothing_and_can_learn():
    model, x = network(node="power", silent_start=True), graphs()
    accelerations, messages = model(x)
    assert (messages.value == 0).all()
    accelerations.square().sum().backward()
    assert model.edge_net[-1].weight.grad.abs().sum() > 0
    assert (network(node="power")(x)[1].value != 0).any()


@pytest.mark.parametrize("power", [0.0, 0.5, 1.0])
def test_power_node_divides_the_mapped_sum_by_a_power_of_the_mass(power: float):
    node = network(node="power").node_net
    own = torch.cat([torch.randn(3, 5), torch.tensor([[0.5], [1.0], [4.0]])], dim=1)
    with torch.no_grad():
        node.power.fill_(power)
        one, two = torch.randn(2, 3, 7)
        pull = node(own, one) - node(own, torch.zeros(3, 7))
        torch.testing.assert_close(pull * own[:, 5:] ** power, one @ node.map.weight.T)
        both = node(own, one + two) - node(own, two)
        torch.testing.assert_close(both, pull)  # additive in the messages


@pytest.mark.parametrize(
    "bad", [{"width": 0}, {"basis": "angles"}, {"node": "gru"}, {"dim": 5}, {"charge_scale": -1.0}]
)
def test_bad_options_are_named(bad: dict):
    with pytest.raises(InputError, match=f"model.{next(iter(bad))}"):
        ParticleGNN(**{"dim": 2, "message_dim": 3, "width": 8, **bad})


def test_any_common_graph_with_missing_edges_equals_the_reference_path():
    model, x = network(), graphs(3)
    receiver, sender = torch.tensor([0, 1, 1, 2, 3]), torch.tensor([1, 0, 2, 1, 2])
    model.connect(receiver, sender)
    exists = torch.tensor([[1, 1, 1, 1, 1], [1, 0, 1, 0, 1], [0, 0, 0, 0, 0]]).bool()
    dense, messages = model(x, edge_mask=exists)
    for b in range(3):
        edge_index = torch.stack([sender, receiver])[:, exists[b]]
        reference, edges = model(x[b], edge_index)
        torch.testing.assert_close(dense[b], reference)
        torch.testing.assert_close(messages.value[b][exists[b]], edges.value)
    assert (messages.value[~exists] == 0).all()
    std = messages.mean[exists].double().std(0, unbiased=False)
    found = moments(model, Subset(x, x, exists)).std
    np.testing.assert_allclose(found, std.detach(), rtol=1e-5, atol=1e-8)


def test_no_generated_file_is_left_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))

    class Fresh(ParticleGNN):  # PyG generates once for each class
        pass

    model = Fresh(2, 3, width=4, layers=1)
    assert model.propagate.__module__.endswith("Fresh_propagate")
    model(graphs().flatten(0, 1), batched_edge_index(5, 4))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("edges", [12, 30, 5000])
def test_moments_do_not_depend_on_chunks_or_their_edges(masked: bool, edges: int):
    model, x = network(head=GaussianHead()).train(), graphs(8)
    exists = torch.rand(8, 12, generator=torch.Generator().manual_seed(0)) < 0.4
    exists[2:5] = False  # whole chunks without an edge
    _, (_, mean, s, _) = model(x)
    kept = exists if masked else torch.ones_like(exists)
    e, s = mean[kept].double().detach().numpy(), s[kept].double().detach().numpy()
    asked: list[int] = []
    model.register_forward_pre_hook(lambda _, arguments: asked.append(len(arguments[0])))
    found = moments(model, Subset(x, x, exists if masked else None), edges)  # one graph, two, all
    np.testing.assert_allclose(found.covariance, np.cov(e.T, bias=True), rtol=1e-4, atol=1e-9)
    np.testing.assert_allclose(found.std, e.std(0), rtol=1e-5, atol=1e-8)
    np.testing.assert_allclose(found.kl, 0.5 * (e**2 + np.exp(s) - s - 1).mean(0), rtol=1e-5)
    assert max(asked) == min(8, edges // 12) and sum(asked) == 8 and model.training


def test_moments_of_no_edges_are_nothing():
    x, nobody = graphs(5), torch.zeros(5, 12, dtype=torch.bool)
    assert (moments(network(), Subset(x, x, nobody)).std == 0).all()


def test_chunks_hold_few_edges_whatever_the_size_of_a_graph():
    for n in (2, 4, 30, 200):
        x = torch.zeros(1, n, 6)
        at_once = graphs_at_once(network(), Subset(x, x))
        assert at_once >= 1 and (at_once == 1 or at_once * n * (n - 1) <= EDGES_AT_ONCE)
