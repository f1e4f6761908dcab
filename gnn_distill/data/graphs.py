"""Who interacts with whom in a dataset, as receivers and senders.

Shapes: G graphs, n particles, E edges.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from gnn_distill.data.particles import columns_of
from gnn_distill.errors import InputError
from gnn_distill.physics.variables import SOFTENING, Bonds, Columns


class Graph(NamedTuple):
    """Who acts on whom within one set of nodes, by receiver.

    Attributes:
        receiver: receiving node of each edge, shape [E], ascending.
        sender: sending node of each edge, shape [E].
        nodes: number of nodes that receive; they are the first ones. All do in whole frames.
        complete: whether every node receives from every other one.
        opposites: number of edges, the last ones, that are the first ones with their ends exchanged, so that
            one message may serve both. Edges are then not sorted.
    """

    receiver: Tensor
    sender: Tensor
    nodes: int
    complete: bool = False
    opposites: int = 0

    def total(self, values: Tensor) -> Tensor:
        """Values [B, E, M] of the edges summed for each receiver, shape [B, nodes, M]."""
        if self.complete:
            return values.unflatten(1, (self.nodes, self.nodes - 1)).sum(2)
        zeros = values.new_zeros(values.shape[0], self.nodes, values.shape[2])
        return zeros.scatter_add(1, self.receiver[None, :, None].expand_as(values), values)

    def ends(self, x: Tensor, opposites: bool = True) -> tuple[Tensor, Tensor]:
        """Of nodes [B, N, F] the receivers and the senders of the edges, each [B, E, F].

        Those that are opposites of others are left out where `opposites` is false.
        """
        count = len(self.receiver) - (0 if opposites else self.opposites)
        return x.index_select(1, self.receiver[:count]), x.index_select(1, self.sender[:count])

    def paired(self) -> Graph:
        """A complete graph as edges and their opposites.

        ```python
        Graph(*complete_graph(3), 3, complete=True).paired()  # 0-1, 0-2, 1-2, then 1-0, 2-0, 2-1
        ```
        """
        one, two = torch.triu_indices(self.nodes, self.nodes, 1, device=self.receiver.device)
        return Graph(torch.cat([one, two]), torch.cat([two, one]), self.nodes, opposites=len(one))

    def to(self, device: torch.device) -> Graph:
        """The same graph on another device."""
        return self._replace(receiver=self.receiver.to(device), sender=self.sender.to(device))


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


@dataclass(frozen=True)
class Subset:
    """Some graphs of the data, such as one part of the split.

    Attributes:
        features: shape [G, n, F].
        accelerations: shape [G, n, D].
        edge_mask: where graphs differ, which of the common edges each has, bool [G, E]; else None.
        trajectory: number of the trajectory that each graph is a frame of [G]; None where each is its own.
        graph: where receivers were drawn one by one, who acts on them; their frames are then one graph of
            these and all senders, G = 1, and labels are those of the receivers alone, [1, R, D]. Else None.
        particles: mean number of particles of a frame that these receivers stand for.
        further: names of the features after charge and mass.
        box: edges of the periodic box; `softening`: ε of r = d + ε; see `Columns`, likewise `identity` and
            `bonds`.
    """

    features: Tensor
    accelerations: Tensor
    edge_mask: Tensor | None = None
    trajectory: Tensor | None = None
    further: tuple[str, ...] = ()
    box: tuple[float | None, ...] | None = None
    softening: float = SOFTENING
    identity: bool = False
    graph: Graph | None = None
    particles: float = 1.0
    bonds: Bonds | None = None

    def __len__(self) -> int:
        return len(self.features)

    @property
    def device(self) -> torch.device:
        """Where the graphs lie."""
        return self.features.device

    @property
    def nbytes(self) -> int:
        """Size of the graphs in bytes."""
        parts = (self.features, self.accelerations, self.edge_mask)
        return sum(part.nbytes for part in parts if part is not None)

    @property
    def columns(self) -> Columns:
        """Where the features stand."""
        space = self.further, self.box, self.softening, self.identity, self.bonds
        return columns_of(self.features, self.accelerations, *space)

    @property
    def frames(self) -> float:
        """Number of frames that the labels make up."""
        return len(self) if self.graph is None else self.graph.nodes / self.particles

    def to(self, device: torch.device) -> Subset:
        """The same graphs on another device."""
        moved = self._each(lambda part: part.to(device))
        return moved if self.graph is None else replace(moved, graph=self.graph.to(device))

    def __getitem__(self, picked: Tensor | slice) -> Subset:
        """The graphs at these indices."""
        return self._each(lambda part: part[picked])

    def _each(self, change: Callable[[Tensor], Tensor]) -> Subset:
        mask, of = (None if part is None else change(part) for part in (self.edge_mask, self.trajectory))
        x, a = change(self.features), change(self.accelerations)
        return replace(self, features=x, accelerations=a, edge_mask=mask, trajectory=of)

    def chunks(self, size: int) -> Iterator[Subset]:
        """Consecutive parts of at most `size` graphs."""
        return (self[start : start + size] for start in range(0, len(self), size))


@dataclass(frozen=True)
class View:
    """Graphs of a dataset that stays on disk; indexing reads them."""

    whole: Subset
    index: Tensor

    def __len__(self) -> int:
        return len(self.index)

    @property
    def device(self) -> torch.device:
        """Where the graphs lie."""
        return self.whole.device

    def __getitem__(self, picked: Tensor | slice) -> Subset:
        """The graphs at these indices, in memory."""
        return self.whole[self.index[picked]]


def complete_graph(n: int, device: torch.device | str = "cpu") -> tuple[Tensor, Tensor]:
    """Receivers and senders, each [n (n−1)], of all directed edges without self-loops, by receiver."""
    receiver, other = torch.arange(n, device=device)[:, None], torch.arange(n - 1, device=device)
    return receiver.expand(n, n - 1).flatten(), (other + (other >= receiver)).flatten()
