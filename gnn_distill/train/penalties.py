"""What the variants add to the loss so that messages become sparse or cheap.

Normalisation: the sum over the edges and dims of a graph, divided by its number of particles n,
averaged over the batch; it is added to the per-graph sum of absolute errors.

The formulas of the 2025 report divide otherwise: L1 by all n (n−1) M message entries, KL by the
n (n−1) edges of a graph. Ours is the formula's value times (n−1) M for L1 and times (n−1) for KL.

Every penalty is told the `progress` of the training, 0 at its start and 1 at its end.
"""

from __future__ import annotations

import torch
from torch import Tensor

from gnn_distill.errors import check_range
from gnn_distill.model.heads import Messages


class NoPenalty:
    """No regulariser.

    ```yaml
    regulariser: {_target_: gnn_distill.train.penalties.NoPenalty}
    ```
    """

    def __call__(self, messages: Messages, nodes: int, progress: float = 1.0) -> Tensor:
        """Zero."""
        return messages.value.new_zeros(())


class L1Penalty:
    """α Σ |e| / n per graph: most message dims fall silent.

    ```yaml
    regulariser: {_target_: gnn_distill.train.penalties.L1Penalty, weight: 0.01}
    ```
    """

    def __init__(self, weight: float = 1e-2) -> None:
        check_range("regulariser.weight", weight, 0.0)
        self.weight = weight

    def __call__(self, messages: Messages, nodes: int, progress: float = 1.0) -> Tensor:
        """Penalty (scalar) of a batch of messages [..., M] that arrive at `nodes` particles in all."""
        return self.weight * messages.value.abs().sum() / nodes


class KLPenalty:
    """½ Σ (μ² + σ² − log σ²) / n per graph: a dim that says nothing is N(0, 1). Wants `GaussianHead`.

    With weight 1 summed over 100 dims nearly all of them collapse; the options hold that off.

    ```yaml
    regulariser: {_target_: gnn_distill.train.penalties.KLPenalty, weight: 1.0, warmup: 0.0, free_bits: 0.0}
    ```

    Args:
        weight: factor on the whole penalty.
        warmup: fraction of all steps over which the weight rises from zero, with the square of time, so
            that messages which say little yet are not silenced.
        free_bits: nats of divergence from N(0, 1) per dim and edge that cost nothing: a dim whose mean
            divergence over the batch is below that is not pulled further (Kingma et al. 2016).

    Attributes:
        full_weight_from: fraction of the training after which the penalty has its full weight.
    """

    def __init__(self, weight: float = 1.0, warmup: float = 0.0, free_bits: float = 0.0) -> None:
        check_range("regulariser.weight", weight, 0.0)
        check_range("regulariser.warmup", warmup, 0.0, 1.0)
        check_range("regulariser.free_bits", free_bits, 0.0)
        self.weight, self.warmup, self.free_bits = weight, warmup, free_bits
        self.full_weight_from = warmup

    def __call__(self, messages: Messages, nodes: int, progress: float = 1.0) -> Tensor:
        """Penalty (scalar) of a batch of messages [..., M] that arrive at `nodes` particles in all."""
        if messages.log_variance is None:
            raise TypeError("KLPenalty needs messages with a variance: use model.head GaussianHead")
        s = messages.log_variance
        terms = 0.5 * (messages.mean**2 + torch.exp(s) - s)
        edges: float | Tensor = terms.shape[:-1].numel()
        if messages.exists is not None:
            terms, edges = terms * messages.exists, messages.exists.sum()
        weight = self.weight * (min(1.0, progress / self.warmup) ** 2 if self.warmup else 1.0)
        if self.free_bits == 0:
            return weight * terms.sum() / nodes
        per_dim = terms.sum(tuple(range(terms.ndim - 1))) / edges
        return weight * per_dim.clamp(min=0.5 + self.free_bits).sum() * edges / nodes
