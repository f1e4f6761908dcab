"""Who interacts with whom in a dataset, as receivers and senders.

Shapes: G graphs, n particles, E edges.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from gnn_distill.errors import InputError


def check_edges(graph: tuple[Tensor, Tensor] | None, mask: Tensor | None, parts: dict[str, Tensor]) -> None:
    """Refuse data where no particles interact in one of the parts of the split.

    Args:
        graph: of `common_edges`; `mask` likewise.
        mask: which of the edges each graph has, or None.
        parts: numbers of the graphs of each part.
    """
    for name, index in parts.items():
        if graph is not None and (len(graph[0]) == 0 or (mask is not None and not mask[index].any())):
            fix = "join more particles: a larger dataset.radius, other edges, or more trajectories"
            raise InputError("dataset.graph", f"no edge in any {name} graph", fix)


def common_edges(
    adjacency: npt.NDArray[np.bool_] | None,
) -> tuple[tuple[Tensor, Tensor] | None, Tensor | None]:
    """Receivers and senders [E] of the edges that any graph has, and which each graph has [G, E].

    Args:
        adjacency: [n, n] or [G, n, n], indexed [receiver, sender]; None for complete graphs.
    """
    if adjacency is None:
        return None, None
    union = adjacency if adjacency.ndim == 2 else adjacency.any(0)
    receiver, sender = np.nonzero(union)
    graph = torch.from_numpy(receiver), torch.from_numpy(sender)
    if adjacency.ndim == 2:
        return graph, None
    return graph, torch.from_numpy(adjacency[:, receiver, sender])
