"""From a path to what its files hold."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from gnn_distill.data.own.faults import bad
from gnn_distill.data.own.files.arrays import gathered, read_h5, read_npy, read_npz, read_pt
from gnn_distill.data.own.files.assemble import assemble
from gnn_distill.data.own.files.columns import Table, Wanted, understood
from gnn_distill.data.own.files.molecular import read_dump, read_xyz
from gnn_distill.data.own.files.names import CELL
from gnn_distill.data.own.files.tables import Named, joined, named, read_parquet
from gnn_distill.data.own.files.text import Sheet, read_text
from gnn_distill.data.own.files.trajectories import BINARY, read_trajectory
from gnn_distill.data.own.tracks import SAME, Contents
from gnn_distill.errors import InputError

TABLES: dict[str, Callable[[Path], Sheet]] = {
    **dict.fromkeys((".csv", ".tsv", ".txt", ".dat"), read_text),
    ".parquet": read_parquet,
    **dict.fromkeys((".lammpstrj", ".dump"), read_dump),
    **dict.fromkeys((".xyz", ".extxyz"), read_xyz),
}
"""What reads a table, by the ending of its file."""
ARRAYS: dict[str, Callable[[Path], dict[str, Any]]] = {
    ".npz": read_npz,
    ".npy": read_npy,
    ".pt": read_pt,
    **dict.fromkeys((".h5", ".hdf5"), read_h5),
}
"""What reads arrays, by the ending of their file."""
ENDINGS = (*TABLES, *BINARY, *ARRAYS)
Box = tuple[float | None, ...] | None


def read(paths: Sequence[Path], wanted: Wanted) -> Contents:
    """Read files of tracked particles; each file of several is a run of its own.

    Args:
        paths: files that end in one of `ENDINGS`, as `files_of` gives them.
        wanted: what the user says about them.

    Raises:
        InputError: naming the file, the array or column, what is wrong with it and the fix.
    """
    table = table_of(paths, wanted)
    if table is not None:
        return assemble(table, paths[0])
    if wanted.features:
        fix = "files of arrays have their further inputs in the array features: leave the key out"
        raise bad(paths[0], "dataset.features names columns of a table", fix)
    contents = gathered([(path, _opened(ARRAYS, path)) for path in paths])
    several = (f"{len(paths)} files",) if len(paths) > 1 else ()
    return Contents(contents, notes=several, units=dict(wanted.units))


def table_of(paths: Sequence[Path], wanted: Wanted) -> Table | None:
    """The table of sightings that these files hold; None if they hold arrays.

    Raises:
        InputError: as `read`.
    """
    tables = [path for path in paths if path.suffix.lower() not in ARRAYS]
    if wanted.topology is not None and not all(path.suffix.lower() in BINARY for path in paths):
        fix = f"it goes with trajectories that end in {', '.join(BINARY)}: leave the key out"
        raise InputError("dataset.topology", wanted.topology, fix)
    if not tables:
        return None
    if len(tables) < len(paths):
        other = next(path for path in paths if path not in tables)
        raise bad(other, f"it holds arrays, and {tables[0].name} a table", "give files of one kind")
    parts = {}
    for path in paths:
        name = path.stem if path.stem not in parts else str(path)
        parts[name] = named(_table(path, wanted), path, wanted.time_step)
    return understood(joined(_in_one_space(parts, paths)), paths[0], wanted)


def _table(path: Path, wanted: Wanted) -> Sheet:
    if path.suffix.lower() in BINARY:
        return read_trajectory(path, wanted.topology, wanted.time_step)
    sheet: Sheet = _opened(TABLES, path)
    return sheet


def _in_one_space(parts: dict[str, Named], paths: Sequence[Path]) -> dict[str, Named]:
    """The same, with cells as columns where boxes of the files differ; files without one are refused."""
    if all(_same(part.box, next(iter(parts.values())).box) for part in parts.values()) and (
        len({CELL[0] in part.rows for part in parts.values()}) == 1
    ):
        return parts
    bare = [path for path, part in zip(paths, parts.values(), strict=True) if not part.periodic]
    if bare and len(bare) < len(parts):
        other = next(path for path in paths if path not in bare)
        problem = f"it has no periodic box, and {other.name} has one"
        raise bad(bare[0], problem, "give runs in boxes together, and others in a run of their own")
    return {name: part.in_cells() for name, part in parts.items()}


def _same(one: Box, other: Box) -> bool:
    """Whether two boxes have the same edges."""
    a, b = (np.array([np.nan if edge is None else edge for edge in box or ()]) for box in (one, other))
    return len(a) == len(b) and np.allclose(a, b, rtol=SAME, atol=0.0, equal_nan=True)


def _opened(readers: dict[str, Callable[[Path], Any]], path: Path) -> Any:
    try:
        return readers[path.suffix.lower()](path)
    except (OSError, UnicodeDecodeError) as error:
        raise bad(path, f"it cannot be read ({error})", "check the file and its permissions") from error
