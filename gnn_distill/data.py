"""From trajectories to tensors: cache on disk, split, batches by index-select.

Shapes: G graphs (frames of all trajectories, trajectory-major), n particles, D space dims,
F = 2 D + 2 features in the order position, velocity, charge, mass.
"""

from __future__ import annotations

import hashlib
import inspect
import json
import logging
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import filelock
import lightning as L
import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from gnn_distill.errors import check_choice, check_int
from gnn_distill.simulate import Simulation, Trajectories, simulate

log = logging.getLogger(__name__)

FORMAT = 1  # part of the cache key; raise it when the meaning of the stored arrays changes
SPLITS = ("trajectories", "frames")
FRACTIONS = (0.70, 0.15, 0.15)


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
    """

    features: npt.NDArray[np.float32]
    accelerations: npt.NDArray[np.float32]
    frames: int
    replaced: int = 0
    adjacency: npt.NDArray[np.bool_] | None = None


@dataclass(frozen=True)
class Subset:
    """The part of the data that one split holds: features [G, n, F], accelerations [G, n, D]."""

    features: Tensor
    accelerations: Tensor

    def __len__(self) -> int:
        return len(self.features)


def to_graphs(t: Trajectories) -> ParticleData:
    """Frames as graphs with features in PROTOCOL's order."""
    sims, frames, n, dim = t.positions.shape
    constant = np.broadcast_to(np.stack([t.charges, t.masses], -1)[:, None], (sims, frames, n, 2))
    x = np.concatenate([t.positions, t.velocities, constant], -1, dtype=np.float32)
    a = t.accelerations.astype(np.float32)
    return ParticleData(x.reshape(-1, n, 2 * dim + 2), a.reshape(-1, n, dim), frames, t.replaced)


def cache_key(spec: Simulation) -> str:
    """Hash of everything that determines the data: the specification and the law's own source."""
    law = type(spec.law)
    try:
        source = inspect.getsource(law)
    except (OSError, TypeError):
        source = ""
    content = {"format": FORMAT, "law": f"{law.__module__}.{law.__qualname__}", "source": source}
    content |= {k: v for k, v in asdict(spec).items()}
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:20]


def load_or_simulate(
    spec: Simulation, cache: Path, progress: Callable[[int, int], None] | None = None
) -> ParticleData:
    """The data of `spec` from the cache, made first if they are missing or damaged.

    Args:
        spec: what to simulate.
        cache: folder that holds one folder per dataset.
        progress: called with (trajectories done, trajectories in all).
    """
    folder = cache / f"{spec.law.name}-{cache_key(spec)}"
    cache.mkdir(parents=True, exist_ok=True)
    with filelock.FileLock(f"{folder}.lock"):
        if folder.exists():
            try:
                return _read(folder)
            except (OSError, ValueError, KeyError) as error:
                log.warning("cache %s is damaged (%s); making it again", folder, error)
                shutil.rmtree(folder)
        data = to_graphs(simulate(spec, progress))
        _write(folder, data)
        return data


def _write(folder: Path, data: ParticleData) -> None:
    temporary = Path(tempfile.mkdtemp(prefix=".making-", dir=folder.parent))
    try:
        meta: dict[str, Any] = {"frames": data.frames, "replaced": data.replaced, "sha256": {}}
        for name in ("features", "accelerations"):
            path = temporary / f"{name}.npy"
            np.save(path, getattr(data, name), allow_pickle=False)
            meta["sha256"][name] = _sha256(path)
        (temporary / "meta.json").write_text(json.dumps(meta))
        os.replace(temporary, folder)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _read(folder: Path) -> ParticleData:
    meta = json.loads((folder / "meta.json").read_text())
    arrays = {}
    for name, expected in meta["sha256"].items():
        path = folder / f"{name}.npy"
        if _sha256(path) != expected:
            raise ValueError(f"checksum of {path.name} does not match")
        arrays[name] = np.load(path, allow_pickle=False)
    return ParticleData(arrays["features"], arrays["accelerations"], meta["frames"], meta["replaced"])


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


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
    units = graphs // unit
    check_int("profile.simulations", units, 3)
    order = np.random.default_rng([seed, 1]).permutation(units)
    test = max(1, round(FRACTIONS[2] * units))
    train = units - test - max(1, round(FRACTIONS[1] * units))
    parts = np.split(order, [train, units - test])
    return tuple((part[:, None] * unit + np.arange(unit)).reshape(-1) for part in parts)


class Batches:
    """Batches of a subset by index-select: (features [B, n, F], accelerations [B, n, D]).

    A shuffled pass depends on (seed, epoch) only, so a resumed run sees what an uninterrupted one saw.
    """

    def __init__(
        self, subset: Subset, batch_size: int, seed: int = 0, epoch: Callable[[], int] | None = None
    ) -> None:
        self.subset, self.batch_size, self.seed, self.epoch = subset, batch_size, seed, epoch

    def __len__(self) -> int:
        full, rest = divmod(len(self.subset), self.batch_size)
        return max(1, full) if self.epoch is not None else full + bool(rest)

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        x, a = self.subset.features, self.subset.accelerations
        if self.epoch is None:
            yield from zip(x.split(self.batch_size), a.split(self.batch_size), strict=True)
            return
        order = torch.from_numpy(np.random.default_rng([self.seed, self.epoch()]).permutation(len(x)))
        order = order.to(x.device)
        for picked in order.split(self.batch_size)[: len(self)]:
            yield x[picked], a[picked]


class NBodyDataModule(L.LightningDataModule):
    """Splits of one dataset as batches; everything stays in memory as tensors.

    Args:
        data: the graphs.
        split: `trajectories` or `frames`.
        batch_size: graphs per training batch; the rest of an epoch that fills no batch is left out.
        seed: seed of the split and of the order of batches.
    """

    def __init__(self, data: ParticleData, split: str, batch_size: int, seed: int) -> None:
        super().__init__()
        check_int("profile.batch_size", batch_size, 1)
        x, a = torch.from_numpy(data.features), torch.from_numpy(data.accelerations)
        parts = split_indices(len(x), data.frames, split, seed)
        self.train, self.validation, self.test = (Subset(x[i], a[i]) for i in map(torch.from_numpy, parts))
        self.test_trajectory = torch.from_numpy(parts[2] // data.frames)
        self.split, self.batch_size, self.seed = split, batch_size, seed

    def train_dataloader(self) -> Batches:
        """Shuffled training batches."""
        trainer = self.trainer
        return Batches(
            self.train, self.batch_size, self.seed, lambda: trainer.current_epoch if trainer else 0
        )

    def val_dataloader(self) -> Batches:
        """Validation batches, in order."""
        return Batches(self.validation, 4 * self.batch_size)
