import numpy as np
import pytest
import torch

from gnn_distill.data.cache import load_or_simulate
from gnn_distill.data.graphs import Subset, View
from gnn_distill.data.module import Batches, NBodyDataModule, split_indices
from gnn_distill.data.particles import ParticleData, chain, to_graphs
from gnn_distill.errors import InputError
from gnn_distill.physics.laws import Coulomb, Spring
from gnn_distill.physics.simulate import Simulation, simulate


def test_graphs_have_the_protocols_features(spring_trajectories):
    t = spring_trajectories
    data = to_graphs(t)
    graph = data.features[3 * 20 + 7]  # trajectory 3, frame 7
    np.testing.assert_allclose(graph[:, :2], t.positions[3, 7], rtol=1e-6)
    np.testing.assert_allclose(graph[:, 2:4], t.velocities[3, 7], rtol=1e-6)
    np.testing.assert_allclose(graph[:, 4], t.charges[3], rtol=1e-6)
    np.testing.assert_allclose(graph[:, 5], t.masses[3], rtol=1e-6)
    np.testing.assert_allclose(data.accelerations[3 * 20 + 7], t.accelerations[3, 7], rtol=1e-6)


@pytest.mark.parametrize("how", ["trajectories", "frames"])
def test_split_is_a_partition_of_70_15_15(how: str):
    parts = split_indices(2000, 20, how, seed=0)
    assert [len(p) for p in parts] == [1400, 300, 300]
    assert sorted(np.concatenate(parts)) == list(range(2000))


def test_only_the_trajectory_split_keeps_trajectories_apart():
    def shared(how: str) -> int:
        train, _, test = (set(p // 20) for p in split_indices(2000, 20, how, seed=0))
        return len(train & test)

    assert shared("trajectories") == 0
    assert shared("frames") > 50


def test_charges_are_signs_for_coulomb_only():
    charged = simulate(Simulation(Coulomb(), simulations=5, frames=2)).charges
    neutral = simulate(Simulation(Spring(), simulations=5, frames=2)).charges
    assert set(np.unique(charged)) == {-1.0, 1.0}
    assert len(np.unique(neutral)) == neutral.size


def test_a_dataset_larger_than_memory_trains_on_the_same_batches(tmp_path):
    data = load_or_simulate(Simulation(Spring(), simulations=40, frames=20), tmp_path)
    resident = NBodyDataModule(data, "trajectories", 64, seed=0)
    on_disk = NBodyDataModule(data, "trajectories", 64, seed=0, memory_limit=1000)
    assert isinstance(on_disk.train, View) and isinstance(resident.train, Subset)
    assert on_disk.train.whole.features.data_ptr() == data.features.ctypes.data  # the mapped file itself
    batches = zip(resident.train_dataloader(), on_disk.train_dataloader(), strict=True)
    for one, two in batches:
        assert (one.features == two.features).all() and (one.accelerations == two.accelerations).all()


def test_batches_cover_an_epoch_in_an_order_of_their_own(spring_data: NBodyDataModule):
    epoch = 0
    batches = Batches(spring_data.train, 64, seed=5, epoch=lambda: epoch)
    first = [batch.features for batch in batches]
    assert len(first) == len(batches) == len(spring_data.train) // 64
    assert all((a == b).all() for a, b in zip(first, [b.features for b in batches], strict=True))
    epoch = 1
    assert not (first[0] == next(iter(batches)).features).all()
    rows = np.concatenate([x.reshape(len(x), -1) for x in first])
    assert len(np.unique(rows, axis=0)) == len(rows)


def test_few_graphs_come_again_until_an_epoch_has_its_steps(spring_trajectories):
    data = to_graphs(spring_trajectories)  # four particles, twelve edges
    module = NBodyDataModule(data, "trajectories", 64, 0, batch_edges=1200, least_batches=17)
    batches = Batches(module.train, module.batch_size, epoch=lambda: 0, least=17)
    assert module.batch_size == 100 and len(module.train) == 560 and len(batches) == 17
    rows = np.concatenate([batch.features.reshape(len(batch), -1) for batch in batches])
    assert len(rows) == 1700
    seen = np.unique(rows, axis=0, return_counts=True)[1]
    assert len(seen) == 560 and set(seen) <= {3, 4}
    plain = Batches(module.train, module.batch_size, epoch=lambda: 0)
    assert (next(iter(plain)).features == next(iter(batches)).features).all()


def test_steps_are_as_large_for_graphs_with_few_edges(spring_trajectories):
    sizes = [
        NBodyDataModule(to_graphs(spring_trajectories, adjacency), "trajectories", 64, 0, batch_edges=1200)
        for adjacency in (None, chain(4), np.stack([chain(4), ~np.eye(4, dtype=bool)] * 400))
    ]
    assert [module.batch_size for module in sizes] == [100, 200, round(1200 / 9)]


def test_too_little_data_is_refused(tmp_path):
    data = load_or_simulate(Simulation(Spring(), simulations=2, frames=5), tmp_path)
    with pytest.raises(InputError, match="simulations"):
        NBodyDataModule(data, "trajectories", 8, 0)


class Elsewhere(NBodyDataModule):
    """Its graphs move to another device while training."""

    def _resident(self, subset):
        return subset.to(torch.device("meta"))


def test_graphs_are_back_home_after_training():
    data = to_graphs(simulate(Simulation(Spring(), simulations=20, frames=4)))
    module = Elsewhere(data, "trajectories", batch_size=8, seed=0)
    module.train_dataloader(), module.val_dataloader()
    assert module.train.device.type == module.validation.device.type == "meta"
    module.teardown("fit")
    assert module.train.device.type == module.validation.device.type == "cpu"


@pytest.mark.parametrize("part", ["training", "validation", "test"])
def test_parts_of_a_split_without_interaction_are_named(part: str):
    features, accelerations = np.zeros((20, 3, 6), np.float32), np.zeros((20, 3, 2), np.float32)
    parts = dict(zip(("training", "validation", "test"), split_indices(20, 1, "frames", 0), strict=True))
    joined = np.broadcast_to(~np.eye(3, dtype=bool), (20, 3, 3)).copy()
    NBodyDataModule(ParticleData(features, accelerations, 1, adjacency=joined), "frames", 4, seed=0)
    joined[parts[part]] = False
    with pytest.raises(InputError, match=f"dataset.graph.*no edge in any {part} graph.*dataset.radius"):
        NBodyDataModule(ParticleData(features, accelerations, 1, adjacency=joined), "frames", 4, seed=0)
    with pytest.raises(InputError, match="no edge"):
        nobody = np.zeros((3, 3), dtype=bool)
        NBodyDataModule(ParticleData(features, accelerations, 1, adjacency=nobody), "frames", 4, seed=0)
