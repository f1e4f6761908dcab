"""Training: loss, augmentation, optimiser. Knows nothing of the variants."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

import lightning as L
import torch
from torch import Tensor, nn

from gnn_distill.data.draws import Share, seed_device, step_seed
from gnn_distill.data.graphs import Subset
from gnn_distill.errors import DivergedError, check_choice, check_range
from gnn_distill.model.heads import GaussianHead, Messages
from gnn_distill.model.network import ParticleGNN
from gnn_distill.train.optim import Optimisation
from gnn_distill.train.penalties import KLPenalty, L1Penalty, NoPenalty

UNSETTLED = 1e30
"""Score, over the number of epochs, of weights that are not pruned to the end or have yet to bear the whole
penalty: worse than any loss."""
COMPILE_MODES = ("default", "reduce-overhead", "max-autotune", "max-autotune-no-cudagraphs")
Regulariser = NoPenalty | L1Penalty | KLPenalty


@dataclass(frozen=True)
class Augmentation:
    """One random translation N(0, scale²) of all positions, per `graph` or per `batch`.

    A rigid translation leaves accelerations unchanged. The published works draw one per batch. `scale` is in
    the units of length in which the model reads positions.
    """

    scope: str = "graph"
    scale: float = 3.0

    def __post_init__(self) -> None:
        check_choice("augment.scope", self.scope, ("graph", "batch"))
        check_range("augment.scale", self.scale, 0.0)

    def __call__(self, x: Tensor, dim: int, share: Share, length: Tensor | None = None) -> Tensor:
        """Translate the first `dim` features of graphs [B, n, F], this process's `share` of a batch.

        Args:
            x: the graphs.
            dim: space dimensions.
            share: of the batch that the graphs are.
            length: unit of length, that of the data if None.
        """
        if self.scale == 0:
            return x
        if self.scope == "graph":
            shift = share.normal((len(x), 1, dim), x)
        else:
            shift = torch.randn(1, 1, dim, device=x.device, dtype=x.dtype)
        shift = self.scale * shift if length is None else self.scale * length * shift
        return x + nn.functional.pad(shift, (0, x.shape[-1] - dim))


class DistilModule(L.LightningModule):
    """Trains a `ParticleGNN` on the per-graph sum of absolute acceleration errors plus a regulariser.

    Logged per epoch, for train and val: `mae`, the mean over nodes and components; `mae_per_graph`, the
    sum over a graph's nodes and components (n·D times larger, the 2025 report's Table 2).

    All random numbers of a training step depend on (seed, epoch, batch) only and are drawn for the whole
    batch, so that a resumed run, and a run on any number of processes, draws what an unbroken single one
    does.

    Args:
        model: the network.
        regulariser: what is added to the loss.
        optimisation: optimiser and learning-rate schedule.
        augment: random translations.
        seed: of the random numbers of training.
        compile_mode: mode of `torch.compile` for the network's training step; None for eager.

    Attributes:
        settled: False while a pruning callback has yet to reach its target. Such weights, and those of
            before the regulariser has its full weight, are "best" only where there are no others, the
            latest of them.
    """

    def __init__(
        self,
        model: ParticleGNN,
        regulariser: Regulariser,
        optimisation: Optimisation,
        augment: Augmentation,
        seed: int = 0,
        compile_mode: str | None = None,
    ) -> None:
        super().__init__()
        if compile_mode is not None:
            check_choice("compile", compile_mode, COMPILE_MODES)
        self.model, self.regulariser = model, regulariser
        self.optimisation, self.augment, self.seed = optimisation, augment, seed
        self.settled = True
        self._steps = 1
        self._network = (
            model.forward if compile_mode is None else torch.compile(model.forward, mode=compile_mode)
        )
        self._compiled = compile_mode is not None
        self._share = Share()
        self._totals: dict[str, Totals] = {}
        self._so_far: dict[str, Tensor] = {}
        self._watch = LossWatch()

    @property
    def progress(self) -> float:
        """How much of the training is done, from 0 to 1."""
        return self.global_step / self._steps

    @property
    def fully_penalised(self) -> bool:
        """Whether the regulariser has its full weight by now."""
        return self.progress >= float(getattr(self.regulariser, "full_weight_from", 0.0))

    def on_fit_start(self) -> None:
        """Tell the parts that draw random numbers which share of a batch this process has."""
        self._share = Share(self.global_rank, self.trainer.world_size)
        if isinstance(self.model.head, GaussianHead):
            self.model.head.share = self._share

    def training_step(self, batch: Subset, batch_idx: int) -> Tensor:
        """Loss of one batch."""
        seed_device(self.device, step_seed(self.seed, self.current_epoch, batch_idx))
        if self._compiled:
            torch.compiler.cudagraph_mark_step_begin()
        x = self.augment(batch.features, self.model.dim, self._share, self.model.length)
        predicted, messages = self._network(x, edge_mask=batch.edge_mask)
        error, penalty = self._terms("train", predicted, messages, batch)
        loss = error / len(batch) + penalty
        if self._watch.see(loss, batch_idx):
            self.check_finite()
        return loss

    def validation_step(self, batch: Subset, batch_idx: int) -> None:
        """Accumulate the error of one batch, in float32 whatever the precision of training."""
        with torch.autocast(self.device.type, enabled=False):
            predicted, messages = self.model(batch.features, edge_mask=batch.edge_mask)
            self._terms("val", predicted, messages, batch)

    def _terms(
        self, stage: str, predicted: Tensor, messages: Messages, batch: Subset
    ) -> tuple[Tensor, Tensor]:
        """Sum of absolute errors over the batch, and the penalty; both are added to the stage's totals."""
        graphs, n = predicted.shape[:2]
        error = (predicted - batch.accelerations).abs().sum()
        penalty = self.regulariser(messages, graphs * n, self.progress)
        self._total(stage).add(error.detach(), penalty.detach(), graphs, predicted.numel())
        return error, penalty

    def _total(self, stage: str) -> Totals:
        if stage not in self._totals:
            error, penalty, graphs, values = self._so_far.pop(stage, torch.zeros(4)).tolist()
            sums = torch.tensor([error, penalty], dtype=torch.float64, device=self.device)
            self._totals[stage] = Totals(sums, int(graphs), int(values))
        return self._totals[stage]

    def check_finite(self) -> None:
        """Stop, naming the batch and what is to blame, if a loss since the last check was not finite.

        Raises:
            DivergedError: on all processes alike.
        """
        first = int(self._over_processes(self._watch.first_bad(self.device), "min"))
        if first != NEVER:
            batches: Any = self.trainer.train_dataloader
            raise DivergedError(blame(batches.whole(first), self.current_epoch, first))

    def _over_processes(self, values: Tensor, how: str) -> Tensor:
        return self.trainer.strategy.reduce(values, reduce_op=how)

    def _averages(self, stage: str) -> dict[str, float]:
        totals = self._over_processes(self._total(stage).tensor(), "sum")
        del self._totals[stage]
        return averages(stage, totals)

    def on_validation_epoch_end(self) -> None:
        """Log the epoch's averages, and `val/selection`, which picks the best checkpoint."""
        self.check_finite()
        train, val = self._averages("train"), self._averages("val")
        for key, value in {**train, **val}.items():
            if not math.isfinite(value):
                raise DivergedError(f"{key} is {value} after epoch {self.current_epoch}")
        many = self.trainer.world_size > 1
        self.log_dict(train | val, sync_dist=many)
        self.log("lr", self.trainer.optimizers[0].param_groups[0]["lr"], sync_dist=many)
        self.log("active_dims", float(self.model.active_dims), sync_dist=many)
        settled = self.settled and self.fully_penalised
        selection = val["val/mae_per_graph"] if settled else UNSETTLED / (1 + self.current_epoch)
        self.log("val/selection", selection, sync_dist=many)

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Keep what the epoch has summed up so far; refuse to save weights that have diverged."""
        self.check_finite()
        totals = {stage: self._over_processes(t.tensor(), "sum").cpu() for stage, t in self._totals.items()}
        checkpoint["epoch_so_far"] = {"settled": self.settled, "totals": totals}

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Take up the sums of an epoch that was broken off; with many processes, on the first one."""
        so_far = checkpoint.get("epoch_so_far", {"settled": True, "totals": {}})
        self.settled = so_far["settled"]
        self._so_far = so_far["totals"] if self.global_rank == 0 else {}

    def configure_optimizers(self) -> Any:
        """The optimiser with a per-step learning-rate schedule."""
        optimiser = self.optimisation.optimizer(self.parameters())
        self._steps = int(self.trainer.estimated_stepping_batches)
        rate = self.optimisation.rate(optimiser, self._steps)
        return {"optimizer": optimiser, "lr_scheduler": {"scheduler": rate, "interval": "step"}}


WATCH_EVERY = 64  # steps between looks at the losses; each look waits for the device
NEVER = 2**31


@dataclass
class Totals:
    """Sums over an epoch.

    Attributes:
        sums: of the absolute errors, and of the penalty times graphs, float64 [2], on the device.
        graphs: number of graphs.
        values: number of acceleration components.
    """

    sums: Tensor
    graphs: int = 0
    values: int = 0

    def add(self, error: Tensor, penalty: Tensor, graphs: int, values: int) -> None:
        """Add a batch: its sum of absolute errors and its penalty per graph, both scalars."""
        self.sums += torch.stack([error, penalty * graphs])
        self.graphs += graphs
        self.values += values

    def tensor(self) -> Tensor:
        """Everything as one float64 [4], to be summed over processes."""
        return torch.cat([self.sums, self.sums.new_tensor([self.graphs, self.values])])


def averages(stage: str, totals: Tensor) -> dict[str, float]:
    """`mae`, `mae_per_graph` and `regulariser` of a stage, from `Totals.tensor` [4] of all processes."""
    error, penalty, graphs, values = totals.tolist()
    return {
        f"{stage}/mae": error / values,
        f"{stage}/mae_per_graph": error / graphs,
        f"{stage}/regulariser": penalty / graphs,
    }


@dataclass
class LossWatch:
    """The losses since the last look, on the device."""

    losses: dict[int, Tensor] = field(default_factory=dict)

    def see(self, loss: Tensor, batch: int) -> bool:
        """Keep the loss of a batch; whether it is time to look."""
        self.losses[batch] = loss.detach()
        return len(self.losses) >= WATCH_EVERY

    def first_bad(self, device: torch.device) -> Tensor:
        """Number of the first batch whose loss is not finite, or `NEVER`; a scalar. Forgets the rest."""
        if not self.losses:
            return torch.tensor(NEVER, device=device)
        numbers = torch.tensor(list(self.losses), device=device)
        finite = torch.stack(list(self.losses.values())).isfinite()
        self.losses.clear()
        return torch.where(finite, NEVER, numbers).min()


def blame(batch: Subset, epoch: int, number: int) -> str:
    """What made the loss of a batch NaN or infinite: its data, or the weights."""
    what = f"the loss of batch {number} in epoch {epoch} (both counted from 0) is not finite"
    for name, values in (("features", batch.features), ("accelerations", batch.accelerations)):
        bad = ~values.flatten(1).isfinite().all(1)
        if bad.any():
            which = f"{name} of {int(bad.sum())} of its {len(batch)} graphs hold NaN or infinity"
            return f"{what}: the data are to blame, {which}, first in row {int(bad.nonzero()[0])}"
    largest = f"|features| up to {float(batch.features.abs().max()):.3g}, "
    largest += f"|accelerations| up to {float(batch.accelerations.abs().max()):.3g}"
    fix = "lower profile.learning_rate or set trainer.gradient_clip_val"
    return f"{what}: its data are finite ({largest}), so the weights have diverged: {fix}"
