"""What each column of a table is used as: coordinates, the answer, properties, kinds, or nothing.

Nothing is an input that was not known by its name or asked for.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd

from gnn_distill.data.own.faults import bad
from gnn_distill.data.own.files.names import CELL, HEADING, LABELS, Heading
from gnn_distill.data.own.files.tables import Named, labels, numbers
from gnn_distill.errors import InputError
from gnn_distill.physics.variables import AXES

VECTORS = {"positions": "", "velocities": "v", "accelerations": "a"}
"""Arrays of vectors, and what stands before the axis in the names of their columns."""
MOST_KINDS = 12
QUANTITIES = {"length": ("x", "y", "z"), "time": ("time",), "mass": ("mass",), "charge": ("charge",)}


@dataclass(frozen=True)
class Wanted:
    """What the user says about a file.

    Attributes:
        dim: space dimensions, or None: as many as the file has.
        features: headings of further columns that are inputs.
        time_step: time between frames.
        units: of length, time, mass, charge, as text.
        topology: file that says what the atoms of a binary trajectory are.
    """

    dim: int | None = None
    features: tuple[str, ...] = ()
    time_step: float | None = None
    units: Mapping[str, str] = field(default_factory=dict)
    topology: str | None = None


@dataclass(frozen=True)
class Table:
    """Rows of particles, one for each sighting, and what their columns are.

    Attributes:
        rows: columns `trajectory` and `particle` (categories), `time` or `frame`, `x y [z]`, as far as they
            are there `vx vy [vz]`, `ax ay [az]`, `mass`, `charge`, and the features; numbers, NaN where a
            cell is empty. The index is the row's number below the header of its file.
        dim: space dimensions.
        features: names of the further inputs.
        kinds: labels of the kinds of particles, if there are several.
        left_out: headings of columns that are not used.
        forces: whether the accelerations are forces of the file, over the mass.
        units: of length, time, mass and charge, as far as they are known.
        notes, doubts: sentences for the report.
        box: edges of the periodic box, where the file says them.
    """

    rows: pd.DataFrame
    dim: int
    features: tuple[str, ...] = ()
    kinds: tuple[str, ...] = ()
    left_out: tuple[str, ...] = ()
    forces: bool = False
    units: Mapping[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    doubts: tuple[str, ...] = ()
    box: tuple[float | None, ...] | None = None

    @property
    def clock(self) -> str:
        """The column of times, or of frame numbers."""
        return "time" if "time" in self.rows else "frame"


def understood(given: Named, path: Path, wanted: Wanted) -> Table:
    """Say what each column of a table is used as.

    Raises:
        InputError: a column is missing, a cell is no number, or an option contradicts the file.
    """
    rows, found = given.rows, f"(found: {', '.join(map(str, given.rows))})"
    clock = "time" if "time" in rows else "frame"
    if clock not in rows:
        raise bad(path, f"there is no column 'time' or 'frame' {found}", "name the column of times 'time'")
    if "particle" not in rows:
        fix = "add it, or rename the one that holds it"
        raise bad(path, f"there is no column 'particle' {found}", fix)
    cells = {name: labels(rows, name, path) for name in LABELS if name in rows}
    cells.setdefault("trajectory", pd.Series("0", rows.index, dtype="category"))
    cells[clock] = numbers(rows, clock, path)
    notes = list(given.notes)
    axes, said = _axes(rows, cells, path, wanted.dim)
    notes += said
    for prefix in ("", "v", "a", "f"):
        names = [prefix + axis for axis in axes]
        if prefix == "" or {*names} & {*rows}:
            cells |= {name: _component(rows, name, found, path) for name in names}
    sides = CELL[: len(axes) * (len(axes) + 1) // 2]
    cells |= {name: numbers(rows, name, path) for name in ("mass", "charge", *sides) if name in rows}
    notes += _answers(cells, axes)
    asked = _asked(given, wanted.features)
    features, kinds, said = _features(rows, asked, path)
    notes += said
    used = {*cells, *CELL, "kind", "frame", *asked, *(prefix + axis for prefix in "vaf" for axis in axes)}
    used |= {name for name in features if name in rows}
    table = pd.DataFrame(cells | features)
    left = {name: given.headings.get(name, name) for name in rows if name not in used}
    third = ("z", "vz", "az", "fz") if len(axes) == 2 else ()  # of which a word was said
    notes += _left_out(rows, table, {name: text for name, text in left.items() if name not in third})
    units = {
        quantity: given.units[name]
        for quantity, names in QUANTITIES.items()
        for name in names
        if name in given.units
    }
    doubts = _mixed_units(given.units)
    units |= wanted.units
    box = given.box and given.box[: len(axes)]
    box = box if box and any(edge is not None for edge in box) else None
    forces = "ax" in cells and "ax" not in rows
    used_as = (*features,), kinds, (*left.values(),), forces
    return Table(table, len(axes), *used_as, units, (*notes,), (*doubts,), box)


def _component(rows: pd.DataFrame, name: str, found: str, path: Path) -> pd.Series:
    if name not in rows:
        fix = "add it, or rename the one that holds it" + ", or set dataset.dim=2" * name.endswith("z")
        raise bad(path, f"there is no column {name!r} {found}", fix)
    return numbers(rows, name, path)


def _axes(
    rows: pd.DataFrame, cells: Mapping[str, pd.Series], path: Path, dim: int | None
) -> tuple[Sequence[str], list[str]]:
    """The axes of space, and a word where there is a third one that is not used."""
    if "z" not in rows:
        third = (name for name in ("vz", "az") if name in rows)
        moving = next((name for name in third if numbers(rows, name, path).any()), None)
        if dim == 3 or moving is None:
            return AXES[: dim or 2], []
        problem = f"column {moving!r} is a third dimension and there is no column 'z'"
        raise bad(path, problem, "add the column z, or remove this one")
    if dim == 3:
        return AXES, []
    if dim == 2:
        return AXES[:2], ["column z is left out, since dataset.dim=2"]
    height = numbers(rows, "z", path)
    track = [cells["trajectory"], cells["particle"]]
    seen = height.groupby(track, observed=True)
    steady = bool((seen.nunique() <= 1).all() and seen.size().max() > 1)
    if height.nunique() <= 1:
        return AXES[:2], ["z is the same in all rows: two dimensions"]
    if steady:
        word = "z never changes for any particle, as a height of a person: two dimensions"
        return AXES[:2], [f"{word} (dataset.dim=3 keeps it as a coordinate)"]
    return AXES, []


def _answers(cells: dict[str, pd.Series], axes: Sequence[str]) -> list[str]:
    """Make accelerations of forces: what is to be explained is no input."""
    if "fx" not in cells:
        return []
    forces = [cells.pop("f" + axis) for axis in axes]
    names = ", ".join("f" + axis for axis in axes)
    if "ax" in cells:
        return [f"{names} are left out, since the file has accelerations"]
    mass = cells.get("mass")
    for axis, force in zip(axes, forces, strict=True):
        cells["a" + axis] = force if mass is None else force / mass
    over = "there are no masses: they are" if mass is None else "over the mass they are"
    return [f"{names} are forces, and never an input; {over} the accelerations that are to be explained"]


def _asked(given: Named, features: Sequence[str]) -> list[str]:
    """Columns that the user names, by heading, with or without its unit."""
    found = []
    for feature in features:
        name = Heading.of(str(feature)).name
        heading = next((k for k, v in given.headings.items() if feature in (k, v)), name)
        if heading not in given.rows:
            known = ", ".join(map(str, given.rows))
            raise InputError("dataset.features", list(features), f"there is no column {feature!r}: {known}")
        found.append(heading)
    return found


def _features(
    rows: pd.DataFrame, asked: Sequence[str], path: Path
) -> tuple[dict[str, pd.Series], tuple[str, ...], list[str]]:
    """Further inputs: what was asked for, where a particle looks, and a switch for each kind."""
    cells: dict[str, pd.Series] = {}
    notes: list[str] = []
    kinds: tuple[str, ...] = ()
    for name in (str(name) for name in rows):
        if name == "kind" or (name in asked and rows[name].dtype.kind not in "fiub"):
            switches, said = _switches(labels(rows, name, path), name)
            cells, notes = cells | switches, notes + said
            kinds = (*kinds, *switches)
        elif name in asked or HEADING.fullmatch(name):
            cells[name] = numbers(rows, name, path)
    plain = [name for name in cells if name not in kinds]
    if plain:
        notes.append(f"further columns become inputs of every particle: {', '.join(plain)}")
    return cells, kinds, notes


def _switches(column: pd.Series, name: str) -> tuple[dict[str, pd.Series], list[str]]:
    """A column of labels as one of zeros and ones for each label; none where all are the same."""
    values = [str(value) for value in column.cat.categories]
    if len(values) == 1:
        return {}, []
    if len(values) > MOST_KINDS:
        return {}, [f"column {name} has {len(values)} different labels, too many for kinds: left out"]
    names = [f"{name}_{re.sub(r'[^0-9A-Za-z]+', '_', value).strip('_')}" for value in values]
    if len({*names}) < len(names):
        names = [f"{name}_{k}" for k in range(len(values))]
    made = {n: (column == v).astype(np.float64) for n, v in zip(names, values, strict=True)}
    return made, [f"particles are of {len(values)} kinds, {', '.join(values)}: inputs {', '.join(names)}"]


def _left_out(rows: pd.DataFrame, table: pd.DataFrame, idle: Mapping[str, str]) -> list[str]:
    """A sentence about columns that are not used, {name: heading}, and which of them may be properties."""
    if not idle:
        return []
    steady: list[str] = []
    other: list[str] = []
    track = [table["trajectory"], table["particle"]]
    for name, heading in idle.items():
        column = rows[name]
        varied = column.nunique() > 1 and column.dtype.kind in "fiu"
        constant = varied and (column.groupby(track, observed=True).nunique() <= 1).all()
        (steady if constant else other).append(heading)
    words = [", ".join(other)] if other else []
    if steady:
        words.append(f"{', '.join(steady)} (the same in all frames: if these are properties that "
                     f"matter, add dataset.features=[{','.join(steady)}])")  # fmt: skip
    return [f"columns that are left out: {'; '.join(words)}"]


def _mixed_units(units: Mapping[str, str]) -> list[str]:
    """A doubt where coordinates have several units."""
    found = {units[axis] for axis in AXES[:2] if axis in units}
    said = f"Columns x and y are in different units, {' and '.join(sorted(found))}"
    return [said] if len(found) > 1 else []
