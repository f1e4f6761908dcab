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

from gnn_distill.data.own.files.names import Heading, is_known
from gnn_distill.data.own.files.text import Sheet
from gnn_distill.data.own.tracks import bad
from gnn_distill.errors import InputError
from gnn_distill.physics.variables import AXES

TILTS = ("xy", "xz", "yz")
SAME = 1e-6  # of an edge, by which a box may change
DUMP = "dump 1 all custom 100 tracks.lammpstrj id type x y z vx vy vz fx fy fz"
SIDES = re.compile("[pfsm]{2}")  # how LAMMPS says what the two faces across an axis are
RIGHT = "only boxes with right angles, along the axes, can be read: simulate in one"
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
    bounds: list[list[list[float]]] = []
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
                    cells = [[float(cell) for cell in line.split()] for line in body]
                    _check_tilt(path, "abc" in said, [row[2:] for row in cells], len(bounds))
                    sides.append([side for side in said if SIDES.fullmatch(side)])
                    bounds.append([row[:2] for row in cells])
                case ["ATOMS", *columns]:
                    names = names or columns
                    if len(body) != counts[-1] or columns != names:
                        raise ValueError(f"{len(body)} rows of {counts[-1]}, columns {' '.join(columns)}")
                    rows += body
        table = pd.read_csv(io.StringIO("\n".join(rows)), sep=r"\s+", names=names, header=None)
        box = np.array(bounds)
        if not isinstance(table.index, pd.RangeIndex) or not len(steps) == len(counts) == len(box):
            raise ValueError("a row has too many cells, or a frame has no time, number or box")
    except InputError:
        raise
    except (ValueError, IndexError) as error:
        fix = f"write it again, with the same columns in all frames: {DUMP}"
        raise bad(path, f"the block at line {start + 1} cannot be read ({error})", fix) from error
    of, periodic = np.repeat(np.arange(len(steps)), counts), [side == "pp" for side in sides[0]]
    check_sides(path, [[side == "pp" for side in frame] for frame in sides])
    edges = box[:, :, 1] - box[:, :, 0]
    for k, axis in enumerate(AXES):
        low, edge = box[of, k, 0], edges[of, k]
        x = _coordinate(table, axis, low, edge)
        if x is not None:
            inside = periodic[k : k + 1] == [True]
            table[axis] = low + np.mod(x - low, edge) if inside else x
    other = [f"{axis}{end}" for axis in AXES for end in ("s", "u", "su")] + ["ix", "iy", "iz"]
    table = table.drop(columns=other, errors="ignore").assign(frame=np.repeat(steps, counts))
    if "id" not in table:
        table["id"] = np.concatenate([np.arange(count) for count in counts])
    return Sheet(table, notes=() if periodic else (UNSAID,), box=edges_of_box(path, edges, periodic))


def _check_tilt(path: Path, general: bool, tilts: Sequence[Sequence[float]], frame: int) -> None:
    """Refuse boxes whose edges are not along the axes.

    Args:
        path: the file.
        general: whether edges are given as vectors.
        tilts: what stands after the bounds, axis by axis: xy, xz and yz.
        frame: number of the frame.
    """
    if general:
        raise bad(path, f"the box of frame {frame} is a general, tilted one", RIGHT)
    tilt = [f"{name} = {cell:g}" for name, row in zip(TILTS, tilts, strict=False) for cell in row if cell]
    if tilt:
        raise bad(path, f"the box of frame {frame} is tilted ({', '.join(tilt)})", RIGHT)


def check_sides(path: Path, periodic: Sequence[Sequence[bool]]) -> None:
    """Refuse boxes that are periodic in some frames and open in others; which axes are, frame by frame."""
    first, *others = [[axis for axis, wraps in zip(AXES, frame, strict=False) if wraps] for frame in periodic]
    k = next((k for k, axes in enumerate(others, 1) if axes != first), None)
    if k is not None:
        along = [", ".join(axes) or "no axis" for axes in (first, others[k - 1])]
        problem = f"frame 0 is periodic along {along[0]}, and frame {k} along {along[1]}"
        raise bad(path, problem, "cut out frames with the same box")


def _coordinate(table: pd.DataFrame, axis: str, low: Array, edge: Array) -> Array | None:
    """Positions [R] along an axis, by whichever columns there are."""
    for name, scaled in ((axis, False), (f"{axis}u", False), (f"{axis}s", True), (f"{axis}su", True)):
        if name in table:
            values = pd.to_numeric(table[name], errors="coerce").to_numpy(dtype=np.float64)
            return low + edge * values if scaled else values
    return None


def edges_of_box(path: Path, edges: Array, periodic: Sequence[bool]) -> tuple[float | None, ...] | None:
    """Edges of the box from those of all frames [F, D]; None along open axes.

    Raises:
        InputError: the box changes in time.
    """
    found = [float(edges[0, k]) if wraps else None for k, wraps in enumerate(periodic)]
    for k, edge in enumerate(found):
        if edge is not None and not edge > 0:
            raise bad(path, f"the edge of the box along {AXES[k]} is {edge:g}", "write the box as it was")
        if edge is not None and not np.allclose(edges[:, k], edge, rtol=SAME, atol=0.0):
            span = f"{edges[:, k].min():.6g} to {edges[:, k].max():.6g}"
            problem = f"the box changes in time ({span} along {AXES[k]})"
            raise bad(path, problem, "simulate at constant volume, or cut out frames with the same box")
    return None if all(edge is None for edge in found) else tuple(found)


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
    periodic, edges = sides[0], _right_edges(path, np.array(cells), sides[0])
    table = pd.concat(tables, ignore_index=True)
    for k, axis in enumerate(AXES):
        if periodic[k]:
            table[axis] = np.mod(table[axis], edges[0, k])
    notes = []
    masses = {} if "mass" in table else masses_of(table["element"].unique())
    if len(masses) > 1:
        table["mass"] = table["element"].map(masses)
        notes.append(OF_ELEMENTS + ", ".join(f"{name} {mass:g}" for name, mass in masses.items()))
    return Sheet(
        table, notes=tuple(notes), box=edges_of_box(path, edges, [bool(wraps) for wraps in periodic])
    )


def masses_of(elements: Iterable[str]) -> dict[str, float]:
    """Masses of the elements, in u; none where one of them is no element. Needs ASE."""
    from ase.data import atomic_masses, atomic_numbers

    known = {name: atomic_numbers.get(name, 0) for name in elements}
    return {name: float(atomic_masses[k]) for name, k in known.items()} if all(known.values()) else {}


def _right_edges(path: Path, cells: Array, periodic: Array) -> Array:
    """Edges [F, D] of boxes whose periodic vectors [F, D, D] are along the axes; others are refused."""
    off = np.abs(cells * (1 - np.eye(len(periodic)))) * periodic[:, None]
    tilted = off > SAME * np.abs(cells).max(axis=(1, 2), keepdims=True)
    if tilted.any():
        frame, vector, axis = np.argwhere(tilted)[0]
        value = f"vector {vector + 1} has {AXES[axis]} = {cells[frame, vector, axis]:g}"
        raise bad(path, f"the box of frame {frame} is tilted ({value})", RIGHT)
    return np.diagonal(cells, axis1=1, axis2=2)


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
