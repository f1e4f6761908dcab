"""When a training ends before its last epoch: at a plateau of the validation loss, or by hand."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

import lightning as L

from gnn_distill.errors import check_int
from gnn_distill.train.lit import DistilModule
from gnn_distill.train.optim import FALL, Held

GAIN = 0.01
"""A validation loss is lower than the lowest so far where it is so by at least this share."""


class EndAtPlateau(L.Callback):
    """Lets the rate fall, and then ends the training, once the validation loss has stopped falling.

    Wants `profile.lr_schedule: plateau`, whose rate stays high until then. The fall takes the share `FALL`
    of the epochs done by then. Epochs before pruning has ended and before the penalty has its full weight
    count for nothing: these move the loss. Where there is no plateau the rate falls over the last epochs.

    Args:
        patience: epochs in a row without a lower loss that make a plateau.

    Attributes:
        best: the lowest loss so far.
        waited: epochs since then.
        last: epochs after which the training ends; None before the plateau.
    """

    def __init__(self, patience: int) -> None:
        check_int("profile.patience", patience, 1)
        self.patience = patience
        self.best, self.waited = float("inf"), 0
        self.last: int | None = None

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Do nothing more where a resumed run had come to its end."""
        trainer.should_stop |= self.last is not None and trainer.current_epoch >= self.last

    def on_validation_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Judge the epoch; at the plateau begin the fall of the rate."""
        lit, done = cast(DistilModule, pl_module), trainer.current_epoch + 1
        rate = trainer.lr_scheduler_configs[0].scheduler.lr_lambdas[0]  # type: ignore[union-attr]
        if not isinstance(rate, Held) or rate.falling(trainer.global_step):
            return
        loss = float(trainer.callback_metrics["val/selection"])
        if not (lit.settled and lit.fully_penalised) or loss < (1 - GAIN) * self.best:
            self.best = loss if lit.settled and lit.fully_penalised else self.best
            self.waited = 0
            return
        self.waited += 1
        if self.waited >= self.patience:
            epochs = min((trainer.max_epochs or done) - done, max(1, round(FALL * done)))
            self.last = done + epochs
            rate.fall(trainer.global_step, epochs * trainer.global_step // done)

    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """End once the rate has fallen."""
        trainer.should_stop |= self.last is not None and trainer.current_epoch + 1 >= self.last

    def state_dict(self) -> dict[str, Any]:
        """How long nothing has become better."""
        return {"best": self.best, "waited": self.waited, "last": self.last}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on from a checkpoint."""
        self.best, self.waited, self.last = (state_dict[key] for key in ("best", "waited", "last"))


class EndByHand(L.Callback):
    """Ends the training where somebody asks for it; validation and checkpoints are made as after any epoch.

    With several processes an epoch is brought to its end before.

    Args:
        asked: whether somebody has.

    Attributes:
        ended: whether it was so.
    """

    def __init__(self, asked: Callable[[], bool]) -> None:
        self.asked, self.ended = asked, False

    def on_train_batch_end(self, trainer: L.Trainer, *_: object) -> None:
        """Look after each step."""
        if trainer.world_size == 1 and self.asked():
            self.ended = trainer.should_stop = True

    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Look after each epoch, for all processes."""
        if trainer.world_size > 1 and trainer.strategy.reduce_boolean_decision(self.asked(), all=False):
            self.ended = trainer.should_stop = True
