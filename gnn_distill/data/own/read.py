"""A file of tracked particles, from disk to arrays that are not checked yet.

`.npz` and `.pt` hold the arrays themselves. `.csv` and `.parquet` hold a long table: one row per
trajectory, frame and particle. Its rows may come in any order of trajectories and particles; those of one
particle are in order of time. Shape letters: S trajectories, T frames, n particles, K further features.
"""

from __future__ import annotations

import contextlib
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch

from gnn_distill.data.own.tracks import ALIASES, Contents, bad
from gnn_distill.physics.variables import AXES

VECTORS = {"positions": "", "velocities": "v", "accelerations": "a"}
"""Arrays of vectors, and what stands before the axis in the names of their columns."""
LABELS = ["trajectory", "particle"]
ALSO = {
    "trajectory": ("trajectories", "run", "simulation"),
    "particle": ("particles", "id"),
    "time": ("times", "t"),
    "frame": ("frames",),
    "mass": ("masses", "m"),
    "charge": ("charges", "q"),
}
"""Other names of columns, read as these where a file has no column of the name itself."""


def read_csv(path: Path) -> pd.DataFrame:
    """A text table with a header; commas, semicolons or tabs separate its cells, empty lines are skipped."""
    fix = "save plain text with one cell per column in every line"
    with path.open(newline="", encoding="utf-8-sig") as file:
        first = file.readline()
    if not first.strip():
        raise bad(path, "its first line is empty", "write a header: time,particle,x,y")
    separator = max(",;\t", key=first.count)
    names = _header(path, [name.strip().strip('"') for name in first.split(separator)])
    text = dict.fromkeys(LABELS, str)  # "01" stays a name and is not the number 1
    # Empty lines are read, too, so that row numbers in messages are those of the file; they are dropped
    # below. With low_memory a column may be numbers in one part of the file and text in another.
    try:
        table = pd.read_csv(
            path, sep=separator, names=names, header=0, dtype=text, skip_blank_lines=False, low_memory=False
        )
    except pd.errors.ParserError as error:  # which names the line
        raise bad(path, f"it cannot be read ({str(error).strip()})", fix) from error
    if not isinstance(table.index, pd.RangeIndex):  # pandas takes cells too many for names of the rows
        raise bad(path, f"its first row has more cells than the header, {len(names)}", fix)
    return table.dropna(how="all")


def read_parquet(path: Path) -> pd.DataFrame:
    """Columns of a parquet file; needs pyarrow."""
    try:
        from pyarrow import parquet
    except ImportError:
        raise bad(path, "reading parquet needs pyarrow", "pip install pyarrow, or save it as .csv") from None
    try:
        table = parquet.read_table(path, partitioning=None).to_pandas(ignore_metadata=True)
    except Exception as error:  # a damaged file can raise anything
        fix = "write it again, or save it as .csv"
        raise bad(path, f"it cannot be read ({_reason(error)})", fix) from error
    table = table[[name for name in table if not name.startswith("__index_level_")]]
    return table.set_axis(_header(path, list(table)), axis=1)


def _reason(error: Exception) -> str:
    """The first line of what an exception says."""
    return (str(error) or type(error).__name__).splitlines()[0]


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


def assemble(table: pd.DataFrame, path: Path, dim: int) -> Contents:
    """Arrays from the columns of a long table.

    Trajectories longer than the shortest one are cut to its length, with a note.

    Raises:
        InputError: a column is missing, a cell is no number, or rows are missing or out of order.
    """
    arrays, further = _columns(list(table), path, dim)
    if table.empty:
        fix = "write one row per frame and particle"
        raise bad(path, f"there are no rows under the header (found: {', '.join(table)})", fix)
    cells = {k: _names(path, c) if k in LABELS else _numbers(path, c) for k, c in table.items()}
    cells.setdefault("trajectory", pd.Series("0", table.index, dtype="category"))
    clock = next(iter(set(arrays) & {"times", "frames"}))
    rows, shape, notes = _in_order(pd.DataFrame(cells), arrays[clock][0], path)
    found = {k: rows[names].to_numpy().reshape(*shape, len(names)) for k, names in arrays.items()}
    for name in set(found) - {*VECTORS, "features"}:
        found[name] = found[name][..., 0]  # numbers, no vectors
    found[clock] = found[clock][..., 0]  # the same for all particles of a frame
    return Contents(found, tuple(further), notes)


def _columns(columns: list[str], path: Path, dim: int) -> tuple[dict[str, list[str]], list[str]]:
    """Names of the columns that make up each array, and of the further ones among them."""
    found = f"(found: {', '.join(columns)})"
    clock = "time" if "time" in columns else "frame"
    if clock not in columns:
        raise bad(path, f"there is no column 'time' or 'frame' {found}", "name the column of times 'time'")
    vectors = {name: [prefix + axis for axis in AXES[:dim]] for name, prefix in VECTORS.items()}
    given = {k: names for k, names in vectors.items() if k == "positions" or {*names} & {*columns}}
    for name in ("particle", *sum(given.values(), [])):
        if name not in columns:
            fix = "add it, or rename the one that holds it" + ", or set dataset.dim=2" * name.endswith("z")
            raise bad(path, f"there is no column {name!r} {found}", fix)
    for name in (name for name in ("z", "vz", "az") if dim == 2 and name in columns):
        problem = f"column {name!r} is a third dimension but dataset.dim=2"
        raise bad(path, problem, "set dataset.dim=3, or remove the column")
    given |= {ALIASES[name]: [name] for name in (clock, "mass", "charge") if name in columns}
    used = {"frame", *LABELS, *sum(given.values(), [])}
    further = [name for name in columns if name not in used]
    return given | ({"features": further} if further else {}), further


def _numbers(path: Path, column: pd.Series) -> pd.Series:
    """The column as finite numbers; pandas leaves it as text where one cell is none."""
    plain = column.dtype.kind in "fiu"
    values = (column if plain else pd.to_numeric(column.astype(str), errors="coerce")).astype(np.float64)
    wrong = ~np.isfinite(values)
    if wrong.any():
        row = wrong.idxmax()
        held = repr(column[row]) if isinstance(column[row], str) else str(column[row])
        problem = f"column {column.name!r} holds {held:.60} in row {row + 1} below the header"
        fix = "give a finite number in every row (an empty cell is nan): interpolate, or cut frames out"
        raise bad(path, problem, f"{fix}, or remove the column")
    return values


def _names(path: Path, column: pd.Series) -> pd.Series:
    """Names of particles or trajectories as categories, sorted as numbers where all of them are numbers."""
    names = column.astype(str).str.strip()
    if names.isna().any():
        where = f"in row {names.isna().idxmax() + 1} below the header"
        raise bad(path, f"column {column.name!r} is empty or nan {where}", "give a number or a name")
    order = sorted(names.unique())
    with contextlib.suppress(ValueError):
        order = sorted(order, key=float)
    return names.astype(pd.CategoricalDtype(order))


def _in_order(
    table: pd.DataFrame, clock: str, path: Path
) -> tuple[pd.DataFrame, tuple[int, int, int], tuple[str, ...]]:
    """Rows sorted by trajectory, time and particle; (S, T, n) of them; a note if some were cut off."""
    tracks = table.groupby(LABELS, observed=True)
    back = tracks[clock].diff() <= 0
    if back.any():
        row = back.idxmax()
        before, now = tracks[clock].shift()[row], table[clock][row]
        problem = f"particle {table['particle'][row]} goes from {clock} {before:g} to {now:g}"
        fix = "sort the rows by time, remove repeated ones, or tell runs apart in a column 'run'"
        raise bad(path, f"{problem} in row {row + 1} below the header", fix)

    fix = "cut out frames or tracks until the same particles are in every frame"
    many = table.groupby("trajectory", observed=True)["particle"].nunique()
    here = table.groupby(["trajectory", clock], observed=True).size()
    lacking = here.lt(many, level="trajectory")  # no particle is in a frame twice, since times ascend
    if lacking.any():
        run, when = lacking.idxmax()
        own = table[table["trajectory"] == run]
        lost = min({*own["particle"]} - {*own["particle"][own[clock] == when]})
        raise bad(path, f"trajectory {run}, {clock} {when:g} lacks particle {lost} of other frames", fix)
    other = many != many.iloc[0]
    if other.any():
        run = other.idxmax()
        problem = f"trajectory {run} has {many[run]} particles and trajectory {many.index[0]} {many.iloc[0]}"
        raise bad(path, problem, fix)

    shortest, longest = tracks.size().min(), tracks.size().max()
    note = f"trajectories have {shortest} to {longest} frames; all are cut to the first {shortest}"
    rows = table[tracks.cumcount() < shortest].sort_values(["trajectory", clock, "particle"])
    return rows, (len(many), shortest, many.iloc[0]), (note,) if shortest < longest else ()


def read_npz(path: Path) -> dict[str, Any]:
    """Arrays of a NumPy archive; pickled objects are refused, since loading one can run any code."""
    arrays: dict[str, Any] = {}
    name = "the archive"
    try:
        with np.load(path, allow_pickle=False) as archive:
            for name in archive.files:
                arrays[name] = archive[name]
    except Exception as error:  # a damaged file can raise anything
        pickled = "is damaged or holds pickled Python objects, which are refused"
        problem = pickled if "allow_pickle" in str(error) else f"cannot be read ({error})"
        fix = "save plain arrays of numbers, with np.savez(path, positions=...)"
        raise bad(path, f"{name!r} {problem}", fix) from error
    return arrays


def read_pt(path: Path) -> dict[str, Any]:
    """Tensors of a torch file, as arrays; pickled objects are refused."""
    fix = "save a dict of tensors: torch.save({'positions': ...}, path)"
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise bad(path, "it is damaged or holds pickled Python objects, which are refused", fix) from error
    except Exception as error:  # a damaged file can raise anything
        raise bad(path, f"it cannot be read ({_reason(error)})", fix) from error
    if not isinstance(content, dict):
        raise bad(path, f"it holds a {type(content).__name__}", fix)
    for name, value in content.items():
        if not isinstance(value, torch.Tensor | int | float):
            raise bad(path, f"{name!r} holds a {type(value).__name__}", fix)
    return {str(name): _array(value) for name, value in content.items()}


def _array(value: torch.Tensor | int | float) -> Any:
    if not isinstance(value, torch.Tensor):
        return np.asarray(value)  # in double precision, which torch would not take for a number
    value = value.detach()
    return (value.double() if value.is_floating_point() else value).numpy()


READERS: dict[str, Callable[[Path], Any]] = {
    ".npz": read_npz,
    ".pt": read_pt,
    ".csv": read_csv,
    ".parquet": read_parquet,
}
"""What reads a file, by its ending: a dict of arrays or, of a table, a frame."""


def read(path: Path, dim: int) -> Contents:
    """Read a file of tracked particles.

    Args:
        path: a file that ends in one of `READERS`.
        dim: space dimensions D that a table must have columns for.

    Raises:
        InputError: naming the file, the array or column, what is wrong with it and the fix.
    """
    try:
        found = READERS[path.suffix.lower()](path)
        return assemble(found, path, dim) if isinstance(found, pd.DataFrame) else Contents(found)
    except (OSError, UnicodeDecodeError) as error:
        raise bad(path, f"it cannot be read ({error})", "check the file and its permissions") from error
