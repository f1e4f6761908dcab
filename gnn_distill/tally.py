"""Sums and checks over the steps of an epoch that stay on the device until they are asked for."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor

from gnn_distill.data import Subset

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
