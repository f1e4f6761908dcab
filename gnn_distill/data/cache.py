"""Simulated datasets on disk: made once, verified at every load.

One folder per dataset, named by the law and a hash of everything that determines the content:
`features.npy`, `accelerations.npy`, `adjacency.npy` where the graph is not complete, and `meta.json` with
their SHA-256 sums. A folder appears complete or not at all.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

import filelock
import numpy as np

from gnn_distill.data.particles import ParticleData, chain, to_graphs
from gnn_distill.physics.equation import Equation
from gnn_distill.physics.simulate import ADDED, HEAT, Simulation, simulate, simulate_blocks
from gnn_distill.physics.variables import Columns
from gnn_distill.runs.files import file_hash, fingerprint

log = logging.getLogger(__name__)

BESIDE = {field.name: field.default for field in fields(Simulation) if field.name in (*ADDED, *HEAT)}
"""Settings that are part of the key only where they are not these."""
ARRAYS = ("features", "accelerations")
SEEN = ("kernel", "noise", "estimates", "notes", "doubts")
"""What is known of labels that were derived, see `ParticleData`."""
TOLD = "done"
"""File of a dataset in the making: trajectories done, and in all."""
Progress = Callable[[int, int], None]
FORMAT = 1  # part of the key; raise it when the meaning of the stored arrays changes


def cache_key(spec: Simulation) -> str:
    """Hash of everything that determines the data: the specification and the law's own source."""
    law = type(spec.law)
    content = {"format": FORMAT, "law": f"{law.__module__}.{law.__qualname__}", "source": law.source()}
    said = asdict(spec)
    for (
        name
    ) in BESIDE:  # what is not said leaves no trace: such data are those of before there were these keys
        if said[name] == BESIDE[name]:
            del said[name]
    content |= said
    if isinstance(spec.law, Equation) and (base := spec.law.base) is not None:
        content["base"] = f"{type(base).__module__}.{type(base).__qualname__}", base.source()
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:20]


def load_or_simulate(spec: Simulation, cache: Path, progress: Progress | None = None) -> ParticleData:
    """The data of `spec` from the cache, made first if they are missing or damaged.

    Processes that ask for the same dataset at the same time make it once; the others wait. Blocks are
    written as they are simulated and arrays are memory-mapped, so that a dataset may be larger than memory.

    Args:
        spec: what to simulate.
        cache: folder that holds one folder per dataset.
        progress: called with (trajectories done, trajectories in all).
    """
    folder = dataset_folder(spec, cache)
    with _locked(folder, progress):
        if folder.exists():
            try:
                return _read(folder, spec)
            except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
                log.warning("cache %s is damaged (%s); making it again", folder, error)
                shutil.rmtree(folder)
        _make(folder, spec, progress)
        return _read(folder, spec)


def make_if_missing(spec: Simulation, cache: Path, begun: Callable[[], None]) -> None:
    """See to it that the data of `spec` lie in the folder `cache`; they are neither verified nor loaded.

    `begun` is called once no other process can make them.
    """
    folder = dataset_folder(spec, cache)
    with _locked(folder, None):
        begun()
        if not folder.exists():
            _make(folder, spec, None)


def dataset_folder(spec: Simulation, cache: Path) -> Path:
    """Where the data of `spec` lie in the folder `cache`, once they are made."""
    return cache / f"{spec.law.name}-{cache_key(spec)}"


def _making(folder: Path) -> Path:
    """Where a dataset lies until it is whole."""
    return folder.with_name(f".making-{folder.name}")


@contextmanager
def _locked(folder: Path, progress: Progress | None) -> Iterator[None]:
    """Have a dataset's folder alone; `progress` is told how far another process is that makes it."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    lock, told = filelock.FileLock(f"{folder}.lock"), _making(folder) / TOLD
    while not lock.is_locked:
        try:
            lock.acquire(timeout=0.5)
        except filelock.Timeout:
            with suppress(OSError, ValueError):
                done, total = map(int, told.read_text().split())
                if progress is not None:
                    progress(done, total)
    try:
        yield
    finally:
        lock.release()


def _make(folder: Path, spec: Simulation, progress: Progress | None) -> None:
    temporary = _making(folder)
    shutil.rmtree(temporary, ignore_errors=True)  # left by a process that was killed
    temporary.mkdir()

    def tell(done: int, total: int) -> None:
        (temporary / TOLD).write_text(f"{done} {total}")
        if progress is not None:
            progress(done, total)

    told = _observe(temporary, spec, tell) if spec.observed else _simulate(temporary, spec, tell)
    (temporary / TOLD).unlink(missing_ok=True)
    if spec.law.graph == "chain":
        np.save(temporary / "adjacency.npy", chain(spec.n), allow_pickle=False)
    sums = {path.stem: file_hash(path) for path in sorted(temporary.glob("*.npy"))}
    meta = told | {"sha256": sums}
    (temporary / "meta.json").write_text(json.dumps(meta | {"check": fingerprint(meta)}))
    os.replace(temporary, folder)


def _observe(temporary: Path, spec: Simulation, progress: Progress) -> dict[str, Any]:
    """Write what is derived from noisy tracks; returns what else is known of it."""
    from gnn_distill.data.seen import as_seen  # loads all that reads files, which exact labels can spare

    data = as_seen(spec, simulate(spec, progress))
    for name in ARRAYS:
        np.save(temporary / f"{name}.npy", getattr(data, name), allow_pickle=False)
    return {name: getattr(data, name) for name in ("frames", "replaced", *SEEN)}


def _simulate(temporary: Path, spec: Simulation, progress: Progress) -> dict[str, Any]:
    """Write exact labels, block by block."""
    rows, files = (spec.simulations * spec.frames, spec.n), {}
    for name, size in {"features": Columns(spec.dim).count, "accelerations": spec.dim}.items():
        file = temporary / f"{name}.npy"
        files[name] = np.lib.format.open_memmap(file, "w+", np.float32, (*rows, size))
    done = replaced = 0
    for block in simulate_blocks(spec, progress):
        graphs = to_graphs(block)
        rows_here = slice(done, done + len(graphs.features))
        for name, array in files.items():
            array[rows_here] = getattr(graphs, name)
        done, replaced = rows_here.stop, replaced + block.replaced
    for array in files.values():
        array.flush()
    return {"frames": spec.frames, "replaced": replaced}


def _read(folder: Path, spec: Simulation) -> ParticleData:
    meta = json.loads((folder / "meta.json").read_text())
    if meta.pop("check") != fingerprint(meta):
        raise ValueError("checksum of meta.json does not match")
    arrays = {}
    for name, expected in meta["sha256"].items():
        path = folder / f"{name}.npy"
        if file_hash(path) != expected:
            raise ValueError(f"checksum of {path.name} does not match")
        arrays[name] = np.load(path, mmap_mode="c", allow_pickle=False)
    derived = {name: meta[name] for name in SEEN if name in meta}
    for name in ("kernel", "notes", "doubts"):
        derived[name] = tuple(derived.get(name, ()))
    derived["estimates"] = {key: tuple(ends) for key, ends in derived.get("estimates", {}).items()}
    return ParticleData(
        **arrays,
        frames=meta["frames"],
        replaced=meta["replaced"],
        spacing=spec.frame_spacing,
        order=spec.order,
        softening=spec.softening,
        **derived,
    )
