"""Arrays of a file, checked: the one gate between a user's file and everything else.

Shape letters: S trajectories, T frames, n particles, D space dims, K further features, E edges.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from gnn_distill.arrays import Array
from gnn_distill.data.own.edges import adjacency_of, index_of
from gnn_distill.data.own.faults import bad, first_true
from gnn_distill.physics.variables import Columns, column_names

Index = npt.NDArray[np.int64]
Box = tuple[float | None, ...]
"""Edges, None along an open axis, 0 where each sighting says its cell."""

SAME = 1e-6  # of an edge, by which a box may change

VECTORS = ("positions", "velocities", "accelerations")
DIMENSIONS = (2, 3)
CLOCKS = ("times", "frames", "dt")
KNOWN = (
    *VECTORS,
    "forces",
    "masses",
    "charges",
    "features",
    *CLOCKS,
    "edge_index",
    "edges",
    "edge_attr",
    "box",
    "cell",
)
ALIASES = {"position": "positions", "velocity": "velocities", "acceleration": "accelerations"}
ALIASES |= {"mass": "masses", "charge": "charges", "time": "times", "frame": "frames", "t": "times"}
ALIASES |= dict.fromkeys(("pos", "loc", "location", "locations", "coordinates", "trajectories"), "positions")
ALIASES |= {"vel": "velocities", "acc": "accelerations", "force": "forces", "adjacency": "edges"}
ALIASES |= dict.fromkeys(("edge_type", "edge_types", "edge_kind", "edge_kinds", "edge_weight"), "edge_attr")


@dataclass(frozen=True)
class Sighted:
    """Who was seen when, a row for each sighting, sorted by run, particle and time; each [N].

    Attributes:
        run: number of the run, from 0 on.
        particle: number of the particle, the same in all runs of a file that names it alike.
        frame: number of the frame, run after run in order of time.
        time: time or frame number in the file.
    """

    run: Index
    particle: Index
    frame: Index
    time: Array

    @classmethod
    def of(cls, run: Index, particle: Index, time: Array) -> Sighted:
        """Sightings of which it is known when they were."""
        frame = np.unique(np.stack([run, time], 1), axis=0, return_inverse=True)[1].reshape(-1)
        return cls(run, particle, frame, time)


@dataclass(frozen=True)
class Contents:
    """What a file holds, as it was read.

    Attributes:
        arrays: by their names in the file; those of a table by the names in `KNOWN`.
        columns: headings of a table's further columns, in the order of the array `features`.
        notes: what was done to a table on the way, in sentences for the report; `doubts`: what is wrong.
        box: edges of the periodic box, None along an open axis.
        units: of length, time, mass and charge, as far as they are known.
        labels: of a table's particles as text, shape [S, n], or of sightings [1, N]; None where a file has
            arrays alone.
        sighted: who was seen when, where frames hold different particles; arrays are then [1, N, 1, …].
    """

    arrays: Mapping[str, Any]
    columns: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    doubts: tuple[str, ...] = ()
    box: tuple[float | None, ...] | None = None
    units: Mapping[str, str] = field(default_factory=dict)
    labels: npt.NDArray[np.str_] | None = None
    sighted: Sighted | None = None


@dataclass(frozen=True)
class Observed:
    """Checked contents of a file; None where the file says nothing.

    Attributes:
        path: the file, for messages.
        positions: shape [S, T, n, D].
        velocities: shape [S, T, n, D].
        accelerations: shape [S, T, n, D].
        masses: shape [S, T, n]; 1 where the file has none.
        charges: shape [S, T, n]; 0 where the file has none.
        features: shape [S, T, n, K], K ≥ 0.
        names: names of the K features in equations.
        times: shape [S, T], ascending.
        counted: `times` are frame numbers, to be multiplied by a time step.
        edge_index: shape [2, E], rows sender and receiver.
        edges: of each trajectory, shape [S, n, n], [receiver, sender]: numbers, 0 where there is none.
        notes: what was done to the file's contents, in sentences for the report; `doubts`: what is wrong.
        box: edges of the periodic box, None along an open axis.
        cell: of each sighting, shape [S, T, n, D (D + 1)/2], where the box is tilted or not always the same,
            see `gnn_distill.physics.variables.nearest_image`; `box` is then 0 along its periodic axes.
        units: of length, time, mass and charge, as far as they are known.
        labels: of the particles as text, shape [S, n], or of sightings [1, N]; their numbers where a file has
            arrays alone.
        sighted: who was seen when, where frames hold different particles; the arrays above are then
            [1, N, 1, …], one row for each of N sightings, and `times` None. Else None.
    """

    path: Path
    positions: Array
    velocities: Array | None
    accelerations: Array | None
    masses: Array
    charges: Array
    features: Array
    names: tuple[str, ...]
    times: Array | None
    counted: bool
    edge_index: npt.NDArray[np.int64] | None
    notes: tuple[str, ...]
    edges: Array | None = None
    doubts: tuple[str, ...] = ()
    box: tuple[float | None, ...] | None = None
    units: Mapping[str, str] = field(default_factory=dict)
    labels: npt.NDArray[np.str_] | None = None
    sighted: Sighted | None = None
    cell: Array | None = None

    @property
    def cells(self) -> Array:
        """The same as `cell`, and [S, T, n, 0] where there is none."""
        return self.positions[..., :0] if self.cell is None else self.cell

    @property
    def columns(self) -> Columns:
        """Where features made of this stand."""
        return Columns(self.positions.shape[-1], self.names, self.box)


def check(contents: Contents, path: Path, dim: int | None = None) -> Observed:
    """Check the arrays of a file and bring them to one shape.

    Args:
        contents: what was read.
        path: the file, for messages.
        dim: space dimensions; None takes those of the file.

    Raises:
        InputError: naming the file, the array, what is wrong with it and the fix.
    """
    arrays = _known(contents.arrays, path)
    edges = arrays.pop("edge_index", None)
    numbers = {name: _numbers(path, name, value) for name, value in arrays.items()}
    if "positions" not in numbers:
        held = ", ".join(contents.arrays) or "nothing"
        raise bad(path, f"there is no array 'positions' (found: {held})", "save positions [T, n, dim]")
    notes = [*contents.notes, *_turned(numbers, dim)]
    given = numbers["positions"].shape
    _check_positions(path, given, dim, alone=contents.sighted is not None)
    lost = _lost(path, numbers)
    shape = (1, *given)[-4:]  # a file of one trajectory may leave its axis out
    for name in (name for name in (*VECTORS, "forces") if name in numbers):
        if numbers[name].shape != given:
            problem = f"{name} has shape {numbers[name].shape} but positions has {given}"
            raise bad(path, problem, f"save {name} for the same frames and particles as positions")
        numbers[name] = numbers[name].reshape(shape)
    sims, n = shape[0], shape[2]
    masses = _per_particle(path, "masses", numbers.get("masses", np.ones(n))[..., None], given)[..., 0]
    charges = _per_particle(path, "charges", numbers.get("charges", np.zeros(n))[..., None], given)[..., 0]
    features = numbers.get("features", np.zeros((n, 0)))
    if "features" in numbers and (features.ndim < 2 or not features.shape[-1]):
        fix = "save [n, K], K ≥ 1 numbers for each particle, or leave it out"
        raise bad(path, f"features has shape {features.shape}", fix)
    features = _per_particle(path, "features", features, given)
    if (masses <= 0).any():
        first = first_true(masses <= 0)
        problem = f"masses: {masses[first]:g} at [trajectory, frame, particle] = {list(first)}"
        raise bad(path, problem, "give positive masses, or leave them out (they are then 1)")
    if "forces" in numbers and "accelerations" not in numbers:
        numbers["accelerations"] = numbers["forces"] / masses[..., None]
        notes.append("forces over masses are the accelerations that are to be explained, and no input")
    times, counted = (None, "frames" in numbers) if contents.sighted else _clock(path, numbers, shape[:2])
    names = column_names(contents.columns or ("",) * features.shape[-1])
    other = [f"{c} is {n}" for c, n in zip(contents.columns, names, strict=False) if c != n]
    box, cell = _space(path, numbers, contents.box, given)
    numbered = np.tile(np.arange(n).astype(str), (sims, 1))
    seen = Observed(
        path=path,
        positions=numbers["positions"],
        velocities=numbers.get("velocities"),
        accelerations=numbers.get("accelerations"),
        masses=masses,
        charges=charges,
        features=features,
        names=names,
        times=times,
        counted=counted,
        edge_index=None if edges is None else index_of(path, edges, n),
        notes=(*notes, *([f"in equations {', '.join(other)}"] if other else [])),
        edges=adjacency_of(path, numbers, edges, (sims, n)),
        doubts=contents.doubts,
        box=box,
        cell=cell,
        units=contents.units,
        labels=numbered if contents.labels is None else contents.labels,
        sighted=contents.sighted,
    )
    return as_table(seen, lost.reshape(shape[:3])) if lost.any() else seen


def as_table(seen: Observed, lost: npt.NDArray[np.bool_] | None = None) -> Observed:
    """Frames that hold the same particles as a table of sightings, less those that are `lost` [S, T, n]."""
    sims, frames, n = seen.positions.shape[:3]
    kept = slice(None) if lost is None else ~np.moveaxis(lost, 2, 1).reshape(-1)
    run, particle, frame = (part.reshape(-1)[kept] for part in np.indices((sims, n, frames)))
    times = np.broadcast_to(np.arange(frames) if seen.times is None else seen.times, (sims, frames))
    number = np.unique(run * frames + frame, return_inverse=True)[1].reshape(-1)
    who = Sighted(run, particle, number, times[run, frame].astype(np.float64))
    found: dict[str, Any] = {}
    for name in ("positions", "velocities", "accelerations", "masses", "charges", "features", "cell"):
        part = getattr(seen, name)
        found[name] = None if part is None else part[run, frame, particle][None, :, None]
    found["labels"] = None if seen.labels is None else seen.labels[run, particle][None]
    return replace(seen, **found, times=None, counted=seen.counted or seen.times is None, sighted=who)


def _turned(numbers: dict[str, Array], dim: int | None) -> list[str]:
    """Bring [..., dim, n] to [..., n, dim] where the sizes show it; a word if it was done."""
    given = numbers["positions"].shape
    if len(given) not in (3, 4) or given[-1] == dim or (dim is None and given[-1] in DIMENSIONS):
        return []
    if given[-2] not in (DIMENSIONS if dim is None else (dim,)):
        return []
    for name in (*VECTORS, "forces"):
        if name in numbers and numbers[name].shape == given:
            numbers[name] = np.swapaxes(numbers[name], -1, -2)
    return [f"positions of shape {given} are read as [..., dim, particles]: {given[-1]} particles"]


def _space(
    path: Path, numbers: Mapping[str, Array], said: Box | None, given: tuple[int, ...]
) -> tuple[Box | None, Array | None]:
    """Box and cells of `Observed`, from the edges or arrays of a file; `given` is the shape of positions."""
    box, cell, (sims, frames, n, dim) = numbers.get("box"), numbers.get("cell"), (1, *given)[-4:]
    if said is not None or (box is None and cell is None):
        return said, None
    if box is not None:
        fix = f"save its {dim} edges, or {dim} vectors as rows below its diagonal, for all frames or for each"
        shapes = {(): (), (dim,): (), (dim, dim): (), (frames, dim): (frames,), (frames, dim, dim): (frames,)}
        shapes |= {(sims, frames, dim): (sims, frames), (sims, frames, dim, dim): (sims, frames)}
        if box.shape not in shapes:
            raise bad(path, f"box has shape {list(box.shape)}", fix)
        flat = box.shape in {(), (dim,), (*shapes[box.shape], dim)}
        vectors = np.broadcast_to(box, (*shapes[box.shape], dim))[..., None] * np.eye(dim) if flat else box
        diagonal = np.diagonal(vectors, axis1=-2, axis2=-1)
        if (diagonal <= 0).any() or (np.abs(np.triu(vectors, 1)) > SAME * np.abs(box).max()).any():
            raise bad(path, f"box is {box.tolist() if box.ndim < 2 else 'not as it should be'}", fix)
        first = vectors.reshape(-1, dim, dim)[0]
        if np.allclose(vectors, np.diag(np.diagonal(first)), rtol=SAME, atol=SAME * np.abs(first).max()):
            return tuple(float(edge) for edge in np.diagonal(first)), None
        lower = vectors[(..., *np.tril_indices(dim))]
        lower = lower[..., None, :] if lower.ndim > 1 else lower[None, None]  # one for all particles
        cell = np.broadcast_to(lower, (sims, frames, n, lower.shape[-1]))
    else:
        cell = _per_particle(path, "cell", np.asarray(cell), given)
        if cell.shape[-1] != dim * (dim + 1) // 2:
            fix = f"give the {dim * (dim + 1) // 2} numbers of the lower triangle of its vectors, row by row"
            raise bad(path, f"cell has {cell.shape[-1]} columns", fix)
    edges = [cell[..., (k + 1) * (k + 2) // 2 - 1] > 0 for k in range(dim)]
    if any(edge.any() and not edge.all() for edge in edges) or not any(edge.any() for edge in edges):
        problem = "an axis is periodic in some rows only, or none is"
        raise bad(path, problem, "give runs that are periodic along the same axes")
    return tuple(0.0 if edge.all() else None for edge in edges), cell


def _known(found: Mapping[str, Any], path: Path) -> dict[str, Any]:
    arrays: dict[str, Any] = {}
    for name, value in found.items():
        key = ALIASES.get(name, name)
        if key not in KNOWN:
            fix = f"remove it, or name it one of {', '.join(KNOWN)} (further inputs go into features)"
            raise bad(path, f"array {name!r} is not known", fix)
        if key in arrays:
            raise bad(path, f"{key} is there twice, as {name!r} too", "keep one of them")
        arrays[key] = value
    return arrays


def _numbers(path: Path, name: str, value: Any) -> Array:
    array = np.asarray(value)
    if array.dtype.kind not in "fiu":
        raise bad(path, f"{name} holds values of type {array.dtype}", "save real numbers")
    return array.astype(np.float64)


def _lost(path: Path, numbers: dict[str, Array]) -> npt.NDArray[np.bool_]:
    """Where no coordinate is a number, [S, T, n] or [T, n]: there particles were not seen.

    NaN of other arrays at those places become 1, which nobody reads; all others are refused.
    """
    lost = np.asarray(np.isnan(numbers["positions"]).all(-1))
    lost &= ~np.all(lost, axis=(-2, -1), keepdims=True)  # a run without any position is none
    for name, array in numbers.items():
        if array.shape[: lost.ndim] == lost.shape:
            array = numbers[name] = np.where((np.isnan(array).T & lost.T).T, 1.0, array)
        if not np.isfinite(array).all():
            first = first_true(~np.isfinite(array))
            problem = f"{name} holds {array[first]} at index {list(first)} (shape {array.shape})"
            fix = "cut these frames out; a particle that was not seen has NaN in all its coordinates"
            raise bad(path, problem, fix)
    return lost


def _check_positions(path: Path, shape: tuple[int, ...], dim: int | None, alone: bool) -> None:
    what, fix = "", ""
    if len(shape) not in (3, 4):
        fix = "save [frames, particles, dim] or [trajectories, frames, particles, dim]"
    elif 0 in shape:
        what, fix = ": it is empty", "save at least one frame of two particles"
    elif shape[-1] != (dim or shape[-1]) or shape[-1] not in DIMENSIONS:
        other = f"its last axis says dataset.dim={shape[-1]}, not {dim}"
        order = "its last axis must hold 2 or 3 coordinates: save [(trajectories,) frames, particles, dim]"
        fix = other if shape[-1] in DIMENSIONS else order
    elif shape[-2] < 2 and not alone:
        what, fix = ": one particle", "track at least two, a pair is what can interact"
    if fix:
        raise bad(path, f"positions has shape {shape}{what}", fix)


def _per_particle(path: Path, name: str, value: Array, given: tuple[int, ...]) -> Array:
    """`value` of shape [n, K], [S, n, K] or one per frame, as [S, T, n, K]; `given` is that of positions."""
    sims, frames, n, _ = (1, *given)[-4:]
    shape = value.shape[:-1]
    if shape == (sims, n):
        value = value[:, None]
    elif shape not in {(n,), given[:-1]}:
        fix = f"give one value per particle, shape ({n},), or per trajectory and particle, ({sims}, {n})"
        raise bad(path, f"{name} has shape {shape} but positions has {given}", fix)
    return np.broadcast_to(value, (sims, frames, n, value.shape[-1]))


def _clock(path: Path, numbers: Mapping[str, Array], shape: tuple[int, ...]) -> tuple[Array | None, bool]:
    """Times [S, T] or None, and whether they are frame numbers."""
    given = [name for name in CLOCKS if name in numbers]
    if not given:
        return None, False
    if len(given) > 1:
        raise bad(path, f"{' and '.join(given)} both give the time", "keep one of them")
    (name,) = given
    value = numbers[name]
    if name == "dt":
        if value.size != 1 or value.item() <= 0:
            raise bad(path, f"dt is {value.tolist()}", "save one positive number, the time between frames")
        value = value.item() * np.arange(shape[1], dtype=np.float64)
    if value.shape not in {shape, shape[1:]}:
        problem = f"{name} has shape {value.shape}"
        raise bad(path, problem, f"save one time per frame, shape {shape[1:]} or {shape}")
    times = np.broadcast_to(value, shape)
    if (np.diff(times) <= 0).any():
        s, k = first_true(np.diff(times) <= 0)
        problem = f"{name} is not ascending: {times[s, k + 1]:g} at frame {k + 1} comes after {times[s, k]:g}"
        raise bad(path, problem, "sort the frames by time and remove repeated ones")
    return times, name == "frames"
