"""One message for both directions of a pair: when there is one, and that no number depends on it."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from gnn_distill.data import receivers
from gnn_distill.data.draws import Share
from gnn_distill.data.module import Batches, NBodyDataModule
from gnn_distill.data.own.neighbours import closest, together, within
from gnn_distill.data.particles import ParticleData
from gnn_distill.data.receivers import Receivers
from gnn_distill.data.sightings import Sightings
from gnn_distill.model.network import ParticleGNN

FRAMES, N, BOX = 40, 30, (4.0, None)


def recording(masses: bool = False, company=within, dim: int = 2) -> ParticleData:
    """Frames of particles that see those within a distance, some of them without labels."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(FRAMES * N, 2 * dim + 2)).astype(np.float32)
    x[:, :dim] = rng.uniform(0, 4, (FRAMES * N, dim))
    x[:, -1] = np.exp(x[:, -1]) if masses else 1.0
    x[:, -2] = 0.0
    a = rng.normal(size=(FRAMES * N, dim)).astype(np.float32)
    a[::7] = np.nan
    frame, box = np.repeat(np.arange(FRAMES), N), (*BOX, 5.0)[:dim]
    asked = {within: (1.2, box), closest: (5, box), together: ()}[company]
    listed = company(frame, *(() if company is together else (x[:, :dim], *asked)))
    seen = Sightings(frame, frame, np.arange(len(x)), *listed)
    return ParticleData(x[None], a[None], 1, box=box, softening=0.0, sightings=seen)


def network(data: ParticleData, **options: bool) -> ParticleGNN:
    torch.manual_seed(0)
    dim = len(data.box or ())
    model = ParticleGNN(dim, dim, width=16, layers=2, basis="isotropic", box=data.box, **options)
    some = NBodyDataModule(data, "frames", 64, seed=0).calibration(10**6)
    model.calibrate(some.features, some.accelerations, some.graph)
    return model


def batches(data: ParticleData, size: int = 60) -> Batches:
    module = NBodyDataModule(data, "frames", size, seed=0)
    module.mutual, module.least_batches = True, 2
    return module.train_dataloader()


def loss_and_gradients(model: ParticleGNN, batch: Receivers) -> tuple[float, list[torch.Tensor]]:
    model.zero_grad()
    predicted, messages = model.on(batch)
    loss = (predicted - batch.accelerations).abs().sum() + 0.1 * messages.value.abs().sum()
    loss.backward()
    return loss.item(), [w.grad.clone() for w in model.parameters() if w.grad is not None]


@pytest.mark.parametrize("size", [10, 26, 30, 2000])  # slabs, frames, frames that are cut or come twice
@pytest.mark.parametrize("company", [within, together])
@pytest.mark.parametrize(
    ("dim", "masses", "options", "once"),
    [
        (2, False, {"transverse": True}, True),
        (3, False, {}, True),
        (3, False, {"transverse": True}, False),  # u × w is the same for both
        (3, True, {"reciprocal": True, "transverse": True}, True),
        (2, True, {}, False),
    ],
)
def test_loss_and_gradients_are_those_of_all_edges(monkeypatch, size, company, dim, masses, options, once):
    monkeypatch.setattr(receivers, "ALONE", 0)
    data = recording(masses, company, dim)
    model, asked = network(data, **options).double(), []
    assert model.mutual == once
    update = model.edge_update
    monkeypatch.setattr(model, "edge_update", lambda i, j: asked.append(i.shape[1]) or update(i, j))
    for batch in list(batches(data, size))[:3]:
        table = batch.table
        exact = replace(table, features=table.features.double(), labels=table.labels.double())
        batch, graph = replace(batch, table=exact), batch.graph
        assert batch.paired and graph.opposites > 0
        loss, gradients = loss_and_gradients(model, batch)
        reference, others = loss_and_gradients(model, replace(batch, paired=False))
        assert asked == [len(graph.receiver) - once * graph.opposites, len(graph.receiver)]
        assert loss == pytest.approx(reference, rel=1e-12)
        for one, two in zip(gradients, others, strict=True):
            torch.testing.assert_close(one, two, rtol=1e-9, atol=1e-9)
        asked.clear()


def test_a_batch_of_whole_frames_has_each_pair_once():
    data = recording()
    for batch in batches(data):
        receiver, sender, nodes, _, opposites = batch.graph
        labelled = sender < nodes  # those without labels send, too, and receive nothing
        assert 2 * opposites == int(labelled.sum()) and len(batch) in (102, 103, 104)
        assert len(torch.unique(batch.table.frame[batch.index])) <= 6
        assert torch.equal(receiver[:opposites], sender[len(sender) - opposites :])
        pairs = torch.stack([receiver, sender], 1)[labelled]
        assert len(torch.unique(pairs, dim=0)) == len(pairs)
    assert (batch.table.place == -1).all()


def test_slabs_of_large_frames_and_random_receivers_of_larger_ones(monkeypatch):
    data = recording()
    assert batches(data, 20).blocks is None and batches(data, 30).blocks is not None  # one frame is too few
    monkeypatch.setattr(receivers, "ALONE", 0)
    for size, slabs in ((30, 1), (10, 2), (4, 4)):
        some = batches(data, size)
        assert some.blocks is not None and len(np.unique(some.blocks)) == slabs * 28
        epoch = torch.cat([batch.index for batch in some])
        assert len(torch.unique(epoch)) == len(epoch) >= 0.9 * len(some.subset)
    assert batches(data, 2).blocks is None
    x = data.features[0, :, 0] % BOX[0]
    first = replace(batches(data, 10), epoch=None).subset
    cut = [x[first.index[batches(data, 10).blocks == k]] for k in (0, 1)]
    assert cut[0].max() <= cut[1].min()


def test_nearest_neighbours_have_no_opposites_and_other_networks_no_use_for_them():
    assert batches(recording(company=closest)).blocks is None
    module = NBodyDataModule(recording(), "frames", 60, seed=0)
    assert module.train_dataloader().blocks is None
    assert not ParticleGNN(2, 20, width=8).mutual
    known = {"individuals": 3, "hidden": 1, "extra_features": 1}
    assert not ParticleGNN(2, 2, width=8, basis="isotropic", **known).mutual
    assert not ParticleGNN(2, 2, width=8, basis="isotropic", bonds=3, extra_features=0).mutual


def test_processes_share_a_batch_in_parts_that_hold_pairs():
    whole = batches(recording())
    halves = [list(replace(whole, share=Share(rank, 2))) for rank in range(2)]
    for batch, one, two in zip(whole, *halves, strict=True):
        assert torch.equal(batch.index, torch.cat([one.index, two.index]))
        assert len(one) == len(two) or len(one) == len(two) + 1


@pytest.mark.parametrize("judged", [None, 40])
def test_validation_is_judged_by_the_same_receivers_in_pairs(judged: int | None):
    module = NBodyDataModule(recording(), "frames", 60, seed=0)
    module.judged, plain = judged, module.validation
    module.mutual = True
    found = list(module.val_dataloader())
    seen = torch.cat([batch.index for batch in found]).sort().values
    if judged is None:
        assert torch.equal(seen, plain.index)
    else:
        assert 40 <= len(seen) <= 80 and np.isin(seen, plain.index).all()
    for batch in found:
        receiver, sender, nodes, _, opposites = batch.graph
        assert 2 * opposites == int((sender < nodes).sum()) > 0


@pytest.mark.parametrize("masses", [False, True])
def test_complete_graphs_are_trained_pair_by_pair(masses: bool):
    torch.manual_seed(0)
    x, a = torch.randn(20, 5, 6, dtype=torch.float64), torch.randn(20, 5, 2, dtype=torch.float64)
    x[..., 4], x[..., 5] = 0.0, x[..., 5].exp() if masses else 1.0
    model = ParticleGNN(2, 2, width=16, layers=2, basis="isotropic").double()
    model.calibrate(x, a)
    assert model.mutual != masses
    (trained, one), (evaluated, all_) = model.train()(x), model.eval()(x)
    torch.testing.assert_close(trained, evaluated)
    torch.testing.assert_close(one.value.abs().sum(), all_.value.abs().sum())
    gradients = [
        torch.autograd.grad((p - a).abs().sum(), list(model.parameters())) for p in (trained, evaluated)
    ]
    for first, second in zip(*gradients, strict=True):
        torch.testing.assert_close(first, second)
    again = ParticleGNN(2, 2, width=16, layers=2, basis="isotropic")
    assert not again.mutual
    again.load_state_dict(model.state_dict())
    assert again.mutual == model.mutual


def test_a_judged_epoch_sees_all_sides_of_a_box(monkeypatch):
    monkeypatch.setattr(receivers, "ALONE", 0)
    data = recording()
    module = NBodyDataModule(data, "frames", 10, seed=0)  # two slabs a frame
    module.mutual, module.judged = True, len(module.validation) // 2
    x = data.features[0, :, 0] % BOX[0]
    places = np.concatenate([x[batch.index] for batch in module.val_dataloader()])
    assert len(places) < len(module.validation) and places.min() < 0.5 and places.max() > 3.5


def test_batches_of_blocks_divide_among_processes(monkeypatch):
    module = NBodyDataModule(recording(), "frames", 60, seed=0)
    module.mutual = True
    monkeypatch.setattr(module, "_share", lambda: Share(0, 4))
    assert module._laid_out(module.train)[2] % 4 == 0
