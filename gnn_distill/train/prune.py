"""Pruning of message dimensions while training: schedules as pure functions, and the callback.

Source: the pruning model of the 2025 report.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from typing import Any, cast

import lightning as L
import torch
from torch import Tensor

from gnn_distill.data.module import NBodyDataModule
from gnn_distill.errors import InputError, check_int, check_range
from gnn_distill.model.moments import moments
from gnn_distill.model.network import ParticleGNN
from gnn_distill.train.lit import DistilModule

AUTO = "auto"


Schedule = Callable[[float], float]
"""Fraction p(s) of the dimensions to be pruned at progress s, with p(0) = 0 and p(1) = 1."""


def linear(s: float) -> float:
    """p(s) = s.

    ```yaml
    schedule: {function: {_target_: gnn_distill.train.prune.linear, _partial_: true}}
    ```
    """
    return s


def exponential(s: float, rate: float = 3.0) -> float:
    """p(s) = (1 − e^(−k s)) / (1 − e^(−k)): most is pruned early.

    ```yaml
    schedule: {function: {_target_: gnn_distill.train.prune.exponential, _partial_: true, rate: 3.0}}
    ```
    """
    return (1 - math.exp(-rate * s)) / (1 - math.exp(-rate))


def cosine(s: float) -> float:
    """p(s) = 1 − ½ (1 + cos π s): slow at both ends.

    ```yaml
    schedule: {function: {_target_: gnn_distill.train.prune.cosine, _partial_: true}}
    ```
    """
    return 1 - 0.5 * (1 + math.cos(math.pi * s))


def active_dims(epoch: int, last_epoch: float, total: int, target: int, schedule: Schedule) -> int:
    """Dimensions open during `epoch` (0 the first): D − ceil(ΔD · p(t/T)), and `target` from T on."""
    if epoch <= 0:
        return total
    if epoch >= last_epoch:
        return target
    pruned = (total - target) * schedule(epoch / last_epoch)
    return total - math.ceil(pruned - 1e-9)


@dataclass
class Trials:
    """Cuts on trial: how much to cut next, and whether the last cut stands.

    Args:
        tolerance: a cut is refused where the loss after an epoch exceeds the best so far by this factor.
        patience: refused cuts to one dim less than there are that end the pruning.

    Attributes:
        best: lowest validation loss so far.
        size: dims taken away by the cut on trial; 0 where none is.
        largest: dims that a cut may take, None before the first refusal.
        left: dims that the cut on trial leaves.
        refused: how many cuts to each number of dims were refused.
    """

    tolerance: float = 1.5
    patience: int = 2
    best: float = float("inf")
    size: int = 0
    largest: int | None = None
    left: int = 0
    refused: dict[int, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        check_range("callbacks.prune.tolerance", self.tolerance, 1.0, open_low=True)
        check_int("callbacks.prune.patience", self.patience, 1)

    def over(self, active: int) -> bool:
        """Whether one dim less than `active` was refused often enough."""
        return self.refused.get(active - 1, 0) >= self.patience

    def cut(self, active: int, surplus: int) -> int:
        """How many of `surplus` dims to take away from `active` ones now, on trial."""
        if self.over(active):
            return 0
        self.size = max(0, surplus if self.largest is None else min(surplus, self.largest))
        self.left = active - self.size
        return self.size

    def judge(self, loss: float) -> bool:
        """Take the validation loss of an epoch; True where the cut on trial stands (or none was made)."""
        size, self.size = self.size, 0
        if size == 0 or loss <= self.tolerance * self.best:  # a loss that is not a number refuses the cut
            self.best = min(self.best, loss)
            return True
        self.largest = max(1, size // 2)
        self.refused[self.left] = self.refused.get(self.left, 0) + 1
        return False


@dataclass
class PruneMessages(L.Callback):
    """Before each epoch but the first, mask the least important message dimensions, for good.

    Importance is the standard deviation over all edges of a fixed random sample of validation graphs.
    The mask is a buffer of the model, so it is saved, resumed and moved with it.

    With `target_dims: auto` the schedule heads for one dimension, and each cut is on trial for an epoch:
    where the validation loss has risen too far (see `Trials`), weights, optimiser and mask go
    back to where they were before it. What is left is the number of dimensions that the data need. The last
    epoch cuts nothing.

    ```yaml
    callbacks:
      prune: {_target_: gnn_distill.train.prune.PruneMessages, schedule: {...}, end: 0.65, target_dims: 2}
    ```

    Args:
        schedule: progress → fraction pruned.
        end: fraction of all epochs after which `target_dims` are left.
        target_dims: dimensions left at the end, or `auto`.
        sample: validation graphs that importance is measured on.
        seed: seed of that sample.
        tolerance: auto refuses a cut if the validation loss is above the best so far times this factor.
        patience: refused cuts to one dimension less after which auto stops.
    """

    schedule: Schedule
    end: float = 0.65
    target_dims: int | str = 2
    sample: int = 10_240
    seed: int = 0
    tolerance: float = 1.5
    patience: int = 2

    def __post_init__(self) -> None:
        if not callable(self.schedule):
            fix = "give a _target_ with `_partial_: true`"
            raise InputError("callbacks.prune.schedule", self.schedule, fix)
        check_range("callbacks.prune.end", self.end, 0.0, 1.0, open_low=True)
        if isinstance(self.target_dims, str) and self.target_dims != AUTO:
            raise InputError("callbacks.prune.target_dims", self.target_dims, "give a whole number, or auto")
        if self.target_dims != AUTO:
            check_int("callbacks.prune.target_dims", self.target_dims, 1)
        check_int("callbacks.prune.sample", self.sample, 1)
        self._trials = Trials(self.tolerance, self.patience)
        self._before: dict[str, Any] | None = None

    def on_train_epoch_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Prune to the number of dimensions that the schedule asks for."""
        lit = cast(DistilModule, pl_module)
        active, epoch = lit.model.active_dims, trainer.current_epoch
        target = 1 if isinstance(self.target_dims, str) else self.target_dims
        last = self.end * (trainer.max_epochs or 1)
        wanted = active_dims(epoch, last, lit.model.message_dim, target, self.schedule)
        surplus, lit.settled = active - wanted, wanted == target
        if self.target_dims == AUTO:
            final = epoch + 1 == trainer.max_epochs  # no epoch is left to put a cut back
            surplus = 0 if final or not lit.fully_penalised else self._trials.cut(active, surplus)
            lit.settled = final or self._trials.over(active) or (lit.settled and surplus == 0)
            now = {"network": lit.state_dict(), "optimiser": trainer.optimizers[0].state_dict()}
            self._before = copy.deepcopy(now) if surplus > 0 else None
        if surplus > 0:
            importance = self._importance(trainer, lit.model)
            importance[lit.model.mask == 0] = torch.inf
            lit.model.mask[importance.argsort()[:surplus]] = 0.0

    def on_validation_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Let the cut on trial stand, or put the network back to where it was before."""
        if self.target_dims != AUTO:
            return
        lit, loss = cast(DistilModule, pl_module), float(trainer.callback_metrics["val/mae_per_graph"])
        if not lit.fully_penalised:
            self._trials.best = loss  # which a rising penalty raises, without any cut
        elif not self._trials.judge(loss) and self._before is not None:
            lit.load_state_dict(self._before["network"])
            # a copy, because Adam goes on in the tensors that it is given
            trainer.optimizers[0].load_state_dict(copy.deepcopy(self._before["optimiser"]))

    def state_dict(self) -> dict[str, Any]:
        """What was tried, and the network as it was before the cut on trial."""
        return {"trials": asdict(self._trials), "before": self._before}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on from a checkpoint."""
        self._trials, self._before = Trials(**state_dict["trials"]), state_dict["before"]

    def _importance(self, trainer: L.Trainer, model: ParticleGNN) -> Tensor:
        """Standard deviation [M] of each message dimension, on the model's device.

        The first process measures for all, because rounding on another device could rank two dims otherwise.
        """
        measured: Any = None
        if trainer.is_global_zero:
            data: NBodyDataModule = trainer.datamodule  # type: ignore[attr-defined]
            generator = torch.Generator().manual_seed(self.seed)
            picked = torch.randperm(len(data.validation), generator=generator)[: self.sample]
            graphs = data.validation[picked.to(data.validation.device)].to(model.mask.device)
            measured = torch.from_numpy(moments(model, graphs).std)
        return trainer.strategy.broadcast(measured).to(model.mask.device)
