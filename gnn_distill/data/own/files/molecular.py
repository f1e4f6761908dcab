"""Trajectories of molecular dynamics: text dumps of LAMMPS, and (extended) XYZ through ASE.

Coordinates come inside the box, however they were written. Shape letters: F frames, R rows, D space dims.
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from gnn_distill.data.own.faults import bad
from gnn_distill.data.own.files.names import CELL, Heading, is_known
from gnn_distill.data.own.files.text import Sheet
from gnn_distill.data.own.tracks import SAME
from gnn_distill.errors import InputError
from gnn_distill.physics.variables import AXES

DUMP = "dump 1 all custom 100 tracks.lammpstrj id type x y z vx vy vz fx fy fz"
SIDES = re.compile("[pfsm]{2}")  # how LAMMPS says what the two faces across an axis are
TURNED = "turn the system so that the first vector lies along x and the second in the plane of x and y"
OF_ELEMENTS = "masses are those of the elements, in u: "
UNSAID = "the file has a box and does not say if it is periodic: taken as open (else give dataset.box)"

Array = npt.NDArray[Any]


def read_dump(path: Path) -> Sheet:
    """A text dump of LAMMPS: `ITEM:` blocks, rows in any order, scaled or unwrapped coordinates.

    TIMESTEP is the frame, so that `dataset.time_step` is the time step of the simulation.

    Raises:
        InputError: naming the line that cannot be read, or a box that cannot be used.
    """
    lines = path.read_text(encoding="utf-8").splitlines()
    starts = [k for k, line in enumerate(lines) if line.startswith("ITEM:")]
    if not starts:
        raise bad(path, "there is no line that begins with ITEM:", f"write it with LAMMPS: {DUMP}")
    steps: list[int] = []
    counts: list[int] = []
    cells: list[Array] = []
    lows: list[Array] = []
    sides: list[list[str]] = []
    rows: list[str] = []
    names: list[str] = []
    start = 0
    try:
        for start, end in zip(starts, [*starts[1:], len(lines)], strict=True):
            title, body = lines[start].split()[1:], [line for line in lines[start + 1 : end] if line.strip()]
            match title:
                case ["TIMESTEP"]:
                    steps.append(int(body[0]))
                case ["NUMBER", "OF", "ATOMS"]:
                    counts.append(int(body[0]))
                case ["BOX", "BOUNDS", *said]:
                    sides.append([side for side in said if SIDES.fullmatch(side)])
                    low, cell = _cell([[float(number) for number in line.split()] for line in body], said)
                    lows.append(low)
                    cells.append(cell)
                case ["ATOMS", *columns]:
                    names = names or columns
                    if len(body) != counts[-1] or columns != names:
                        raise ValueError(f"{len(body)} rows of {counts[-1]}, columns {' '.join(columns)}")
                    rows += body
        table = pd.read_csv(io.StringIO("\n".join(rows)), sep=r"\s+", names=names, header=None)
        if not isinstance(table.index, pd.RangeIndex) or not len(steps) == len(counts) == len(cells):
            raise ValueError("a row has too many cells, or a frame has no time, number or box")
    except InputError:
        raise
    except (ValueError, IndexError) as error:
        fix = f"write it again, with the same columns in all frames: {DUMP}"
        raise bad(path, f"the block at line {start + 1} cannot be read ({error})", fix) from error
    of, periodic = np.repeat(np.arange(len(steps)), counts), [side == "pp" for side in sides[0]]
    check_sides(path, [[side == "pp" for side in frame] for frame in sides])
    low = np.array(lows)[of]
    for axis, x in _coordinates(table, low, np.array(cells)[of]).items():
        table[axis] = x
    other = [f"{axis}{end}" for axis in AXES for end in ("s", "u", "su")] + ["ix", "iy", "iz"]
    table = table.drop(columns=other, errors="ignore").assign(frame=np.repeat(steps, counts))
    if "id" not in table:
        table["id"] = np.concatenate([np.arange(count) for count in counts])
    table, box = boxed(path, table, of, np.array(cells), periodic or [False] * 3, low)
    return Sheet(table, notes=() if periodic else (UNSAID,), box=box)


def _cell(rows: list[list[float]], said: Sequence[str]) -> tuple[Array, Array]:
    """Corner [3] and vectors [3, 3] of a box of LAMMPS: bounds, with tilts bounds of all, or vectors."""
    numbers = np.array(rows)
    if "abc" in said:
        return numbers[:, 3], numbers[:, :3]
    xy, xz, yz = numbers[:, 2] if numbers.shape[1] > 2 else np.zeros(3)
    least = np.array([min(0.0, xy, xz, xy + xz), min(0.0, yz), 0.0])
    most = np.array([max(0.0, xy, xz, xy + xz), max(0.0, yz), 0.0])
    low, high = numbers[:, 0] - least, numbers[:, 1] - most
    return low, np.diag(high - low) + np.array([[0, 0, 0], [xy, 0, 0], [xz, yz, 0]])


def check_sides(path: Path, periodic: Sequence[Sequence[bool]]) -> None:
    """Refuse boxes that are periodic in some frames and open in others; which axes are, frame by frame."""
    first, *others = [[axis for axis, wraps in zip(AXES, frame, strict=False) if wraps] for frame in periodic]
    k = next((k for k, axes in enumerate(others, 1) if axes != first), None)
    if k is not None:
        along = [", ".join(axes) or "no axis" for axes in (first, others[k - 1])]
        problem = f"frame 0 is periodic along {along[0]}, and frame {k} along {along[1]}"
        raise bad(path, problem, "cut out frames with the same box")


def _coordinates(table: pd.DataFrame, low: Array, cells: Array) -> dict[str, Array]:
    """Positions by axis, each [R], from whichever columns there are; boxes of the rows [R, 3], [R, 3, 3]."""

    def column(name: str) -> Array:
        return pd.to_numeric(table[name], errors="coerce").to_numpy(dtype=np.float64)

    found: dict[str, Array] = {}
    for end in ("s", "su", "u", ""):  # the best comes last
        names = {axis: f"{axis}{end}" for axis in AXES if f"{axis}{end}" in table}
        values = {axis: column(name) for axis, name in names.items()}
        if end.startswith("s") and values:
            s = np.stack([values.get(axis, np.zeros(len(table))) for axis in AXES], 1)
            x = low + np.einsum("rk,rkd->rd", s, cells)
            values = {axis: x[:, k] for k, axis in enumerate(AXES) if axis in values}
        found |= values
    return {axis: found[axis] for axis in AXES if axis in found}


def boxed(
    path: Path,
    table: pd.DataFrame,
    of: Array,
    cells: Array,
    periodic: Sequence[bool],
    low: Array | float = 0.0,
) -> tuple[pd.DataFrame, tuple[float | None, ...] | None]:
    """A table with what is known of its box.

    Args:
        path: the file, for messages.
        table: the rows; positions along edges that are always the same come inside the box.
        of: number of the frame of each row.
        cells: vectors of the box of each frame, shape [F, 3, 3].
        periodic: along which of them space goes round.
        low: corner of the box of each row, shape [R, 3].

    Returns:
        The table, and edges of the box, None along open axes, if it has right angles and stays as it is. Else
        columns `CELL`, and None.

    Raises:
        InputError: the vectors are none of a right-handed box whose first lies along x, the second in the
            plane of x and y.
    """
    cells = cells * np.array(periodic)[:, None]
    for k in np.flatnonzero(periodic):
        wrong = ~(cells[:, k, k] > 0) | (np.abs(cells[:, k, k + 1 :]) > SAME * np.abs(cells).max()).any(1)
        if wrong.any():
            frame = int(np.flatnonzero(wrong)[0])
            problem = f"vector {k + 1} of the box of frame {frame} is {cells[frame, k].tolist()}"
            raise bad(path, problem, TURNED)
    if not np.any(periodic):
        return table, None
    still = np.allclose(cells, cells[0], rtol=SAME, atol=SAME * np.abs(cells).max())
    if still and np.allclose(cells[0], np.diag(np.diagonal(cells[0])), atol=SAME * np.abs(cells).max()):
        box = tuple(float(cells[0, k, k]) if wraps else None for k, wraps in enumerate(periodic))
        corner = np.broadcast_to(low, (len(of), 3))
        inside = {
            axis: corner[:, k] + np.mod(table[axis] - corner[:, k], edge)
            for k, (axis, edge) in enumerate(zip(AXES, box, strict=True))
            if edge is not None and axis in table
        }
        return table.assign(**inside), box
    lower = {
        name: cells[of, k, j]
        for name, (k, j) in zip(CELL, zip(*np.tril_indices(3), strict=True), strict=True)
    }
    return table.assign(**lower), None


def read_xyz(path: Path) -> Sheet:
    """A trajectory in XYZ or extended XYZ; needs ASE.

    Masses are those of the elements where there are several and the file says none.

    Raises:
        InputError: the file cannot be read, or its box cannot be used.
    """
    try:
        from ase.io import iread
    except ImportError:
        raise bad(path, "reading XYZ needs ASE", "pip install 'gnn_distill[md]', or save a table") from None
    tables, cells, sides = [], [], []
    try:
        for k, atoms in enumerate(iread(path, index=":", format="extxyz")):
            tables.append(_frame(atoms, k))
            cells.append(np.array(atoms.cell))
            sides.append(atoms.pbc & atoms.cell.any(1))
    except Exception as error:  # a damaged file can raise anything
        reason = (str(error) or type(error).__name__).splitlines()[0]
        problem = f"frame {len(tables)} cannot be read ({reason})"
        raise bad(path, problem, "write it again, or save a table") from error
    if not tables:
        raise bad(path, "there are no frames in it", "write it again, or save a table")
    check_sides(path, sides)
    table = pd.concat(tables, ignore_index=True)
    of = np.repeat(np.arange(len(tables)), [len(part) for part in tables])
    table, box = boxed(path, table, of, np.array(cells), [bool(wraps) for wraps in sides[0]])
    notes = []
    masses = {} if "mass" in table else masses_of(table["element"].unique())
    if len(masses) > 1:
        table["mass"] = table["element"].map(masses)
        notes.append(OF_ELEMENTS + ", ".join(f"{name} {mass:g}" for name, mass in masses.items()))
    return Sheet(table, notes=tuple(notes), box=box)


def masses_of(elements: Iterable[str]) -> dict[str, float]:
    """Masses of the elements, in u; none where one of them is no element. Needs ASE."""
    from ase.data import atomic_masses, atomic_numbers

    known = {name: atomic_numbers.get(name, 0) for name in elements}
    return {name: float(atomic_masses[k]) for name, k in known.items()} if all(known.values()) else {}


def _frame(atoms: Any, number: int) -> pd.DataFrame:
    """Atoms of one frame as rows."""
    columns: dict[str, Any] = {"id": np.arange(len(atoms)), "frame": number}
    found: Mapping[str, Any] = {k: v for k, v in atoms.arrays.items() if k not in ("numbers", "positions")}
    results = {} if atoms.calc is None else atoms.calc.results
    found = {**found, "force": results["forces"]} if "forces" in results else found
    for name, value in found.items():
        if value.ndim == 2 and value.shape[1] == 3:
            heads = [Heading.of(f"{name}_{axis}").name for axis in AXES]
            columns |= dict(zip(heads, value.T, strict=True)) if is_known(heads[0]) else {}
        elif value.ndim == 1:
            columns[{"initial_charges": "charge", "masses": "mass"}.get(name, name)] = value
    if "momenta" in found:
        columns |= dict(zip(("vx", "vy", "vz"), atoms.get_velocities().T, strict=True))
    for name, value in atoms.info.items():
        plain = name.lower()
        if plain in ("time", "step", "timestep", "frame") and isinstance(value, int | float | np.number):
            columns["time" if plain == "time" else "frame"] = value
    columns |= dict(zip(AXES, atoms.positions.T, strict=True))
    return pd.DataFrame(columns | {"element": atoms.get_chemical_symbols()})
