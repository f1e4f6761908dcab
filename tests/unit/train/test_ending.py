"""A training ends soon after its validation loss has stopped falling, and not before pruning has ended."""

from pathlib import Path

import lightning as L
import pytest
import torch
from lightning.pytorch.callbacks import ModelCheckpoint

from gnn_distill.data.module import NBodyDataModule
from gnn_distill.model.network import ParticleGNN
from gnn_distill.train.ending import EndAtPlateau
from gnn_distill.train.lit import Augmentation, DistilModule
from gnn_distill.train.optim import Optimisation
from gnn_distill.train.penalties import NoPenalty
from gnn_distill.train.prune import PruneMessages, linear

EPOCHS, PATIENCE = 20, 2
FLAT = 1e-9  # a rate at which no loss moves


class _Watch(L.Callback):
    """Learning rate of each epoch's last step, as a share of the peak; ends after some epochs."""

    def __init__(self, until: int = EPOCHS) -> None:
        self.rates: list[float] = []
        self.until = until

    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        group = trainer.optimizers[0].param_groups[0]
        self.rates.append(group["lr"] / group["initial_lr"])
        trainer.should_stop |= trainer.current_epoch + 1 >= self.until


def fit(
    data: NBodyDataModule,
    rate: float,
    *more: L.Callback,
    schedule: str = "plateau",
    resume: Path | None = None,
) -> L.Trainer:
    torch.manual_seed(0)
    model = ParticleGNN(2, 6, width=16, layers=1, basis="delta", node="linear")
    lit = DistilModule(model, NoPenalty(), Optimisation(rate, schedule=schedule), Augmentation())
    trainer = L.Trainer(
        accelerator="cpu",
        max_epochs=EPOCHS,
        callbacks=[*more, EndAtPlateau(PATIENCE)],
        logger=False,
        enable_checkpointing=any(isinstance(c, ModelCheckpoint) for c in more),
        enable_progress_bar=False,
        enable_model_summary=False,
        num_sanity_val_steps=0,
    )
    trainer.fit(lit, datamodule=data, ckpt_path=resume, weights_only=True)
    return trainer


def test_the_rate_falls_at_a_plateau_and_the_training_ends(spring_data):
    watch = _Watch()
    trainer = fit(spring_data, FLAT, watch)
    # the first epoch, two that are no better, and three tenths of these three
    assert trainer.current_epoch == 4
    assert watch.rates == pytest.approx([1, 1, 1, 0], abs=1e-6)


def test_no_plateau_counts_before_pruning_has_ended(spring_data):
    watch = _Watch()
    trainer = fit(spring_data, FLAT, PruneMessages(linear, end=0.25, target_dims=2, sample=50), watch)
    # two dims are left in the fifth epoch: that one, two that are no better, and three tenths of seven
    assert trainer.current_epoch == 9
    assert watch.rates == pytest.approx([1] * 7 + [0.5, 0], abs=1e-6)


def test_without_a_plateau_the_rate_falls_over_the_last_epochs(spring_data):
    watch = _Watch()
    trainer = fit(spring_data, 3e-3, watch)
    assert trainer.current_epoch == EPOCHS
    assert watch.rates[:14] == pytest.approx([1] * 14) and watch.rates[-1] == pytest.approx(0)


def test_another_schedule_knows_no_plateau(spring_data):
    assert fit(spring_data, FLAT, schedule="cosine").current_epoch == EPOCHS


@pytest.mark.parametrize("until", [2, 6, 8])
def test_a_resumed_training_ends_where_an_unbroken_one_does(until: int, spring_data, tmp_path):
    prune = {"schedule": linear, "end": 0.25, "target_dims": 2, "sample": 50}
    whole = fit(spring_data, FLAT, PruneMessages(**prune))
    last = ModelCheckpoint(tmp_path, filename="last")
    fit(spring_data, FLAT, PruneMessages(**prune), last, _Watch(until))
    again = fit(spring_data, FLAT, PruneMessages(**prune), resume=tmp_path / "last.ckpt")
    assert (again.current_epoch, again.global_step) == (whole.current_epoch, whole.global_step)
    for one, two in zip(
        again.lightning_module.parameters(), whole.lightning_module.parameters(), strict=True
    ):
        torch.testing.assert_close(one, two, rtol=0, atol=0)
