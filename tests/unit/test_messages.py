import numpy as np
import pytest
import torch

from gnn_distill.data import Subset
from gnn_distill.forces import Spring
from gnn_distill.messages import importance, record
from gnn_distill.model import GaussianHead, ParticleGNN, complete_graph


@pytest.fixture
def subset() -> Subset:
    x = torch.randn(1100, 4, 6, generator=torch.Generator().manual_seed(0))
    x[..., 5] = x[..., 5].exp()
    return Subset(x, torch.randn(1100, 4, 2, generator=torch.Generator().manual_seed(1)))


def network(**options) -> ParticleGNN:
    torch.manual_seed(0)
    return ParticleGNN(2, 6, width=8, layers=1, **options).eval()


def test_recording_of_whole_test_set(subset: Subset):
    model = network()
    rec = record(model, subset, Spring(), sample_edges=240)
    predicted, messages = model(subset.features)
    assert rec.mae == pytest.approx(float((predicted - subset.accelerations).abs().mean().detach()), rel=1e-5)
    assert rec.mae_per_graph == pytest.approx(8 * rec.mae)
    flat = messages.mean.flatten(0, 1).detach().numpy()
    std = flat.std(0)
    np.testing.assert_allclose(rec.importance, std, rtol=1e-4)
    assert rec.components == tuple(np.argsort(-std)[:2])
    np.testing.assert_allclose(rec.selected.std(0), 1.0, rtol=1e-6)
    chosen = flat[:, rec.components[0]]
    np.testing.assert_allclose(rec.selected[:, 0], (chosen - chosen.mean()) / chosen.std(), atol=1e-4)
    np.testing.assert_allclose(rec.sample_messages, flat[rec.sample], atol=1e-6)
    assert len(rec.sample) == 240 and len(np.unique(rec.sample // 12)) == 20
    arrays = rec.arrays()
    assert arrays["force"].shape == (240, 2) and arrays["messages"].shape == (240, 6)


def test_edges_carry_the_features_of_both_ends(subset: Subset):
    edges = record(network(), subset, Spring()).edges
    receiver, sender = complete_graph(4)
    g, k = 7, 5
    one, two = (
        subset.features[g, receiver[k]].double().numpy(),
        subset.features[g, sender[k]].double().numpy(),
    )
    row = dict(zip(edges.names, edges.variables[12 * g + k], strict=True))
    expected = {
        "dx": one[0] - two[0],
        "dy": one[1] - two[1],
        "m1": one[5],
        "m2": two[5],
        "q1": one[4],
        "q2": two[4],
    }
    assert {name: row[name] for name in expected} == pytest.approx(expected)
    assert row["r"] == pytest.approx(np.hypot(row["dx"], row["dy"]) + 0.01)
    assert edges.receiver[12 * g + k] == 4 * g + receiver[k]


def test_pruned_dimensions_are_never_selected(subset: Subset):
    model = network()
    model.mask[list(record(model, subset, None).components)] = 0.0
    again = record(model, subset, None)
    assert all(model.mask[k] == 1 for k in again.components)
    assert (again.importance[model.mask.numpy() == 0] == 0).all()
    model.mask[:] = 0.0
    model.mask[3] = 1.0
    assert record(model, subset, None).components == (3,)


def test_gaussian_messages_are_ranked_by_divergence(subset: Subset):
    model = network(head=GaussianHead())
    values, _, kind = importance(model, subset)
    _, (_, mean, s) = model(subset.features)
    normal = torch.distributions.Normal(mean, torch.exp(0.5 * s))
    kl = torch.distributions.kl_divergence(normal, torch.distributions.Normal(0.0, 1.0))
    assert kind == "kl"
    np.testing.assert_allclose(values, kl.mean((0, 1)).detach().numpy(), rtol=1e-4)


def test_missing_edges_are_left_out(subset: Subset):
    model = network()
    receiver, sender = complete_graph(4)
    model.connect(receiver, sender)
    exists = torch.rand(1100, 12, generator=torch.Generator().manual_seed(2)) < 0.5
    rec = record(model, Subset(subset.features, subset.accelerations, exists), Spring(), sample_edges=240)
    kept = exists.numpy().reshape(-1)
    assert len(rec.selected) == len(rec.edges.r) == len(rec.pullback) == kept.sum()
    flat = model(subset.features)[1].mean.flatten(0, 1).detach().numpy()[kept]
    np.testing.assert_allclose(rec.sample_messages, flat[rec.sample], atol=1e-6)
    np.testing.assert_allclose(rec.std, flat.std(0), rtol=1e-4)


def test_unknown_law_has_no_truth(subset: Subset):
    rec = record(network(), subset, None)
    assert rec.edges.force is None and rec.edges.acceleration is None
    assert "force" not in rec.arrays()
