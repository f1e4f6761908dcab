"""Training: loss, augmentation, optimiser. Knows nothing of the variants."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import lightning as L
import torch
from torch import Tensor

from gnn_distill.data import Subset
from gnn_distill.errors import check_choice, check_range
from gnn_distill.model import ParticleGNN
from gnn_distill.optim import Optimisation
from gnn_distill.regularise import KLPenalty, L1Penalty, NoPenalty

Regulariser = NoPenalty | L1Penalty | KLPenalty


@dataclass(frozen=True)
class Augmentation:
    """One random translation N(0, scale²) of all positions, per `graph` or per `batch`.

    A rigid translation leaves accelerations unchanged. The published works draw one per batch.
    """

    scope: str = "graph"
    scale: float = 3.0

    def __post_init__(self) -> None:
        check_choice("augment.scope", self.scope, ("graph", "batch"))
        check_range("augment.scale", self.scale, 0.0)

    def __call__(self, x: Tensor, dim: int) -> Tensor:
        """Translate the first `dim` features of graphs [B, n, F]."""
        if self.scale == 0:
            return x
        graphs = x.shape[0] if self.scope == "graph" else 1
        shift = x.new_zeros(graphs, 1, x.shape[-1])
        shift[..., :dim] = self.scale * torch.randn(graphs, 1, dim, device=x.device, dtype=x.dtype)
        return x + shift


@dataclass
class _Totals:
    """Sums over an epoch, kept on the device until it ends."""

    error: Tensor | float = 0.0
    penalty: Tensor | float = 0.0
    graphs: int = 0
    terms: int = 0


class DistilModule(L.LightningModule):
    """Trains a `ParticleGNN` on the per-graph sum of absolute acceleration errors plus a regulariser.

    Logged per epoch, for train and val: `mae`, the mean over nodes and components; `mae_per_graph`, the
    sum over a graph's nodes and components (n·D times larger, the 2025 report's Table 2).

    Attributes:
        settled: False while a pruning callback has yet to reach its target; such weights are never "best".
    """

    def __init__(
        self,
        model: ParticleGNN,
        regulariser: Regulariser,
        optimisation: Optimisation,
        augment: Augmentation,
    ) -> None:
        super().__init__()
        self.model, self.regulariser = model, regulariser
        self.optimisation, self.augment = optimisation, augment
        self.settled = True
        self._totals: dict[str, _Totals] = {}
        self._rng: dict[str, Any] | None = None
        self._steps = 1

    @property
    def progress(self) -> float:
        """How much of the training is done, from 0 to 1."""
        return self.global_step / self._steps

    def training_step(self, batch: Subset, batch_idx: int) -> Tensor:
        """Loss of one batch."""
        x = self.augment(batch.features, self.model.dim)
        error, penalty = self._terms("train", x, batch)
        return error / len(batch) + penalty

    def validation_step(self, batch: Subset, batch_idx: int) -> None:
        """Accumulate the error of one batch."""
        self._terms("val", batch.features, batch)

    def _terms(self, stage: str, x: Tensor, batch: Subset) -> tuple[Tensor, Tensor]:
        """Sum of absolute errors over the batch, and the penalty; both are added to the stage's totals."""
        predicted, messages = self.model(x, edge_mask=batch.edge_mask)
        graphs, n = x.shape[0], x.shape[1]
        error = (predicted - batch.accelerations).abs().sum()
        penalty = self.regulariser(messages, graphs * n, self.progress)
        self._add(stage, error.detach(), graphs, n, penalty.detach())
        return error, penalty

    def _add(self, stage: str, error: Tensor, graphs: int, n: int, penalty: Tensor) -> None:
        total = self._totals.setdefault(stage, _Totals())
        total.error = total.error + error.double()
        total.penalty = total.penalty + penalty.double() * graphs
        total.graphs += graphs
        total.terms += graphs * n * self.model.dim

    def _epoch_metrics(self, stage: str) -> dict[str, float]:
        total = self._totals.pop(stage)
        error, penalty = float(total.error), float(total.penalty)
        return {
            f"{stage}/mae": error / total.terms,
            f"{stage}/mae_per_graph": error / total.graphs,
            f"{stage}/regulariser": penalty / total.graphs,
        }

    def on_validation_epoch_end(self) -> None:
        """Log the epoch's averages, and `val/selection`, which picks the best checkpoint."""
        train, val = self._epoch_metrics("train"), self._epoch_metrics("val")
        for key, value in {**train, **val}.items():
            if not math.isfinite(value):
                raise FloatingPointError(
                    f"{key} is {value} after epoch {self.current_epoch}: lower profile.learning_rate or set "
                    "trainer.gradient_clip_val"
                )
        self.log_dict(train | val)
        self.log("lr", self.trainer.optimizers[0].param_groups[0]["lr"])
        self.log("active_dims", float(self.model.active_dims))
        self.log("val/selection", val["val/mae_per_graph"] if self.settled else torch.inf)

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Keep the state of the random generators, so that a resumed run draws what an unbroken one draws."""
        checkpoint["rng"] = {"cpu": torch.get_rng_state(), "cuda": torch.cuda.get_rng_state_all()}

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Remember the random state until the first epoch begins."""
        self._rng = checkpoint.get("rng")

    def on_train_epoch_start(self) -> None:
        """Put the random generators where the checkpoint left them."""
        if self._rng is not None:
            torch.set_rng_state(self._rng["cpu"].cpu())
            torch.cuda.set_rng_state_all([state.cpu() for state in self._rng["cuda"]])
            self._rng = None

    def configure_optimizers(self) -> Any:
        """The optimiser with a per-step learning-rate schedule."""
        optimiser = self.optimisation.optimizer(self.parameters())
        self._steps = int(self.trainer.estimated_stepping_batches)
        rate = self.optimisation.rate(optimiser, self._steps)
        return {"optimizer": optimiser, "lr_scheduler": {"scheduler": rate, "interval": "step"}}
