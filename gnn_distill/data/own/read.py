"""The long format: one row per trajectory, frame and particle.

Rows may come in any order of trajectories and particles; the rows of one particle are in order of
time. Shape letters: R rows, S trajectories, T frames, n particles, D space dims, K further features.
"""

from __future__ import annotations

import csv
import logging
import pickle
import zipfile
from array import array
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from gnn_distill.data.own.tracks import ALIASES, Tracks, bad, to_tracks

log = logging.getLogger(__name__)

Columns = dict[str, npt.NDArray[Any]]

AXES = ("x", "y", "z")
LABELS = ("trajectory", "particle")
ALSO = {
    "trajectory": ("trajectories", "run", "simulation"),
    "particle": ("particles", "id"),
    "time": ("times", "t"),
    "frame": ("frames",),
    "mass": ("masses", "m"),
    "charge": ("charges", "q"),
}
"""Other names of columns, read as these where a file has no column of the name itself."""


def read_csv(path: Path) -> Columns:
    """Columns of a text table with a header; separated by commas, semicolons or tabs."""
    with path.open(newline="", encoding="utf-8-sig") as file:
        first = file.readline()
        if not first.strip():
            raise bad(path, "its first line is empty", "write a header: time,particle,x,y")
        file.seek(0)
        separator = max(",;\t", key=first.count)
        rows = csv.reader(file, delimiter=separator)
        try:
            header = _header(path, next(rows))
            return _parse(path, header, rows)
        except csv.Error as error:
            raise bad(path, f"line {rows.line_num} cannot be read ({error})", "save plain text") from error


def _header(path: Path, names: list[str]) -> list[str]:
    header = [name.strip().lower() for name in names]
    for meant, others in ALSO.items():
        used = [] if meant in header else [name for name in others if name in header]
        header = [meant if name in used[:1] else name for name in header]
    if "" in header:
        fix = "name it, or write the file without row numbers (pandas: index=False)"
        raise bad(path, f"column {header.index('') + 1} has no name", fix)
    for name in header:
        if header.count(name) > 1:
            raise bad(path, f"column {name!r} is there twice", "keep one of them")
    return header


def _parse(path: Path, header: list[str], rows: Any) -> Columns:
    """Cells as numbers, labels as numbers where all of them are."""
    cells: list[Any] = [[] if name in LABELS else array("d") for name in header]
    for row in rows:
        if not row:
            continue
        if len(row) != len(header):
            problem = f"line {rows.line_num} has {len(row)} cells and the header {len(header)}"
            raise bad(path, problem, "write one cell per column in every line")
        for name, column, cell in zip(header, cells, row, strict=True):
            try:
                column.append(cell.strip() if name in LABELS else float(cell))
            except ValueError:
                problem = f"column {name!r}, line {rows.line_num}: {cell!r} is not a number"
                raise bad(path, problem, "write a number in every cell, or remove the column") from None
    return {
        name: _label(cell) if name in LABELS else np.asarray(cell)
        for name, cell in zip(header, cells, strict=True)
    }


def _label(names: list[str] | npt.NDArray[Any]) -> npt.NDArray[Any]:
    texts = np.asarray(names)
    try:
        return texts.astype(np.float64)
    except ValueError:
        return texts


def read_parquet(path: Path) -> Columns:
    """Columns of a parquet file; needs pyarrow."""
    try:
        import pyarrow
        from pyarrow import parquet
    except ImportError:
        raise bad(path, "reading parquet needs pyarrow", "pip install pyarrow, or save it as .csv") from None
    try:
        content = parquet.read_table(path)
    except (pyarrow.ArrowException, OSError) as error:
        problem = f"it cannot be read ({(str(error) or type(error).__name__).splitlines()[0]})"
        raise bad(path, problem, "write it again, or save it as .csv") from error
    kept = [name for name in content.column_names if not name.startswith("__index_level_")]
    columns: Columns = {}
    for name, held in zip(_header(path, kept), kept, strict=True):
        column = content.column(held)
        values = np.asarray(column.to_numpy())
        label = name in LABELS and values.dtype.kind == "O"
        if column.null_count or not (label or values.dtype.kind in "fiu"):
            problem = f"column {name!r} of type {column.type} has {column.null_count} empty cells"
            raise bad(path, problem, "give a number in every row, or remove the column")
        columns[name] = _label(values.astype(str)) if label else values
    return columns


def assemble(columns: Columns, path: Path, dim: int) -> dict[str, Any]:
    """Arrays of `tracks` from the columns of a long table.

    Trajectories longer than the shortest one are cut to its length, with a warning.

    Raises:
        InputError: a column is missing, or rows are missing, repeated or out of order.
    """
    _check_columns(columns, path, dim)
    clock = "time" if "time" in columns else "frame"
    used = {clock, "frame", *LABELS}
    rows = _rows(columns, clock, path)
    arrays: dict[str, Any] = {ALIASES[clock]: columns[clock][rows[:, :, 0]]}
    for name, prefix in (("positions", ""), ("velocities", "v"), ("accelerations", "a")):
        names = [prefix + axis for axis in AXES[:dim]]
        used |= set(names)
        if names[0] in columns:
            arrays[name] = np.stack([columns[name][rows] for name in names], -1)
    for name in ("mass", "charge"):
        used.add(name)
        if name in columns:
            arrays[ALIASES[name]] = columns[name][rows]
    if extra := [name for name in columns if name not in used]:
        log.warning("%s: further columns become inputs of every particle: %s", path, ", ".join(extra))
        arrays["features"] = np.stack([columns[name][rows] for name in extra], -1)
    return arrays


def _check_columns(columns: Columns, path: Path, dim: int) -> None:
    held = f"(found: {', '.join(columns)})"
    if "time" not in columns and "frame" not in columns:
        raise bad(path, f"there is no column 'time' or 'frame' {held}", "name the column of times 'time'")
    for name in ("particle", *AXES[:2]):
        if name not in columns:
            raise bad(path, f"there is no column {name!r} {held}", "add it, or rename the one that holds it")
    if dim == 2 and (third := [name for name in ("z", "vz", "az") if name in columns]):
        problem = f"column {third[0]!r} is a third dimension but dataset.dim=2"
        raise bad(path, problem, "set dataset.dim=3, or remove the column")
    if dim == 3 and "z" not in columns:
        raise bad(path, f"there is no column 'z' but dataset.dim=3 {held}", "set dataset.dim=2, or add it")
    for prefix in "va":
        there = [name for axis in AXES[:dim] if (name := prefix + axis) in columns]
        if there and len(there) < dim:
            missing = next(name for axis in AXES[:dim] if (name := prefix + axis) not in columns)
            raise bad(path, f"column {missing!r} is missing beside {there[0]!r} {held}", "give all or none")
    if not len(columns[AXES[0]]):
        raise bad(path, f"there are no rows under the header {held}", "write one row per frame and particle")
    for name, values in columns.items():
        if values.dtype.kind == "f" and not np.isfinite(values).all():
            row = int(np.flatnonzero(~np.isfinite(values))[0])
            problem = f"column {name!r} holds {values[row]} in row {row + 1} below the header"
            raise bad(path, problem, "fill the gap by interpolation, or cut these frames out")


def _rows(columns: Mapping[str, npt.NDArray[Any]], clock: str, path: Path) -> npt.NDArray[np.int64]:
    """Row numbers [S, T, n], sorted by trajectory, time and particle."""
    time, names = columns[clock], columns["particle"]
    labels, particle = np.unique(names, return_inverse=True)
    runs, run = np.unique(columns.get("trajectory", np.zeros(len(time))), return_inverse=True)
    _check_order(time, run, particle, names, path)
    order = np.lexsort((particle, time, run))
    pieces: list[npt.NDArray[np.int64]] = []
    for s, name in enumerate(runs):
        mine = order[run[order] == s]
        _, counts = np.unique(time[mine], return_counts=True)
        n = pieces[0].shape[1] if pieces else int(np.bincount(counts).argmax())
        where = f"trajectory {_text(name)}, {clock} "
        fix = "cut out frames or tracks until the same particles are in every frame"
        if (counts != n).any():
            frame = int(np.flatnonzero(counts != n)[0])
            when = time[mine[counts[:frame].sum()]]
            raise bad(path, f"{where}{when:g} has {counts[frame]} particles and others {n}", fix)
        grid = mine.reshape(-1, n)
        changed = (particle[grid] != particle[grid[0]]).any(1)
        if changed.any():
            frame = int(changed.argmax())
            new = labels[np.setdiff1d(particle[grid[frame]], particle[grid[0]])[0]]
            problem = (
                f"{where}{time[grid[frame, 0]]:g} has a particle {_text(new)} that is not in the first frame"
            )
            raise bad(path, problem, fix)
        pieces.append(grid)
    shortest, longest = min(map(len, pieces)), max(map(len, pieces))
    if shortest < longest:
        text = "%s: trajectories have %d to %d frames; all are cut to the first %d"
        log.warning(text, path, shortest, longest, shortest)
    return np.stack([piece[:shortest] for piece in pieces])


def _check_order(
    time: npt.NDArray[Any],
    run: npt.NDArray[np.intp],
    particle: npt.NDArray[np.intp],
    names: npt.NDArray[Any],
    path: Path,
) -> None:
    """Raise unless the time of every particle ascends in the order of the file."""
    order = np.lexsort((particle, run))  # stable: rows of one particle stay in the file's order
    same = (np.diff(run[order]) == 0) & (np.diff(particle[order]) == 0)
    wrong = np.flatnonzero(same & (np.diff(time[order]) <= 0))
    if not wrong.size:
        return
    before, row = order[wrong[0]], order[wrong[0] + 1]
    who = f"particle {_text(names[row])}"
    if time[row] == time[before]:
        problem = f"rows {before + 1} and {row + 1} below the header are both {who} at {time[row]:g}"
        raise bad(path, problem, "remove one, or tell runs apart in a column 'run'")
    problem = f"{who} goes back from {time[before]:g} to {time[row]:g} in row {row + 1} below the header"
    raise bad(path, problem, "sort the rows by time, or tell runs apart in a column 'run'")


def _text(label: Any) -> str:
    return f"{label:g}" if isinstance(label, float | np.floating) else str(label)


PLAIN = "save plain arrays of numbers, with np.savez(path, positions=...)"


def read_npz(path: Path) -> dict[str, Any]:
    """Arrays of a NumPy archive; pickled objects are refused, since loading one can run any code."""
    if not zipfile.is_zipfile(path):
        raise bad(path, "it is not an .npz archive (damaged, cut off, or a pickle)", PLAIN)
    arrays: dict[str, Any] = {}
    name = "the archive"
    try:
        with np.load(path, allow_pickle=False) as archive:
            for name in archive.files:
                arrays[name] = archive[name]
    except Exception as error:  # a damaged file can raise anything
        if "allow_pickle" in str(error):
            raise bad(
                path, f"array {name!r} holds pickled Python objects, which are refused", PLAIN
            ) from error
        raise bad(path, f"{name!r} cannot be read ({error})", PLAIN) from error
    return arrays


def read_pt(path: Path) -> dict[str, Any]:
    """Tensors of a torch file, as arrays; pickled objects are refused."""
    fix = "save a dict of tensors: torch.save({'positions': ...}, path)"
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise bad(path, "it is damaged or holds pickled Python objects, which are refused", fix) from error
    except Exception as error:  # a damaged file can raise anything
        reason = (str(error) or type(error).__name__).splitlines()[0]
        raise bad(path, f"it cannot be read ({reason})", fix) from error
    if not isinstance(content, dict):
        raise bad(path, f"it holds a {type(content).__name__}", fix)
    for name, value in content.items():
        if not isinstance(value, torch.Tensor | int | float):
            raise bad(path, f"{name!r} holds a {type(value).__name__}", fix)
    return {str(name): _array(value) for name, value in content.items()}


def _array(value: torch.Tensor | int | float) -> Any:
    if not isinstance(value, torch.Tensor):
        return np.asarray(value)
    value = value.detach()
    return (value.double() if value.is_floating_point() else value).numpy()


ARRAYS: dict[str, Callable[[Path], dict[str, Any]]] = {".npz": read_npz, ".pt": read_pt}
TABLES: dict[str, Callable[[Path], dict[str, Any]]] = {".csv": read_csv, ".parquet": read_parquet}
ENDINGS = (*ARRAYS, *TABLES)


def read(path: Path, dim: int) -> Tracks:
    """Read and check a file of tracked particles.

    Args:
        path: a file that ends in one of `ENDINGS`.
        dim: space dimensions D that the file must have.

    Raises:
        InputError: naming the file, the array or column, what is wrong with it and the fix.
    """
    ending = path.suffix.lower()
    try:
        arrays = ARRAYS[ending](path) if ending in ARRAYS else assemble(TABLES[ending](path), path, dim)
    except (OSError, UnicodeDecodeError) as error:
        raise bad(path, f"it cannot be read ({error})", "check the file and its permissions") from error
    return to_tracks(arrays, path, dim)
