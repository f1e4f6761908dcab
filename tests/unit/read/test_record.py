from dataclasses import replace

import numpy as np
import pytest
import torch

from gnn_distill.data.graphs import Subset, complete_graph
from gnn_distill.model.heads import GaussianHead
from gnn_distill.model.network import ParticleGNN
from gnn_distill.physics.laws import Spring
from gnn_distill.read.field import field
from gnn_distill.read.importance import trimmed_std
from gnn_distill.read.record import FEWEST_GRAPHS, Reading, record


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
    rec = record(model, subset, Spring(), Reading(sample_edges=240))
    predicted, messages = model(subset.features)
    assert rec.mae == pytest.approx(float((predicted - subset.accelerations).abs().mean().detach()), rel=1e-5)
    assert rec.mae_per_graph == pytest.approx(8 * rec.mae)
    flat = messages.mean.flatten(0, 1).detach().numpy()
    std = flat.std(0)
    np.testing.assert_allclose(rec.ranking.importance, std, rtol=1e-4)
    assert rec.ranking.components == tuple(np.argsort(-std)[:2])
    np.testing.assert_allclose(rec.selected.std(0), 1.0, rtol=1e-6)
    chosen = flat[:, rec.ranking.components[0]]
    np.testing.assert_allclose(rec.selected[:, 0], (chosen - chosen.mean()) / chosen.std(), atol=1e-4)
    np.testing.assert_allclose(rec.sample.messages, flat[rec.sample.edges], atol=1e-6)
    assert len(rec.sample.edges) == 240 and len(np.unique(rec.sample.edges // 12)) == 20
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
    model.mask[list(record(model, subset, None).ranking.components)] = 0.0
    again = record(model, subset, None)
    assert all(model.mask[k] == 1 for k in again.ranking.components)
    assert (again.ranking.importance[model.mask.numpy() == 0] == 0).all()
    model.mask[:] = 0.0
    model.mask[3] = 1.0
    assert record(model, subset, None).ranking.components == (3,)


def test_gaussian_messages_are_ranked_by_divergence(subset: Subset):
    model = network(head=GaussianHead())
    rec = record(model, subset, Spring(), Reading(sample_edges=240))
    _, (_, mean, s, _) = model(subset.features)
    normal = torch.distributions.Normal(mean, torch.exp(0.5 * s))
    kl = torch.distributions.kl_divergence(normal, torch.distributions.Normal(0.0, 1.0))
    assert rec.ranking.kind == "kl" and "Gaussian" in rec.ranking.reason
    np.testing.assert_allclose(rec.ranking.importance, kl.mean((0, 1)).detach().numpy(), rtol=1e-4)


def test_missing_edges_are_left_out(subset: Subset):
    model = network()
    receiver, sender = complete_graph(4)
    model.connect(receiver, sender)
    exists = torch.rand(1100, 12, generator=torch.Generator().manual_seed(2)) < 0.5
    rec = record(
        model, Subset(subset.features, subset.accelerations, exists), Spring(), Reading(sample_edges=240)
    )
    kept = exists.numpy().reshape(-1)
    assert len(rec.selected) == len(rec.edges.r) == len(rec.pullback) == kept.sum()
    flat = model(subset.features)[1].mean.flatten(0, 1).detach().numpy()[kept]
    np.testing.assert_allclose(rec.sample.messages, flat[rec.sample.edges], atol=1e-6)
    np.testing.assert_allclose(rec.ranking.measures["std"], flat.std(0), rtol=1e-4)


def test_unknown_law_has_no_truth(subset: Subset):
    rec = record(network(), subset, None)
    assert rec.edges.force is None and rec.edges.acceleration is None
    assert "force" not in rec.arrays()


def test_trimmed_deviation_is_the_smallest_of_any_nine_tenths():
    rng = np.random.default_rng(0)
    values = rng.standard_normal((200, 2))
    values[:15, 1] += 1000.0
    ordered = np.sort(values, axis=0)
    expected = [min(ordered[k : k + 180, d].std() for k in range(21)) for d in range(2)]
    np.testing.assert_allclose(trimmed_std(values), expected, rtol=1e-9)


def test_ranking_by_trimmed_deviation_is_not_ruled_by_close_encounters(subset: Subset):
    class Wild(ParticleGNN):
        """Dimension 0 is silent but for rare outbursts, 1 and 2 carry a signal, 3 is pruned and large."""

        def edge_update(self, x_i, x_j):
            e = super().edge_update(x_i, x_j).mean * 0
            delta = x_i[..., :2] - x_j[..., :2]
            e[..., 1:3] = delta
            e[..., 0] = torch.where(delta.norm(dim=-1) < 0.2, 1000.0, 0.0)
            e[..., 3] = 1e6 * delta[..., 0]
            return self.head(e * self.mask)

    model = Wild(2, 4, width=4)
    model.mask[3] = 0.0
    by_std = record(model, subset, Spring(), Reading(sample_edges=2400))
    by_trimmed = record(model, subset, Spring(), Reading(importance="trimmed_std", sample_edges=2400))
    assert by_std.ranking.components[0] == 0 and set(by_trimmed.ranking.components) == {1, 2}
    assert "trimmed_std" in by_std.ranking.reason and "others would select std" in by_trimmed.ranking.reason
    assert by_trimmed.ranking.kind == "trimmed_std" and by_trimmed.ranking.importance[3] == 0


def test_trajectories_of_edges_follow_their_graphs(subset: Subset):
    graphs = replace(subset, trajectory=torch.arange(1100) // 100)
    rec = record(network(), graphs, Spring(), Reading(sample_edges=240))
    np.testing.assert_array_equal(rec.trajectory, np.arange(1100 * 12) // 1200)
    np.testing.assert_array_equal(rec.arrays()["trajectory"], rec.sample.edges // 1200)


def test_path_averaged_pullback_is_an_option(subset: Subset):
    few = subset[:50]
    plain, path = (record(network(), few, Spring(), Reading(pullback=kind)) for kind in ("share", "path"))
    assert path.pullback_kind == "path"
    apart = np.linalg.norm(plain.pullback - path.pullback, axis=1) / np.linalg.norm(plain.pullback, axis=1)
    assert plain.path_difference == pytest.approx(np.median(apart), rel=1e-3) and plain.path_difference > 1e-3


class Watched(ParticleGNN):
    """Notes where it is asked for messages, and how many."""

    def edge_update(self, x_i, x_j):
        self.most = max(getattr(self, "most", 0), x_i[..., 0].numel())
        self.places = [*getattr(self, "places", []), x_i[..., :2].flatten(0, -2), x_j[..., :2].flatten(0, -2)]
        return super().edge_update(x_i, x_j)


def watched() -> Watched:
    torch.manual_seed(0)
    return Watched(2, 3, width=8, layers=1).eval()


def test_the_force_field_is_asked_for_where_the_data_are(subset: Subset):
    x = subset.features.clone()
    x[..., :2] += torch.tensor([300.0, -500.0])
    model = watched()
    found = field(model, Subset(x, subset.accelerations), [0, 1], np.ones(2))
    reach = np.abs(found.delta).max()
    assert 0.5 < reach < 3.0  # distances between particles, not to the origin
    span = x[..., :2].abs().flatten(0, 1).max(0).values
    assert all((place.abs() <= span + reach).all() for place in model.places)
    assert all((place.abs() > 250).all() for place in model.places)


def test_the_force_field_needs_no_interaction(subset: Subset):
    nobody = Subset(subset.features, subset.accelerations, torch.zeros(1100, 12, dtype=torch.bool))
    found = field(network(), nobody, [0, 1], np.ones(2))
    assert len(found.delta) > 50 and np.isfinite(found.pullback).all() and np.isfinite(found.messages).all()
    somebody = Subset(subset.features, subset.accelerations, nobody.edge_mask.clone())
    somebody.edge_mask[7, 5] = True
    receiver, sender = complete_graph(4)
    apart = (subset.features[7, receiver[5], :2] - subset.features[7, sender[5], :2]).norm()
    assert field(network(), somebody[:20], [0], np.ones(1)).delta.max() == pytest.approx(
        float(apart), rel=1e-5
    )


def test_the_force_field_looks_at_few_edges_whatever_the_data(subset: Subset):
    model = watched()
    field(model, subset, [0, 1], np.ones(2), edges=240)
    assert model.most == 240
    model = watched()
    field(model, subset, [0, 1], np.ones(2), edges=1)  # less than one graph has
    assert model.most <= 13**2


def test_the_sample_is_of_graphs_that_have_edges(subset: Subset):
    exists = torch.zeros(1100, 12, dtype=torch.bool)
    exists[1000, [3, 8]] = True
    data = Subset(subset.features, subset.accelerations, exists)
    rec = record(network(), data, Spring(), Reading(sample_edges=240))
    assert (
        rec.sample.edges.tolist() == [0, 1]
        and np.isfinite(rec.ranking.importance).all()
        and rec.ranking.importance.max() > 0
    )


def test_few_whole_graphs_are_recorded_and_the_error_is_that_of_all(subset: Subset):
    readings = (Reading(edges=n, sample_edges=60) for n in (1210, 10**9))
    few, whole = (record(network(), subset, Spring(), how) for how in readings)
    assert whole.recorded.tolist() == list(range(len(subset)))
    assert len(few.recorded) == 100 and len(few.selected) == 1200 and (np.diff(few.recorded) > 0).all()
    assert few.mae == whole.mae == pytest.approx(whole.recorded_mae) and few.graphs == len(subset)
    part = subset[torch.from_numpy(few.recorded)]
    error = (network()(part.features)[0] - part.accelerations).abs().mean()
    assert few.recorded_mae == pytest.approx(float(error.detach()), rel=1e-5) and few.recorded_mae != few.mae
    d = np.linalg.norm(whole.edges.delta, axis=1)
    assert few.distances == whole.distances == pytest.approx((d.min(), d.max()))
    at = (12 * few.recorded[:, None] + np.arange(12)).ravel()
    np.testing.assert_array_equal(few.edges.r, whole.edges.r[at])
    np.testing.assert_allclose(few.pullback, whole.pullback[at], rtol=1e-5, atol=1e-6)
    np.testing.assert_array_equal(few.trajectory, whole.trajectory[at])


def test_large_graphs_are_recorded_in_a_number_that_can_be_held_out(subset: Subset):
    assert (
        len(record(network(), subset, Spring(), Reading(edges=1, sample_edges=12)).recorded) == FEWEST_GRAPHS
    )
    pair = Subset(subset.features[:3], subset.accelerations[:3])
    assert record(network(), pair, Spring(), Reading(edges=1, sample_edges=12)).recorded.tolist() == [0, 1, 2]
