"""From a table as a file has it to one whose columns are named as they are in this package.

Rows: one for each particle and frame, or, where columns are called x1, y1, x2, …, one for each frame.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pandas as pd

from gnn_distill.data.own.faults import bad
from gnn_distill.data.own.files.names import CELL, MEANINGS, SPOTS, Heading, meanings
from gnn_distill.data.own.files.text import Sheet
from gnn_distill.physics.variables import AXES

EXPLAINING = 3  # rows below the header in which TrackMate says it again in other words
_RATE = re.compile(r"frame\s*-?rate\D{0,5}([\d.]+)|fps\s*[:=]\s*([\d.]+)|([\d.]+)\s*fps", re.IGNORECASE)
_WIDE = re.compile(r"([xyz])_?(\d+)")


@dataclass(frozen=True)
class Named:
    """Rows of one file with columns `trajectory particle time frame x y z vx … mass charge kind` and others.

    Attributes:
        rows: those of these columns that the file has, and its others, by names in lower case.
        headings: heading in the file of each column.
        units: of each column, where the heading says it.
        notes: what was done, in sentences for the report.
        box: edges of the periodic box, where the file says them.
    """

    rows: pd.DataFrame
    headings: Mapping[str, str] = field(default_factory=dict)
    units: Mapping[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    box: tuple[float | None, ...] | None = None

    @property
    def periodic(self) -> bool:
        """Whether there is a box, its edges or columns `CELL`."""
        return self.box is not None or CELL[0] in self.rows

    def in_cells(self) -> Named:
        """The same with columns `CELL` in the place of edges that are the same in all frames."""
        if self.box is None:
            return self
        edges = dict(zip(("cell_lx", "cell_ly", "cell_lz"), self.box, strict=False))
        cell = {name: edges.get(name) or 0.0 for name in CELL}
        return replace(self, rows=self.rows.assign(**cell), box=None)


def read_parquet(path: Path) -> Sheet:
    """Columns of a parquet file; needs pyarrow."""
    try:
        from pyarrow import parquet
    except ImportError:
        raise bad(path, "reading parquet needs pyarrow", "pip install pyarrow, or save it as .csv") from None
    try:
        table = parquet.read_table(path, partitioning=None).to_pandas(ignore_metadata=True)
    except Exception as error:  # a damaged file can raise anything
        problem = f"it cannot be read ({(str(error) or type(error).__name__).splitlines()[0]})"
        raise bad(path, problem, "write it again, or save it as .csv") from error
    return Sheet(table[[name for name in table if not str(name).startswith("__index_level_")]])


def named(sheet: Sheet, path: Path, time_step: float | None) -> Named:
    """The columns of a table by the names that they have in this package.

    Args:
        sheet: the table.
        path: its file, for messages.
        time_step: time between frames that the user gave, which goes before a frame rate in a comment.

    Raises:
        InputError: a column has no name, or a name is there twice, or there are no rows.
    """
    rows, notes = sheet.rows, list(sheet.notes)
    rows = rows.loc[
        :, [bool(str(name).strip()) or rows.iloc[:, k].notna().any() for k, name in enumerate(rows)]
    ]
    headings = [Heading.of(str(name)) for name in rows]
    if len(headings) > 1 and headings[0].name in ("", "unnamed:_0"):
        rows, headings = rows.iloc[:, 1:], headings[1:]
        notes.append("the first column has no name and is taken for row numbers: left out")
    names = [heading.name for heading in headings]
    if "" in names:
        fix = "name it, or write the file without row numbers (pandas: index=False)"
        raise bad(path, f"column {names.index('') + 1} has no name", fix)
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise bad(path, f"column {twice!r} is there twice", "keep one of them")
    rows = rows.set_axis(names, axis=1)
    if rows.empty:
        fix = "write one row per frame and particle"
        raise bad(path, f"there are no rows under the header (found: {', '.join(names)})", fix)
    known, units = meanings(names), {heading.name: heading.unit for heading in headings if heading.unit}
    rows, more = _tracked(rows, known)
    units |= more
    if more or len(rows) < len(sheet.rows):
        notes.append("rows that explain the header or belong to no track are left out")
    if known.get("mass") and SPOTS & {*names}:
        del known["mass"]
        rows = rows.drop(columns="mass")
        notes.append("mass is the brightness of a spot, as trackpy calls it, and no mass: left out")
    wide = sorted({f[2] for name in names if "x" not in names and (f := _WIDE.fullmatch(name))}, key=int)
    if "particle" not in known.values() and len(wide) < 2:
        words = [name for name in names if name not in known and rows[name].dtype.kind not in "fiub"]
        known |= {words[0]: "particle"} if len(words) == 1 else {}
    guessed = (k for k, meaning in known.items() if meaning == "particle" and k not in MEANINGS[meaning])
    notes += [f"column {name} is taken for the particle" for name in guessed]
    rows = rows.rename(columns=known)
    units = {known.get(name, name): unit for name, unit in units.items()}
    texts = {known.get(heading.name, heading.name): heading.text for heading in headings}
    if "particle" not in rows and len(wide) >= 2:
        rows = _long(rows, wide, path)
    rows, said = _timed(rows, sheet.comments, time_step)
    if said:
        units["time"] = "s"
    return Named(rows, texts, units, (*notes, *said), sheet.box)


def _tracked(rows: pd.DataFrame, known: Mapping[str, str]) -> tuple[pd.DataFrame, dict[str, str]]:
    """Rows of tracks alone, and units: below the header TrackMate repeats it, and lists stray spots."""
    if "track_id" not in rows or "x" not in rows or known.get("track_id") != "particle":
        return rows, {}
    units: dict[str, str] = {}
    for _ in range(EXPLAINING):
        if not np.isnan(pd.to_numeric(rows["x"].astype(str).head(1), errors="coerce")).any():
            break
        cells = {str(k): re.fullmatch(r"\((.+)\)", str(cell)) for k, cell in rows.iloc[0].items()}
        units, rows = {k: cell[1] for k, cell in cells.items() if cell}, rows.iloc[1:]
    stray = rows["track_id"].isna() | (rows["track_id"].astype(str).str.lower() == "none")
    return rows[~stray], units


def _long(rows: pd.DataFrame, particles: Sequence[str], path: Path) -> pd.DataFrame:
    """One row for each particle and frame, from columns x1, y1, x2, y2, … and others so numbered."""
    ends = re.compile(rf"(.*[^\d_])_?({'|'.join(particles)})")
    places = {str(name): found for name in rows if (found := ends.fullmatch(str(name)))}
    shared = rows[[name for name in rows if name not in places]]
    if not {"time", "frame"} & {*shared}:
        shared = shared.assign(frame=np.arange(len(rows)))
    parts = []
    for number in particles:
        own = [name for name, found in places.items() if found[2] == number]
        bare = [Heading.of(places[name][1]).name for name in own]
        means = meanings(bare)
        bare = [means.get(name, name) for name in bare]
        if len({*bare, *shared, "particle"}) < len(bare) + len([*shared]) + 1:
            problem = f"several columns mean the same of particle {number}: {', '.join(own)}"
            raise bad(path, problem, "keep one of them")
        parts.append(shared.assign(particle=number).join(rows[own].set_axis(bare, axis=1)))
    return pd.concat(parts, keys=particles)


def _timed(
    rows: pd.DataFrame, comments: tuple[str, ...], time_step: float | None
) -> tuple[pd.DataFrame, list[str]]:
    """Rows with a time where frames and a frame rate, of a comment, are known."""
    if {"time", "frame"} <= {*rows} and rows["time"].nunique() == 1 < rows["frame"].nunique():
        rows = rows.drop(columns="time")
    found = next((match for line in comments if (match := _RATE.search(line))), None)
    if found is None or time_step is not None or "time" in rows or "frame" not in rows:
        return rows, []
    with contextlib.suppress(ValueError, ZeroDivisionError):
        rate = float(next(group for group in found.groups() if group))
        time = pd.to_numeric(rows["frame"], errors="coerce") / rate
        if not time.isna().any():
            return rows.assign(time=time), [f"frames are 1/{rate:g} s apart, as a comment says"]
    return rows, []


def joined(parts: Mapping[str, Named]) -> Named:
    """The rows of several files, each a run of its own.

    Args:
        parts: by what each run is called.

    Returns:
        One table; where there are several files, column `trajectory` names the file, and the run in it.
    """
    if len(parts) == 1:
        return next(iter(parts.values()))
    tables = []
    for name, part in parts.items():
        inside = part.rows.get("trajectory")
        run = name if inside is None else name + "/" + inside.astype(str)
        tables.append(part.rows.assign(trajectory=run))
    headings, units = ({k: v for p in parts.values() for k, v in get(p).items()} for get in (_texts, _units))
    notes = tuple(dict.fromkeys(note for part in parts.values() for note in part.notes))
    several = f"{len(parts)} files, each a run of its own"
    box = next(iter(parts.values())).box
    return Named(pd.concat(tables, keys=range(len(tables))), headings, units, (several, *notes), box)


def _texts(part: Named) -> Mapping[str, str]:
    return part.headings


def _units(part: Named) -> Mapping[str, str]:
    return part.units


def axes_of(rows: pd.DataFrame) -> list[str]:
    """The axes that there are columns for."""
    return [axis for axis in AXES if axis in rows]


def numbers(rows: pd.DataFrame, name: str, path: Path) -> pd.Series:
    """A column as numbers, NaN where a cell is empty.

    Raises:
        InputError: naming the first cell that is none.
    """
    column = rows[name]
    if column.dtype.kind in "fiu":
        return column.astype(np.float64)
    values = pd.to_numeric(column.astype(str), errors="coerce").astype(np.float64)
    wrong = (values.isna() & column.notna()).to_numpy() | (column.dtype.kind == "b")
    if wrong.any():
        raise wrong_cell(rows, name, int(np.flatnonzero(wrong)[0]), path)
    return values


def where(rows: pd.DataFrame, k: int) -> str:
    """Where the `k`-th of these rows stands in its file."""
    number = rows.index[k]
    if not isinstance(number, tuple):
        return f"in row {number + 1} below the header"
    run = f" of run {rows['trajectory'].iloc[k]}" if "trajectory" in rows else ""
    return f"in row {number[-1] + 1} below the header{run}"


def wrong_cell(rows: pd.DataFrame, name: str, k: int, path: Path) -> Exception:
    """The error about a cell in the `k`-th of these rows that is no finite number."""
    value = rows[name].iloc[k]
    held = repr(value) if isinstance(value, str) else str(value)
    problem = f"column {name!r} holds {held:.60} {where(rows, k)}"
    fix = "give a finite number in every row (an empty cell is nan): interpolate, or cut frames out"
    return bad(path, problem, f"{fix}, or remove the column")


def labels(rows: pd.DataFrame, name: str, path: Path) -> pd.Series:
    """Names of particles or trajectories as categories, sorted as numbers where all of them are numbers."""
    column = rows[name]
    names = column.astype(str).str.strip()
    empty = (column.isna() | names.isna()).to_numpy()
    if empty.any():
        place = where(rows, int(np.flatnonzero(empty)[0]))
        raise bad(path, f"column {name!r} is empty or nan {place}", "give a number or a name")
    order = sorted(names.unique())
    with contextlib.suppress(ValueError):
        order = sorted(order, key=float)
    return names.astype(pd.CategoricalDtype(order))
