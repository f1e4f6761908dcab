"""Training: loss, augmentation, optimiser. Knows nothing of the variants."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, cast

import lightning as L
import torch
from torch import Tensor, nn

from gnn_distill.data.draws import Share, seed_device, step_seed
from gnn_distill.data.graphs import Subset
from gnn_distill.errors import DivergedError, check_choice, check_range
from gnn_distill.model.heads import GaussianHead, Messages
from gnn_distill.model.isotropic import PairFrame
from gnn_distill.model.network import ISOTROPIC, ParticleGNN
from gnn_distill.train.optim import Optimisation
from gnn_distill.train.penalties import KLPenalty, L1Penalty, NoPenalty

PRIOR = 1e-3
"""Weight of the mean square of hidden properties beside the mean error in typical labels."""
UNSETTLED = 1e30
"""Score, over the number of epochs, of weights that are not pruned to the end or have yet to bear the whole
penalty: worse than any loss."""
WATCH_EVERY = 64  # steps between looks at the losses; each look waits for the device
NEVER = 2**31  # number of the first batch with a bad loss where there is none
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
    """Trains a `ParticleGNN` on the per-graph sum of acceleration errors plus a regulariser.

    Logged per epoch, for train and val: `mae`, the mean over nodes and components; `mae_per_graph`, the
    sum over a graph's nodes and components (n·D times larger, the 2025 report's Table 2).

    All random numbers of a training step depend on (seed, epoch, batch) only and are drawn for the whole
    batch, so that a resumed run, and a run on any number of processes, draws what an unbroken single one
    does.

    Args:
        model: the network.
        regulariser: what is added to the loss.
        optimisation: optimiser and learning-rate schedule.
        augment: random translations; none in basis `isotropic`, whose pairs know no place and whose h has to.
        seed: of the random numbers of training.
        compile_mode: mode of `torch.compile` for the network's training step; None for eager.

    Attributes:
        settled: False while a pruning callback has yet to reach its target. Such weights, and those of
            before the regulariser has its full weight, are "best" only where there are no others, the
            latest of them.
        squared: whether errors are squared, in units of the model's output scale, as labels with much noise
            need: the absolute error would lead to the median.
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
        still = model.basis == ISOTROPIC
        self.optimisation, self.seed = optimisation, seed
        self.augment = Augmentation(scale=0.0) if still else augment
        self.squared = False
        self.settled = True
        self._steps = 1
        self._compiled = compile_mode is not None
        self._network = torch.compile(model.forward, mode=compile_mode) if compile_mode else model.forward
        self._share = Share()
        self._totals: dict[str, Tensor] = {}  # sums over the epoch of train and val, see `averages`
        self._losses: dict[int, Tensor] = {}  # by batch, since the last look at them

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
        predicted, messages = self._network(x, edge_mask=batch.edge_mask, graph=batch.graph)
        error, penalty = self._terms("train", predicted, messages, batch)
        loss = error / batch.frames + penalty + self._prior(batch)
        self._losses[batch_idx] = loss.detach()
        if len(self._losses) == WATCH_EVERY:
            self.check_finite()
        return loss

    def validation_step(self, batch: Subset, batch_idx: int) -> None:
        """Accumulate the error of one batch, in float32 whatever the precision of training."""
        with torch.autocast(self.device.type, enabled=False):
            predicted, messages = self.model.on(batch)
            self._terms("val", predicted, messages, batch)

    def _terms(
        self, stage: str, predicted: Tensor, messages: Messages, batch: Subset
    ) -> tuple[Tensor, Tensor]:
        """Sum of errors over the batch, and the penalty; both are added to the stage's totals."""
        graphs, nodes = batch.frames, predicted.shape[:2].numel()
        apart = predicted - batch.accelerations
        error = absolute = apart.abs().sum()
        if self.model.columns.identity:
            apart = apart / cast(PairFrame, self.model.frame).loud(batch.features[:, : apart.shape[1]])
            error = apart.abs().sum()
        if self.squared:
            error, absolute = apart.square().sum() / self.model.output_scale, absolute.detach()
        penalty = self.regulariser(messages, nodes, self.progress)
        counts = [error.new_full((), k, dtype=torch.float64) for k in (graphs, predicted.numel())]
        parts = absolute.detach(), penalty.detach() * graphs, error.detach()
        sums = torch.stack([*parts[:2], *counts, parts[2]])  # in float64 by the counts
        before = self._totals.get(stage)
        self._totals[stage] = sums if before is None else before.to(sums.device) + sums
        return error, penalty

    def _prior(self, batch: Subset) -> Tensor | float:
        """What keeps hidden properties small, as the sum over one graph."""
        if self.model.frame is None:
            return 0.0
        labels = batch.accelerations.numel() / batch.frames
        return PRIOR * labels * self.model.output_scale * self.model.frame.prior()

    def check_finite(self) -> None:
        """Stop, naming the batch and what is to blame, if a loss since the last check was not finite.

        Raises:
            DivergedError: on all processes alike.
        """
        losses, self._losses = self._losses, {}
        first = int(self._over_processes(torch.tensor(first_bad(losses)), "min"))
        if first != NEVER:
            batches: Any = self.trainer.train_dataloader
            raise DivergedError(blame(batches.whole(first), self.current_epoch, first))

    def _over_processes(self, values: Tensor, how: str) -> Tensor:
        """Sum or minimum of the processes' values; of a copy, because it is put in their place."""
        return self.trainer.strategy.reduce(values.to(self.device, copy=True), reduce_op=how)

    def on_validation_epoch_end(self) -> None:
        """Log the epoch's averages, and `val/selection`, which picks the best checkpoint."""
        self.check_finite()
        nothing = torch.zeros(5, dtype=torch.float64)  # of a process to whose share no graph fell
        totals = {stage: self._totals.pop(stage, nothing) for stage in ("train", "val")}
        totals = {stage: self._over_processes(part, "sum") for stage, part in totals.items()}
        values: dict[str, float] = averages("train", totals["train"]) | averages("val", totals["val"])
        minimised = float(totals["val"][4] / totals["val"][2])
        for key, value in values.items():
            if not math.isfinite(value):
                raise DivergedError(f"{key} is {value} after epoch {self.current_epoch}")
        settled = self.settled and self.fully_penalised
        values |= {
            "lr": self.trainer.optimizers[0].param_groups[0]["lr"],
            "active_dims": float(self.model.active_dims),
            "val/selection": minimised if settled else UNSETTLED / (1 + self.current_epoch),
        }
        self.log_dict(values, sync_dist=self.trainer.world_size > 1)

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Keep what the epoch has summed up so far; refuse to save weights that have diverged."""
        self.check_finite()
        totals = {stage: self._over_processes(t, "sum").cpu() for stage, t in self._totals.items()}
        checkpoint["epoch_so_far"] = {"settled": self.settled, "totals": totals}

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Take up the sums of an epoch that was broken off; with many processes, on the first one."""
        so_far = checkpoint.get("epoch_so_far", {"settled": True, "totals": {}})
        self.settled = so_far["settled"]
        self._totals = so_far["totals"] if self.global_rank == 0 else {}

    def configure_optimizers(self) -> Any:
        """The optimiser with a per-step learning-rate schedule."""
        optimiser = self.optimisation.optimizer(self.parameters())
        self._steps = int(self.trainer.estimated_stepping_batches)
        rate = self.optimisation.rate(optimiser, self._steps)
        return {"optimizer": optimiser, "lr_scheduler": {"scheduler": rate, "interval": "step"}}


def averages(stage: str, totals: Tensor) -> dict[str, float]:
    """What is logged of a stage.

    Args:
        stage: `train` or `val`.
        totals: sums over the epoch of absolute errors, penalty times graphs, graphs, and acceleration
            components, and of what is minimised, float64 [5].
    """
    error, penalty, graphs, values, _ = totals.tolist()
    return {
        f"{stage}/mae": error / values,
        f"{stage}/mae_per_graph": error / graphs,
        f"{stage}/regulariser": penalty / graphs,
    }


def first_bad(losses: dict[int, Tensor]) -> int:
    """Number of the first batch whose loss is not finite, or `NEVER`."""
    finite = torch.stack(list(losses.values())).isfinite().tolist() if losses else []
    return min((batch for batch, fine in zip(losses, finite, strict=True) if not fine), default=NEVER)


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
