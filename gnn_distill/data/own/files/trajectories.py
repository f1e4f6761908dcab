"""Binary trajectories of molecular dynamics, DCD, XTC, TRR and NetCDF of AMBER, through MDAnalysis.

MDAnalysis brings lengths to Å, times to ps, and velocities to Å/ps. Forces come in kJ/(mol Å) and are brought
to u Å/ps², so that force over mass is an acceleration. Shape letters: F frames, n atoms, D space dims.
"""

from __future__ import annotations

import contextlib
import sys
import tempfile
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from gnn_distill.data.own.faults import bad
from gnn_distill.data.own.files.molecular import OF_ELEMENTS, boxed, check_sides, masses_of
from gnn_distill.data.own.files.text import Sheet
from gnn_distill.errors import InputError
from gnn_distill.physics.variables import AXES

BINARY = {".dcd": "DCD", ".xtc": "XTC", ".trr": "TRR", ".nc": "NCDF", ".ncdf": "NCDF"}
"""Formats by the endings of files, as MDAnalysis calls them."""
FORCE = 100.0
"""u Å/ps² in a kJ/(mol Å)."""
LAMMPS, HEADER = b"LAMMPS", 512
"""What stands within so many first bytes of a DCD that LAMMPS wrote, which does not convert to Å and ps."""
RIGHT_ANGLE = 1e-3  # degrees by which one may be rounded
MASS = "mass (u)"
UNITS = "units are those of MDAnalysis: Å, ps, u, e; velocities are in Å/ps, forces in u Å/ps²"

Array = npt.NDArray[Any]


def read_trajectory(path: Path, topology: str | None, time_step: float | None) -> Sheet:
    """A binary trajectory; needs MDAnalysis.

    ```python
    sheet = read_trajectory(Path("run.xtc"), "run.gro", None)
    sheet.rows  # id frame time (ps) x (Å) … element mass (u), a row for each atom and frame
    ```

    Args:
        path: the trajectory.
        topology: file that says what the atoms are: PDB, GRO, PSF, PRMTOP, TPR and others.
        time_step: time between frames that the user gave; times in the header of a DCD are then left out,
            since programs write them in units of their own.

    Raises:
        InputError: there is no topology, it is of other atoms, a file cannot be read, or the box cannot be
            used.
    """
    if topology is None:
        fix = f"{path.name} holds places and no atoms: give what they are, dataset.topology=system.pdb"
        raise InputError("dataset.topology", None, fix)
    about = Path(topology).expanduser()
    if not about.is_file():
        raise InputError("dataset.topology", topology, f"there is no such file in {Path.cwd()}")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            import MDAnalysis
    except ImportError:
        fix = "pip install 'gnn_distill[md]', or convert it to extended XYZ"
        raise bad(path, f"reading {path.suffix} needs MDAnalysis", fix) from None
    with warnings.catch_warnings(record=True) as said, _quiet(), tempfile.TemporaryDirectory() as folder:
        warnings.simplefilter("always")
        link = Path(folder) / path.name
        link.symlink_to(path.resolve())  # MDAnalysis writes a file of offsets beside what it reads
        universe = _opened(MDAnalysis, about, topology)
        frames = _read(universe, link, path, topology)
        timed = not any("no dt information" in str(warning.message) for warning in said)
        foreign = path.suffix.lower() == ".dcd" and LAMMPS in _head(path)
        timed = timed and not foreign and not (path.suffix.lower() == ".dcd" and time_step is not None)
        sheet = _sheet(path, universe.atoms, frames, timed)
        return _in_units_of_lammps(sheet) if foreign else sheet


def _head(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(HEADER)


def _in_units_of_lammps(sheet: Sheet) -> Sheet:
    """The same where LAMMPS wrote its numbers as they are, be they of `units lj`, `real` or others."""
    rows = sheet.rows.rename(columns={f"{axis} (Å)": axis for axis in AXES})
    told = "LAMMPS wrote it in units of its own: lengths are as they are, times of the header are left out"
    return replace(sheet, rows=rows, notes=(told, *sheet.notes[1:]))


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Without the complaints of readers that could not be opened as they are thrown away."""
    before = sys.unraisablehook
    sys.unraisablehook = lambda _: None
    try:
        yield
    finally:
        sys.unraisablehook = before


def _opened(library: Any, about: Path, topology: str) -> Any:
    """The universe of a topology, without guesses."""
    try:
        return library.Universe(str(about), to_guess=())
    except Exception as error:  # a damaged file can raise anything
        reason = _first_line(error)
    fix = f"it cannot be read as a topology ({reason}): give a PDB, GRO, PSF, PRMTOP or TPR file"
    raise InputError("dataset.topology", topology, fix)


def _first_line(error: Exception) -> str:
    return (str(error) or type(error).__name__).strip().splitlines()[0]


def _read(universe: Any, link: Path, path: Path, topology: str) -> dict[str, list[Array]]:
    """All frames: `times`, `positions`, `boxes` (three lengths, three angles), `velocities`, `forces`.

    The last two hold those of the frames that have them.
    """
    found: dict[str, list[Array]] = {k: [] for k in ("times", "positions", "boxes", "velocities", "forces")}
    try:
        universe.load_new(str(link), format=BINARY[path.suffix.lower()])
        for step in universe.trajectory:
            found["times"].append(np.array(step.time))
            found["boxes"].append(np.zeros(6) if step.dimensions is None else np.array(step.dimensions))
            for name in ("positions", "velocities", "forces"):
                if getattr(step, f"has_{name}"):
                    found[name].append(getattr(step, name).astype(np.float64))
        whole, reason = universe.trajectory.n_frames, "it is damaged or cut off"
        universe.trajectory.close()
    except Exception as error:  # which holds the reader, and is let go before another is raised
        whole, reason = -1, _first_line(error)
    if "number of atoms" in reason or "n_atoms" in reason:
        fix = f"it is of {len(universe.atoms)} atoms, and {path.name} of others: give the one of this run"
        raise InputError("dataset.topology", topology, fix)
    if len(found["times"]) != whole:
        problem = f"frame {len(found['times'])} cannot be read ({reason})"
        raise bad(path, problem, "cut it and what follows off, or write the file again")
    return found


def _sheet(path: Path, atoms: Any, frames: Mapping[str, Sequence[Array]], timed: bool) -> Sheet:
    """A row for each atom and frame; `timed`, whether times mean something."""
    count, n = len(frames["times"]), len(atoms)
    if not count:
        raise bad(path, "there are no frames in it", "write it again")
    cells, x, notes = _cells(path, np.array(frames["boxes"])), np.array(frames["positions"]), [UNITS]
    columns: dict[str, Any] = {"id": np.tile(np.arange(1, n + 1), count), "frame": np.repeat(range(count), n)}
    if timed:
        columns["time (ps)"] = np.repeat(frames["times"], n)
    if timed and path.suffix.lower() == ".dcd" and count > 1:
        step = float(frames["times"][-1] - frames["times"][0]) / (count - 1)
        notes.append(f"frames are {step:.6g} ps apart, as the header says; else give dataset.time_step")
    columns |= {axis: x[..., k].ravel() for k, axis in enumerate(AXES)}
    known, said = _known(atoms)
    columns |= {name: np.tile(values, count) for name, values in known.items()}
    for name, unit, size in (("velocities", " (Å/ps)", 1.0), ("forces", "", FORCE)):
        if len(frames[name]) < count or (name == "forces" and MASS not in known):
            why = "go with no masses" if len(frames[name]) == count else "are in some frames only"
            said += [f"{name} {why}: left out"] if frames[name] else []
            continue
        values = size * np.array(frames[name])
        columns |= {f"{name[0]}{axis}{unit}": values[..., k].ravel() for k, axis in enumerate(AXES)}
    periodic = np.any(cells, axis=2)[0].tolist()
    table, box = boxed(path, pd.DataFrame(columns), np.repeat(range(count), n), cells, periodic)
    named = table.rename(columns={axis: f"{axis} (Å)" for axis in AXES})
    return Sheet(named, notes=(*notes, *said), box=box)


def _cells(path: Path, boxes: Array) -> Array:
    """Vectors [F, 3, 3] of the box from lengths and angles of all frames [F, 6]; zero along open axes."""
    from MDAnalysis.lib.mdamath import triclinic_vectors

    there = boxes[:, :3] > 0
    check_sides(path, there.tolist())
    angles = boxes[:, 3:].copy()
    angles[np.abs(angles - 90.0) <= RIGHT_ANGLE] = 90.0
    right = np.where(there, boxes[:, :3], 0.0)[:, :, None] * np.eye(3)
    tilted = (angles != 90.0).any(axis=1) & there.all(axis=1)
    found = [
        triclinic_vectors([*boxes[k, :3], *angles[k]]) if tilted[k] else right[k] for k in range(len(boxes))
    ]
    return np.array(found, dtype=np.float64)


def _known(atoms: Any) -> tuple[dict[str, Array], list[str]]:
    """Kinds, masses and charges of atoms, each [n], as far as the topology says; and what was supposed."""
    found: dict[str, Array] = {}
    said: list[str] = []
    if hasattr(atoms, "charges"):
        found["charge (e)"] = np.array(atoms.charges, dtype=np.float64)
    if hasattr(atoms, "masses") and (np.array(atoms.masses) > 0).all():
        found[MASS] = np.array(atoms.masses, dtype=np.float64)
    if not hasattr(atoms, "elements"):
        with contextlib.suppress(Exception):  # where nothing can be guessed
            atoms.universe.guess_TopologyAttrs(to_guess=["elements"])
            said.append("elements are guessed from the names of atoms")
    for name in ("elements", "types", "names"):
        words = [str(word).strip() for word in getattr(atoms, name, ())]
        if words and all(words):
            found["element"] = np.array([w.capitalize() for w in words] if name == "elements" else words)
            break
    masses = {} if MASS in found else masses_of(found.get("element", np.array([], dtype=str)).tolist())
    if masses:
        found[MASS] = np.array([masses[kind] for kind in found["element"]])
        said.append(OF_ELEMENTS + ", ".join(f"{kind} {mass:g}" for kind, mass in masses.items()))
    return found, said
