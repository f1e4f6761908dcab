"""From trajectories to tensors: graphs, split, batches by index-select.

Shapes: G graphs (frames of all trajectories, trajectory-major), n particles, D space dims,
F = 2 D + 2 features in the order position, velocity, charge, mass.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import cast

import lightning as L
import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from gnn_distill.data.draws import Share
from gnn_distill.data.graphs import Subset, View, check_edges, common_edges
from gnn_distill.data.particles import ParticleData
from gnn_distill.data.receivers import Receivers, Table
from gnn_distill.data.sightings import Index, Sightings
from gnn_distill.errors import InputError, check_choice, check_int

SPLITS = ("trajectories", "frames")
FRACTIONS = (0.70, 0.15, 0.15)
VALIDATION_STEPS = 50  # batches of `batch_edges` that an epoch is judged by at most
TEST_EDGES = 2_000_000  # of test receivers, about, beyond which tracks are left out of the test set
DEVICE_FRACTION = 0.5  # of a GPU's free memory that each of training and validation graphs may fill


def split_indices(graphs: int, frames: int, how: str, seed: int) -> tuple[npt.NDArray[np.int64], ...]:
    """Indices of the train, validation and test graphs (70/15/15).

    Args:
        graphs: number of graphs G.
        frames: graphs per trajectory.
        how: `trajectories` keeps every trajectory in one part; `frames` shuffles frames first, as the 2025
            report did, so that parts share trajectories.
        seed: seed of the shuffle.
    """
    check_choice("split", how, SPLITS)
    unit = frames if how == "trajectories" else 1
    parts = shares(graphs // unit, seed)
    return tuple((part[:, None] * unit + np.arange(unit)).reshape(-1) for part in parts)


def shares(units: int, seed: int) -> tuple[npt.NDArray[np.int64], ...]:
    """Numbers of the units of training, validation and test set."""
    check_int("profile.simulations", units, 3)
    order = np.random.default_rng([seed, 1]).permutation(units)
    test = max(1, round(FRACTIONS[2] * units))
    train = units - test - max(1, round(FRACTIONS[1] * units))
    return tuple(np.split(order, [train, units - test]))


def receiver_parts(data: ParticleData, split: str, seed: int) -> tuple[Receivers, ...]:
    """Receivers of the train, validation and test set of data that are a table of sightings.

    Args:
        data: the table.
        split: `trajectories` keeps runs, or blocks of time, in one part; `frames` frames alone.
        seed: of the shuffle.
    """
    check_choice("split", split, SPLITS)
    table = Table.of(data)
    seen = cast(Sightings, data.sightings)
    rows = seen.receivers(data.accelerations[0])
    units, of = np.unique((seen.unit if split == "trajectories" else seen.frame)[rows], return_inverse=True)
    parts = [Receivers(table, torch.from_numpy(rows[np.isin(of, part)])) for part in shares(len(units), seed)]
    for name, part in zip(("training", "validation", "test"), parts, strict=True):
        if not part.degree.any():
            fix = "give a larger dataset.radius, or more trajectories"
            raise InputError("dataset.radius", None, f"no two particles of the {name} set interact: {fix}")
    return tuple(parts)


def edges_per_graph(data: ParticleData) -> float:
    """Mean number of edges that exist in a graph, or that arrive at a receiver."""
    n = data.features.shape[1]
    if data.sightings is not None:
        return float(data.sightings.degree[data.sightings.receivers(data.accelerations[0])].mean())
    if data.adjacency is None:
        return float(n * (n - 1))
    return float(data.adjacency.sum() / (len(data.adjacency) if data.adjacency.ndim == 3 else 1))


@dataclass(eq=False)
class Batches:
    """Batches of a subset by index-select.

    A shuffled pass depends on (seed, epoch) only, so a resumed run sees what an uninterrupted one saw. With
    several processes each takes its share of every batch.

    Args:
        subset: the graphs.
        batch_size: graphs per batch, over all processes.
        seed: of the shuffle.
        epoch: number of the pass; in order if None.
        share: what this process takes of each batch.
        done: batches of the pass that were seen before a break-off, and are left out.
        least: batches that a shuffled pass has at least; graphs then come several times.
        blocks: number of the block of each graph, ascending; a shuffled pass keeps blocks together.
    """

    subset: Subset | View | Receivers
    batch_size: int
    seed: int = 0
    epoch: Callable[[], int] | None = None
    share: Share = Share()
    done: Callable[[], int] = lambda: 0
    least: int = 1
    blocks: Index | None = None

    def __len__(self) -> int:
        full, rest = divmod(len(self.subset), self.batch_size)
        return max(self.least, full) if self.epoch is not None else full + bool(rest)

    def __iter__(self) -> Iterator[Subset | Receivers]:
        for picked in self._order().split(self.batch_size)[self.done() : len(self)]:
            mine = self.share.rows(picked) if self.blocks is None else self.share.part(picked)
            if len(mine):
                yield self.subset[mine]

    def whole(self, number: int) -> Subset | Receivers:
        """A batch of the current pass, of all processes."""
        return self.subset[self._order().split(self.batch_size)[number]]

    def _order(self) -> Tensor:
        if self.epoch is None:
            return torch.arange(len(self.subset), device=self.subset.device)
        rng, wanted = np.random.default_rng([self.seed, self.epoch()]), self.batch_size * len(self)
        passes = 1 if self.least == 1 else -(-wanted // len(self.subset))
        order = np.concatenate([self._drawn(rng) for _ in range(passes)])
        return torch.from_numpy(order).to(self.subset.device)

    def _drawn(self, rng: np.random.Generator) -> Index:
        if self.blocks is None:
            return rng.permutation(len(self.subset))
        return np.argsort(rng.permutation(self.blocks[-1] + 1)[self.blocks], kind="stable")


class NBodyDataModule(L.LightningDataModule):
    """Splits of one dataset as batches.

    Everything stays in memory as tensors, but for the training and validation graphs of a dataset larger
    than `memory_limit`: those are read from disk batch by batch.

    Sightings of particles that come and go, or interact within a distance, are batches of receivers.

    Attributes:
        graph: receivers and senders, each [E], of the edges that any graph has; None for complete graphs.
        mutual: whether the network that is trained has one message for both directions of a pair, so that
            batches of receivers who are each other's senders cost it half as much.

    Args:
        data: the graphs.
        split: `trajectories` or `frames`.
        batch_size: graphs, or receivers, per training batch; the rest of an epoch that fills no batch is left
            out.
        seed: seed of the split and of the order of batches.
        validation_graphs: validation graphs that an epoch is judged by, drawn at random, or in whole runs
            where labels span several frames; all if None.
        memory_limit: bytes; half of the machine's memory if None.
        batch_edges: edges of a training batch, in the place of `batch_size`.
        least_batches: of an epoch; graphs of small data come several times.
    """

    def __init__(
        self,
        data: ParticleData,
        split: str,
        batch_size: int,
        seed: int,
        validation_graphs: int | None = None,
        memory_limit: int | None = None,
        batch_edges: int | None = None,
        least_batches: int = 1,
    ) -> None:
        super().__init__()
        check_int("profile.batch_size", batch_size, 1)
        if validation_graphs is not None:
            check_int("profile.validation_graphs", validation_graphs, 1)
        self.graph, mask = common_edges(data.adjacency)
        self.mutual = False
        self.judged: int | None = None  # about so many validation graphs judge an epoch; all if None
        if batch_edges is not None:
            batch_size = max(1, round(batch_edges / max(1.0, edges_per_graph(data))))
            self.judged = VALIDATION_STEPS * batch_size
        self.split, self.batch_size, self.seed, self.least_batches = split, batch_size, seed, least_batches
        self.train: Subset | View | Receivers
        self.validation: Subset | View | Receivers
        self.test: Subset | Receivers
        if data.sightings is not None:
            self.train, self.validation, whole_test = receiver_parts(data, split, seed)
            self.test = whole_test.thinned(TEST_EDGES)
            self._home: tuple[Subset | View | Receivers, ...] = self.train, self.validation
            return
        x, a = torch.from_numpy(data.features), torch.from_numpy(data.accelerations)
        of = torch.arange(len(x)) // data.frames
        space = data.box, data.softening, bool(data.individuals)
        whole = Subset(x, a, mask, of, data.further, *space, bonds=data.bonds)
        parts = split_indices(len(x), data.frames, split, seed)
        if memory_limit is None:
            memory_limit = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2
        fits = data.features.nbytes + data.accelerations.nbytes <= memory_limit
        train, validation, test = map(torch.from_numpy, parts)
        if data.kernel and validation_graphs is not None:  # whole runs: their labels span several frames
            validation = validation[: max(1, validation_graphs // data.frames) * data.frames]
        elif validation_graphs is not None:
            validation = validation[np.random.default_rng([seed, 2]).permutation(len(validation))]
            validation = validation[:validation_graphs]
        self.train, self.validation = (whole[i] if fits else View(whole, i) for i in (train, validation))
        self.test = whole[test]
        check_edges(self.graph, mask, {"training": train, "validation": validation, "test": test})
        self._home = self.train, self.validation

    def train_dataloader(self) -> Batches:
        """Shuffled training batches; the graphs move to the device while training if they fit."""
        trainer = self.trainer
        self.train = self._resident(self.train)
        subset, blocks, size = self._laid_out(self.train)
        shuffled = functools.partial(
            Batches, subset, size, self.seed, least=self.least_batches, blocks=blocks
        )
        if trainer is None:
            return shuffled(lambda: 0)
        progress = trainer.fit_loop.epoch_loop.batch_progress
        return shuffled(lambda: trainer.current_epoch, self._share(), lambda: progress.current.ready)

    def val_dataloader(self) -> Batches:
        """Validation batches, in order."""
        self.validation = self._resident(self.validation)
        every = 1 if self.judged is None else max(1, len(self.validation) // self.judged)
        part, blocks, size = self._laid_out(self.validation)
        if blocks is not None:
            drawn = np.random.default_rng([self.seed, 3]).permutation(blocks[-1] + 1)  # no one side of a box
            kept = np.flatnonzero(drawn[blocks] % every == 0)
            part, blocks = part[torch.from_numpy(kept).to(part.device)], blocks[kept]
        elif every > 1:
            part = part[::every]
        return Batches(part, 4 * size, share=self._share(), blocks=blocks)

    def _laid_out(
        self, part: Subset | View | Receivers
    ) -> tuple[Subset | View | Receivers, Index | None, int]:
        """Graphs in the order of their blocks if there are any, the block of each, the size of a batch."""
        found = part.neighbouring(self.batch_size) if self.mutual and isinstance(part, Receivers) else None
        if found is None:
            return part, None, self.batch_size
        world = self._share().world
        return *found[:2], max(1, found[2] // world) * world

    def teardown(self, stage: str) -> None:
        """Give up the device's copies: what follows training works where the network then is."""
        self.train, self.validation = self._home

    def _share(self) -> Share:
        return Share(self.trainer.global_rank, self.trainer.world_size) if self.trainer else Share()

    def _resident(self, subset: Subset | View | Receivers) -> Subset | View | Receivers:
        """The graphs on the training device if that is a GPU with room for them."""
        device = self.trainer.strategy.root_device if self.trainer else torch.device("cpu")
        if device.type != "cuda" or isinstance(subset, View) or subset.device == device:
            return subset
        free, _ = torch.cuda.mem_get_info(device)
        return subset.to(device) if subset.nbytes <= DEVICE_FRACTION * free else subset

    def transfer_batch_to_device(
        self, batch: Subset | Receivers, device: torch.device, dataloader_idx: int
    ) -> Subset:
        """Lightning does not know a `Subset`."""
        return (batch.gathered if isinstance(batch, Receivers) else batch).to(device)

    def calibration(self, graphs: int) -> Subset:
        """Training graphs, or receivers with their senders, that units are taken from."""
        if isinstance(self.train, Receivers):
            return self.train.some(graphs, self.seed).gathered
        return self.train[:graphs]
