"""Simulated datasets on disk: made once, verified at every load.

One folder per dataset, named by the law and a hash of everything that determines the content:
`features.npy`, `accelerations.npy`, `adjacency.npy` where the graph is not complete, and `meta.json` with
their SHA-256 sums. A folder appears complete or not at all.
"""

from __future__ import annotations

import hashlib
import inspect
import json
import logging
import os
import shutil
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import filelock
import numpy as np

from gnn_distill.data import ParticleData, chain, to_graphs
from gnn_distill.rundir import file_hash, fingerprint
from gnn_distill.simulate import Simulation, simulate

log = logging.getLogger(__name__)

FORMAT = 1  # part of the key; raise it when the meaning of the stored arrays changes


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

    Processes that ask for the same dataset at the same time make it once; the others wait. Arrays are
    memory-mapped copy-on-write, so that a dataset larger than memory can be used.

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
            except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
                log.warning("cache %s is damaged (%s); making it again", folder, error)
                shutil.rmtree(folder)
        adjacency = chain(spec.n) if spec.law.graph == "chain" else None
        _write(folder, to_graphs(simulate(spec, progress), adjacency))
        return _read(folder)


def _write(folder: Path, data: ParticleData) -> None:
    temporary = folder.with_name(f".making-{folder.name}")
    shutil.rmtree(temporary, ignore_errors=True)  # left by a process that was killed
    temporary.mkdir()
    meta: dict[str, Any] = {"frames": data.frames, "replaced": data.replaced, "sha256": {}}
    for name in ("features", "accelerations", "adjacency"):
        path, values = temporary / f"{name}.npy", getattr(data, name)
        if values is not None:
            np.save(path, values, allow_pickle=False)
            meta["sha256"][name] = file_hash(path)
    (temporary / "meta.json").write_text(json.dumps(meta | {"check": fingerprint(meta)}))
    os.replace(temporary, folder)


def _read(folder: Path) -> ParticleData:
    meta = json.loads((folder / "meta.json").read_text())
    if meta.pop("check") != fingerprint(meta):
        raise ValueError("checksum of meta.json does not match")
    arrays = {}
    for name, expected in meta["sha256"].items():
        path = folder / f"{name}.npy"
        if file_hash(path) != expected:
            raise ValueError(f"checksum of {path.name} does not match")
        arrays[name] = np.load(path, mmap_mode="c", allow_pickle=False)
    return ParticleData(**arrays, frames=meta["frames"], replaced=meta["replaced"])
