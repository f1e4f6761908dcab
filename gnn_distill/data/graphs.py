"""Who interacts with whom in a dataset, as receivers and senders.

Shapes: G graphs, n particles, E edges.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from gnn_distill.data.sightings import Sightings
from gnn_distill.errors import InputError
from gnn_distill.physics.simulate import Trajectories
from gnn_distill.physics.variables import SOFTENING, Bonds, Columns


class Graph(NamedTuple):
    """Who acts on whom within one set of nodes, by receiver.

    Attributes:
        receiver: receiving node of each edge, shape [E], ascending.
        sender: sending node of each edge, shape [E].
        nodes: number of nodes that receive; they are the first ones. All do in whole frames.
        complete: whether every node receives from every other one.
    """

    receiver: Tensor
    sender: Tensor
    nodes: int
    complete: bool = False

    def total(self, values: Tensor) -> Tensor:
        """Values [B, E, M] of the edges summed for each receiver, shape [B, nodes, M]."""
        if self.complete:
            return values.unflatten(1, (self.nodes, self.nodes - 1)).sum(2)
        zeros = values.new_zeros(values.shape[0], self.nodes, values.shape[2])
        return zeros.scatter_add(1, self.receiver[None, :, None].expand_as(values), values)

    def ends(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Of nodes [B, N, F] the receivers and the senders of the edges, each [B, E, F]."""
        return x.index_select(1, self.receiver), x.index_select(1, self.sender)

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
class ParticleData:
    """Graphs of particles with their accelerations.

    Attributes:
        features: float32, shape [G, n, F].
        accelerations: float32, shape [G, n, D].
        frames: frames per trajectory; graph g belongs to trajectory g // frames.
        replaced: trajectories that could not be integrated and were drawn anew.
        adjacency: which sender reaches which receiver, [receiver, sender]: bool [n, n] for all graphs or
            [G, n, n] for each; None for the complete graph. No self-loops.
        spacing: time between frames; None where it is unknown or not always the same.
        blocks: pieces of time that each trajectory of a file was cut into; they count as trajectories.
        notes: how the data were made from a file, in sentences for the report.
        doubts: what keeps a law from being found in them, in sentences for the report.
        further: names of the features after charge and mass, one each.
        order: of the equation of motion; where it is 1, `accelerations` holds velocities.
        box: edges of the periodic box, None along an open axis, 0 where features hold each particle's cell;
            None where nothing is periodic.
        softening: ε of r = d + ε, see `Columns`.
        sightings: where particles come and go, or interact within a distance, the flat table that the data
            are: one row of features [1, N, F] for each sighting, labels [1, N, D] NaN where there are none.
        radius: largest distance of particles that may act on each other; None where there is none.
        kernel: K [W] where labels were derived from a window of W frames: they are Σ_k K_k a(t + k dt), the
            true accelerations averaged so; empty where they are those of their own instant.
        noise: error (RMS) of a component of the labels that scatter makes; 0 where they are as exact as the
            file.
        estimates: what the data alone tell, such as the diffusion constant: value, low, high by name.
        units: of length, time, mass and charge in words, as far as they are known.
        individuals: names of the individuals whose numbers the last feature holds; empty where it does not.
        hidden: properties that each individual may have beside those of the file.
        known: what the user knows of individuals, by their names: `{earth: {mass: 3.0e-6}}`.
        optional: whether the data are to say if individuals have hidden properties at all.
        bonds: numbers of edges that features hold; None where they do not.
    """

    features: npt.NDArray[np.float32]
    accelerations: npt.NDArray[np.float32]
    frames: int
    replaced: int = 0
    adjacency: npt.NDArray[np.bool_] | None = None
    spacing: float | None = None
    blocks: int = 1
    notes: tuple[str, ...] = ()
    doubts: tuple[str, ...] = ()
    further: tuple[str, ...] = ()
    order: int = 2
    box: tuple[float | None, ...] | None = None
    softening: float = SOFTENING
    sightings: Sightings | None = None
    radius: float | None = None
    kernel: tuple[float, ...] = ()
    noise: float = 0.0
    estimates: Mapping[str, tuple[float, float, float]] = field(default_factory=dict)
    units: Mapping[str, str] = field(default_factory=dict)
    individuals: tuple[str, ...] = ()
    hidden: int = 0
    known: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    optional: bool = False
    bonds: Bonds | None = None

    @property
    def columns(self) -> Columns:
        """Where the features stand."""
        space = self.further, self.box, self.softening, bool(self.individuals), self.bonds
        return _columns(self.features, self.accelerations, *space)

    def anonymous(self) -> ParticleData:
        """The same graphs without the numbers of individuals and of edges."""
        if not self.individuals and self.bonds is None:
            return self
        x = self.features[..., : self.columns.rest.stop]
        return replace(self, features=x, individuals=(), hidden=0, known={}, bonds=None)


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
        return _columns(self.features, self.accelerations, *space)

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


def chain(n: int) -> npt.NDArray[np.bool_]:
    """Adjacency [n, n] of particles that interact with their neighbours along a chain."""
    return np.eye(n, k=1, dtype=bool) | np.eye(n, k=-1, dtype=bool)


def to_graphs(t: Trajectories, adjacency: npt.NDArray[np.bool_] | None = None) -> ParticleData:
    """Frames as graphs with features in the order position, velocity, charge, mass."""
    sims, frames, n, dim = t.positions.shape
    constant = np.broadcast_to(np.stack([t.charges, t.masses], -1)[:, None], (sims, frames, n, 2))
    x = np.concatenate([t.positions, t.velocities, constant], -1, dtype=np.float32)
    a = t.accelerations.astype(np.float32)
    return ParticleData(x.reshape(-1, *x.shape[2:]), a.reshape(-1, n, dim), frames, t.replaced, adjacency)


def _columns(
    features: Any,
    accelerations: Any,
    further: tuple[str, ...],
    box: tuple[float | None, ...] | None,
    softening: float,
    identity: bool,
    bonds: Bonds | None,
) -> Columns:
    dim = accelerations.shape[-1]
    rest = Columns(dim, box=box, identity=identity, bonds=bonds).count - Columns(dim).count
    columns = Columns(dim, further) if further else Columns.of(dim, features.shape[-1] - rest)
    return replace(columns, box=box, softening=softening, identity=identity, bonds=bonds)


def complete_graph(n: int, device: torch.device | str = "cpu") -> tuple[Tensor, Tensor]:
    """Receivers and senders, each [n (n−1)], of all directed edges without self-loops, by receiver."""
    receiver, other = torch.arange(n, device=device)[:, None], torch.arange(n - 1, device=device)
    return receiver.expand(n, n - 1).flatten(), (other + (other >= receiver)).flatten()
