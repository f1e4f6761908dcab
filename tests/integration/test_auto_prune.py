"""`schedule.target_dims=auto` finds the number of dims that the data need, and puts a cut too many back."""

from pathlib import Path

import lightning as L
import pytest
import torch
from lightning.pytorch.callbacks import ModelCheckpoint

from gnn_distill.data.module import NBodyDataModule
from gnn_distill.data.particles import to_graphs
from gnn_distill.model.network import ParticleGNN
from gnn_distill.physics.laws import Spring
from gnn_distill.physics.simulate import Simulation, simulate
from gnn_distill.train.lit import Augmentation, DistilModule
from gnn_distill.train.optim import Optimisation
from gnn_distill.train.penalties import NoPenalty
from gnn_distill.train.prune import PruneMessages, active_dims, cosine

EPOCHS = 12


@pytest.fixture(scope="module")
def data():
    return to_graphs(simulate(Simulation(Spring(), simulations=150, frames=40)))


def parts(data, end: float = 0.5) -> tuple[DistilModule, NBodyDataModule, PruneMessages]:
    torch.manual_seed(0)
    model = ParticleGNN(2, 6, width=48, layers=2, basis="delta", node="linear", scale_output=True)
    datamodule = NBodyDataModule(data, "trajectories", batch_size=64, seed=0)
    model.calibrate(datamodule.train.features, datamodule.train.accelerations)
    lit = DistilModule(model, NoPenalty(), Optimisation(5e-3, warmup=0.05), Augmentation())
    return lit, datamodule, PruneMessages(cosine, end=end, target_dims="auto", sample=300)


def fit(data, folder: Path, epochs: int = EPOCHS, resume: Path | None = None) -> DistilModule:
    lit, datamodule, prune = parts(data)
    last = ModelCheckpoint(folder, filename="last")
    trainer = L.Trainer(
        accelerator="cpu",
        max_epochs=EPOCHS,
        callbacks=[prune, last, _Stop(epochs)],
        logger=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        num_sanity_val_steps=0,
    )
    trainer.fit(lit, datamodule=datamodule, ckpt_path=resume, weights_only=True)
    return lit


class _Dims(L.Callback):
    """Active dims of each epoch, after its cut."""

    def __init__(self) -> None:
        self.seen: list[int] = []

    def on_train_batch_start(
        self, trainer: L.Trainer, pl_module: DistilModule, batch, batch_idx: int
    ) -> None:
        if batch_idx == 0:
            self.seen.append(pl_module.model.active_dims)


class _Stop(L.Callback):
    def __init__(self, epochs: int) -> None:
        self.epochs = epochs

    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        trainer.should_stop = trainer.current_epoch + 1 >= self.epochs


def test_stops_at_the_dimension_of_space_and_resumes_in_the_middle_of_a_trial(data, tmp_path):
    whole = fit(data, tmp_path / "whole")
    assert whole.model.active_dims == 2 and whole.settled
    fit(data, tmp_path / "part", epochs=7)
    resumed = fit(data, tmp_path / "resumed", resume=tmp_path / "part" / "last.ckpt")
    for key, value in whole.state_dict().items():
        torch.testing.assert_close(resumed.state_dict()[key], value, rtol=0, atol=0)


def dims_of_epochs(data, epochs: int, regulariser=None) -> tuple[DistilModule, PruneMessages, list[int]]:
    """Train with a schedule that ends with the last epoch; active dims of each epoch."""
    lit, datamodule, prune = parts(data, end=1.0)
    lit.regulariser, dims = regulariser or lit.regulariser, _Dims()
    trainer = L.Trainer(
        accelerator="cpu",
        max_epochs=epochs,
        callbacks=[prune, dims],
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        num_sanity_val_steps=0,
    )
    trainer.fit(lit, datamodule=datamodule)
    return lit, prune, dims.seen


def test_the_last_epoch_cuts_nothing(data):
    lit, _, seen = dims_of_epochs(data, 4)
    assert active_dims(3, 4.0, 6, 1, cosine) < active_dims(2, 4.0, 6, 1, cosine) == seen[2] == seen[3]
    assert lit.settled


class _Rising(NoPenalty):
    full_weight_from = 0.6


def test_nothing_is_cut_on_trial_while_the_penalty_rises(data):
    _, prune, seen = dims_of_epochs(data, 6, _Rising())
    assert active_dims(3, 6.0, 6, 1, cosine) < 6
    assert seen[:4] == [6, 6, 6, 6] and seen[4] < 6
    assert prune._trials.best < float("inf")
