"""Batches drawn over receivers, whatever the size of a frame.

As messages are passed once, a receiver with its senders is all that a step of training needs.

Shapes: N sightings, E edges, R receivers, F features, D space dims.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator
from dataclasses import dataclass, fields, replace
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor

from gnn_distill.data.graphs import Graph, Subset
from gnn_distill.data.particles import ParticleData
from gnn_distill.data.sightings import Index, Sightings
from gnn_distill.physics.variables import Columns

SLABS = 4  # of a frame, at most, that are batches of their own
ALONE = 200  # receivers of a frame, or slab, that are varied enough to be a batch without others


@dataclass(frozen=True, eq=False)
class Table:
    """`Sightings` as tensors, with features [N, F] and labels [N, D], NaN where there are none."""

    features: Tensor
    labels: Tensor
    unit: Tensor
    frame: Tensor
    piece: Tensor
    first: Tensor
    last: Tensor
    senders: Tensor
    shared: bool
    mutual: bool
    columns: Columns
    particles: float

    @classmethod
    def of(cls, data: ParticleData) -> Table:
        """The table of data that have sightings."""
        seen = cast(Sightings, data.sightings)
        x, a = torch.from_numpy(data.features[0]), torch.from_numpy(data.accelerations[0])
        parts: dict[str, Any] = {f.name: getattr(seen, f.name) for f in fields(seen)}
        parts = {k: torch.from_numpy(v) if isinstance(v, np.ndarray) else v for k, v in parts.items()}
        return cls(x, a, **parts, columns=data.columns, particles=seen.particles)

    @functools.cached_property
    def place(self) -> Tensor:
        """Room for the place of each sighting among some receivers, shape [N]; −1 while nobody uses it."""
        return torch.full((len(self.features),), -1, device=self.features.device)

    def to(self, device: torch.device) -> Table:
        """The same table on another device."""
        parts: dict[str, Any] = {f.name: getattr(self, f.name) for f in fields(self)}
        moved: dict[str, Any] = {k: v.to(device) for k, v in parts.items() if isinstance(v, Tensor)}
        return replace(self, **moved)

    @property
    def nbytes(self) -> int:
        """Size in bytes."""
        return sum(part.nbytes for f in fields(self) if isinstance(part := getattr(self, f.name), Tensor))


@dataclass(frozen=True, eq=False)
class Receivers:
    """Some sightings that receive; what a `Subset` is for whole graphs.

    `features`, `accelerations` and `graph` are those of one graph made of them and all their senders, see
    `Subset.graph`. It is made when it is asked for.

    Args:
        table: all sightings.
        index: rows of the receivers, shape [R].
        paired: whether edges between two receivers stand beside their opposites, see `Graph.opposites`.
    """

    table: Table
    index: Tensor
    paired: bool = False
    edge_mask: None = None

    def __len__(self) -> int:
        return len(self.index)

    def __getitem__(self, picked: Tensor | slice) -> Receivers:
        """The receivers at these places."""
        return replace(self, index=self.index[picked])

    @functools.cached_property
    def gathered(self) -> Subset:
        """Receivers and senders as one graph."""
        t, index = self.table, self.index
        first = t.first[index]
        count = t.last[index] - first
        receiver = torch.repeat_interleave(count)
        place = torch.arange(len(receiver), device=index.device)
        place += (first - (count.cumsum(0) - count)).index_select(0, receiver)
        rows = t.senders.index_select(0, place)
        if t.shared:
            other = (rows != index.index_select(0, receiver)).nonzero()[:, 0]
            receiver, rows = receiver.index_select(0, other), rows.index_select(0, other)
        if self.paired:
            graph, rows = self._pairs(receiver, rows)
        else:
            sender = torch.arange(len(index), len(index) + len(rows), device=index.device)
            graph = Graph(receiver, sender, len(index))
        x = t.features.index_select(0, torch.cat([index, rows]))
        return Subset(
            x[None],
            t.labels[index][None],
            trajectory=self.trajectory,
            further=t.columns.further,
            box=t.columns.box,
            softening=t.columns.softening,
            graph=graph,
            particles=t.particles,
            bonds=t.columns.bonds,
        )

    def _pairs(self, receiver: Tensor, rows: Tensor) -> tuple[Graph, Tensor]:
        """Edges between receivers, those from other senders, opposites of the first; rows of those senders.

        What arrives at a receiver that is drawn twice has no opposites but for one of both.

        Args:
            receiver: number of the receiver of each edge, shape [E].
            rows: its sender's row, shape [E].
        """
        count, place = len(self.index), self.table.place
        number = torch.arange(count, device=self.device)
        place[self.index] = number
        again = place[self.index] != number
        sender = place.index_select(0, rows).masked_fill_(again.index_select(0, receiver), -1)
        place[self.index] = -1
        inner, outer = (sender > receiver).nonzero()[:, 0], (sender < 0).nonzero()[:, 0]
        one, two = receiver.index_select(0, inner), sender.index_select(0, inner)
        strangers = torch.arange(count, count + len(outer), device=self.device)
        receiver = torch.cat([one, receiver.index_select(0, outer), two])
        sender = torch.cat([two, strangers, one])
        return Graph(receiver, sender, count, opposites=len(inner)), rows.index_select(0, outer)

    def neighbouring(self, size: int) -> tuple[Receivers, Index, int] | None:
        """Receivers sorted so that batches made of whole blocks of them hold most edges with their opposites.

        A block is a frame, or a slab of a large one. As half of the edges need no product, batches are up to
        twice as large and cost no more: with as many edges as others they would know half of the pairs, and
        losses after as many steps would be higher.

        Args:
            size: receivers of a batch that is drawn one by one.

        Returns:
            The receivers, `paired`, the number of the block of each, ascending, and the size of a batch of
            whole blocks. None where edges have no opposites, where slabs would be so thin that few are in
            them, and where a batch would be one small block, whose receivers are too much alike.
        """
        t, columns = self.table, self.columns
        _, of, count = np.unique(t.frame[self.index].cpu().numpy(), return_inverse=True, return_counts=True)
        usual = count.mean()
        slabs = int(np.ceil(usual / (2 * size)))
        usual /= slabs
        blocks = int(2 * size / usual)
        if not t.mutual or slabs > SLABS or (blocks == 1 and usual < ALONE):
            return None
        x = t.features[self.index, 0].cpu().numpy()
        edge = (columns.box or (None,))[0]
        order = np.lexsort((x % edge if edge else x, of))
        rank = np.arange(len(of)) - np.repeat(np.cumsum(count) - count, count)
        block = slabs * of[order] + slabs * rank // count[of[order]]
        return (
            replace(self[torch.from_numpy(order).to(self.device)], paired=True),
            block,
            round(blocks * usual),
        )

    @property
    def features(self) -> Tensor:
        """Features of receivers, then of senders, of all or, if `paired`, of those that do not receive."""
        return self.gathered.features

    @property
    def accelerations(self) -> Tensor:
        """Labels of the receivers, shape [1, R, D]."""
        return self.table.labels[self.index][None]

    @property
    def graph(self) -> Graph:
        """Who acts on whom among these nodes."""
        return cast(Graph, self.gathered.graph)

    @property
    def frames(self) -> float:
        """Number of frames that the labels make up."""
        return len(self) / self.table.particles

    @property
    def trajectory(self) -> Tensor:
        """Number of the run, or block of one, of each receiver, shape [R]."""
        return self.table.unit[self.index]

    @property
    def degree(self) -> Tensor:
        """Number of particles that act on each receiver, shape [R]."""
        return self.table.last[self.index] - self.table.first[self.index] - int(self.table.shared)

    @property
    def columns(self) -> Columns:
        """Where the features stand."""
        return self.table.columns

    @property
    def device(self) -> torch.device:
        """Where the table lies."""
        return self.index.device

    @property
    def nbytes(self) -> int:
        """Size of the table in bytes."""
        return self.table.nbytes + self.index.nbytes

    def to(self, device: torch.device) -> Receivers:
        """The same receivers, with the whole table, on another device."""
        return replace(self, table=self.table.to(device), index=self.index.to(device))

    def chunks(self, size: int) -> Iterator[Receivers]:
        """Consecutive parts of at most `size` receivers."""
        return (self[start : start + size] for start in range(0, len(self), size))

    def joined(self, other: Receivers) -> Receivers:
        """The receivers of both, sorted."""
        return replace(self, index=torch.cat([self.index, other.index]).sort().values)

    def thinned(self, edges: int) -> Receivers:
        """The receivers of whole pieces of tracks, evenly spread, with about so many edges."""
        every = -(-int(self.degree.sum()) // edges)
        return self if every <= 1 else self[(self.table.piece[self.index] % every == 0).nonzero()[:, 0]]

    def some(self, edges: int, seed: int) -> Receivers:
        """Receivers drawn at random, with about so many edges at most."""
        share = edges / max(1, int(self.degree.sum()))
        if share >= 1:
            return self
        drawn = np.random.default_rng(seed).permutation(len(self))[: max(1, round(share * len(self)))]
        return self[torch.from_numpy(np.sort(drawn)).to(self.device)]
