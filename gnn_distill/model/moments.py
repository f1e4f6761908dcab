"""Moments of a network's messages over all edges of many graphs.

Shapes: M message dims.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch

from gnn_distill.arrays import Array
from gnn_distill.data.graphs import Subset
from gnn_distill.data.receivers import Receivers
from gnn_distill.model.heads import GaussianHead
from gnn_distill.model.network import ParticleGNN

EDGES_AT_ONCE = 12_288
"""Edges of a chunk of graphs whose messages are looked at."""


@dataclass(frozen=True)
class Moments:
    """Moments of the messages over all edges.

    Attributes:
        covariance: shape [M, M]; zero where pruned.
        kl: mean KL divergence from N(0, 1) [M]; None for a deterministic head.
    """

    covariance: Array
    kl: Array | None

    @property
    def std(self) -> Array:
        """Standard deviation per dimension, shape [M]."""
        return np.sqrt(np.diag(self.covariance))


@torch.no_grad()
def moments(model: ParticleGNN, data: Subset | Receivers, edges_at_once: int = EDGES_AT_ONCE) -> Moments:
    """Covariance and mean divergence of the messages of all graphs; zero if there are no edges.

    Chunks are merged as they come (Chan, Golub and LeVeque 1983): the messages of all edges together would
    not fit into memory, and a difference of two large sums would lose digits.
    """
    was_training = model.training
    model.eval()
    count, mean = 0, torch.zeros(model.message_dim, dtype=torch.float64, device=data.device)
    scatter, divergence = mean.new_zeros(model.message_dim, model.message_dim), torch.zeros_like(mean)
    for part in data.chunks(graphs_at_once(model, data, edges_at_once)):
        _, messages = model.on(part)
        exists = slice(None) if part.edge_mask is None else part.edge_mask.flatten()
        here = messages.mean.flatten(0, 1)[exists].double()
        if len(here) == 0:
            continue
        if messages.log_variance is not None:
            s = messages.log_variance.flatten(0, 1)[exists].double()
            divergence += 0.5 * (here**2 + s.exp() - s - 1).sum(0)
        centre, new = here.mean(0), count + len(here)
        shift, centred = centre - mean, here - centre
        scatter += centred.T @ centred + torch.outer(shift, shift) * (count * len(here) / new)
        mean, count = mean + shift * (len(here) / new), new
    model.train(was_training)
    kl = divergence / max(1, count) * model.mask if isinstance(model.head, GaussianHead) else None
    return Moments((scatter / max(1, count)).cpu().numpy(), None if kl is None else kl.cpu().numpy())


def graphs_at_once(model: ParticleGNN, data: Subset | Receivers, edges: int = EDGES_AT_ONCE) -> int:
    """Graphs, or receivers, per chunk, so that a chunk's messages stay small whatever the size of a graph."""
    if isinstance(data, Receivers):
        return max(1, edges * len(data) // max(1, int(data.degree.sum())))
    return max(1, edges // max(1, len(model.graph_of(data).receiver)))


def degrees(model: ParticleGNN, data: Subset | Receivers) -> npt.NDArray[np.int64]:
    """Number of edges of each graph, or receiver, shape [G]."""
    if isinstance(data, Receivers):
        return data.degree.cpu().numpy()
    if data.edge_mask is not None:
        return data.edge_mask.sum(1).cpu().numpy()
    return np.full(len(data), len(model.graph_of(data).receiver))
