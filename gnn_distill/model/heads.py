"""Heads: from what φe puts out to messages, deterministic or Gaussian."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn

from gnn_distill.data.draws import Share


class Messages(NamedTuple):
    """What the edges send.

    Attributes:
        value: shape [..., E, M], the messages that are summed.
        mean: shape [..., E, M], their means; the same tensor for a deterministic head.
        log_variance: shape [..., E, M], or None for a deterministic head.
        exists: 1 where the edge exists in its graph, 0 where not, shape [..., E, 1]; all exist if None.
    """

    value: Tensor
    mean: Tensor
    log_variance: Tensor | None
    exists: Tensor | None = None


class DeterministicHead(nn.Module):
    """φe's output is the message.

    ```yaml
    head: {_target_: gnn_distill.model.heads.DeterministicHead}
    ```
    """

    outputs_per_dim = 1

    def forward(self, raw: Tensor) -> Messages:
        """Map φe's output [..., M] to messages."""
        return Messages(raw, raw, None)


class GaussianHead(nn.Module):
    """φe's even outputs are means μ, its odd ones log σ²; sampled in training, e = μ in evaluation.

    Attributes:
        share: which rows of a batch this process has; random numbers are drawn for the whole batch.

    ```yaml
    head: {_target_: gnn_distill.model.heads.GaussianHead}
    ```
    """

    outputs_per_dim = 2

    def __init__(self) -> None:
        super().__init__()
        self.share = Share()

    def forward(self, raw: Tensor) -> Messages:
        """Map φe's output [..., 2 M] to messages [..., M]."""
        mean, log_variance = raw[..., 0::2], raw[..., 1::2]
        if not self.training:
            return Messages(mean, mean, log_variance)
        noise = self.share.normal(tuple(mean.shape), mean)
        return Messages(mean + torch.exp(0.5 * log_variance) * noise, mean, log_variance)
