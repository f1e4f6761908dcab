"""Arrays of a file, checked: the one gate between a user's file and everything else.

Shape letters: S trajectories, T frames, n particles, D space dims, K further features, E edges.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from gnn_distill.arrays import Array
from gnn_distill.errors import InputError

KNOWN = (
    "positions",
    "velocities",
    "accelerations",
    "masses",
    "charges",
    "features",
    "times",
    "frames",
    "dt",
    "edge_index",
)
ALIASES = {
    "position": "positions",
    "velocity": "velocities",
    "acceleration": "accelerations",
    "mass": "masses",
    "charge": "charges",
    "time": "times",
    "frame": "frames",
    "t": "times",
}


@dataclass(frozen=True)
class Tracks:
    """Checked contents of a file; None where the file says nothing.

    Attributes:
        path: the file, for messages.
        positions: shape [S, T, n, D].
        velocities: shape [S, T, n, D].
        accelerations: shape [S, T, n, D].
        masses: shape [S, T, n]; 1 where the file has none.
        charges: shape [S, T, n]; 0 where the file has none.
        features: shape [S, T, n, K], K ≥ 0.
        times: shape [S, T], ascending.
        counted: `times` are frame numbers, to be multiplied by a time step.
        edge_index: shape [2, E], rows sender and receiver.
    """

    path: Path
    positions: Array
    velocities: Array | None
    accelerations: Array | None
    masses: Array
    charges: Array
    features: Array
    times: Array | None
    counted: bool
    edge_index: npt.NDArray[np.int64] | None


def bad(path: Path, problem: str, fix: str) -> InputError:
    """The error about a file's contents: what is wrong in it, and what to do."""
    return InputError("dataset.path", str(path), f"{problem}; {fix}")


def to_tracks(found: Mapping[str, Any], path: Path, dim: int) -> Tracks:
    """Check the arrays of a file and bring them to one shape.

    Raises:
        InputError: naming the file, the array, what is wrong with it and the fix.
    """
    arrays = _known(found, path)
    edges = arrays.pop("edge_index", None)
    numbers = {name: _numbers(path, name, value) for name, value in arrays.items()}
    if "positions" not in numbers:
        held = ", ".join(found) or "nothing"
        raise bad(path, f"there is no array 'positions' (found: {held})", "save positions [T, n, dim]")
    x = numbers["positions"]
    _check_positions(path, x, dim)
    many = x if x.ndim == 4 else x[None]
    masses = _per_particle(path, "masses", numbers.get("masses"), x, 1.0)
    if (masses <= 0).any():
        first = tuple(int(k) for k in np.argwhere(masses <= 0)[0])
        problem = f"masses: {masses[first]:g} at [trajectory, frame, particle] = {list(first)}"
        raise bad(path, problem, "give positive masses, or leave them out (they are then 1)")
    times, counted = _clock(path, numbers, many.shape[:2])
    return Tracks(
        path=path,
        positions=many,
        velocities=_vectors(path, "velocities", numbers, x),
        accelerations=_vectors(path, "accelerations", numbers, x),
        masses=masses,
        charges=_per_particle(path, "charges", numbers.get("charges"), x, 0.0),
        features=_features(path, numbers.get("features"), x),
        times=times,
        counted=counted,
        edge_index=None if edges is None else _edges(path, edges, many.shape[2]),
    )


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
    array = array.astype(np.float64)
    if not np.isfinite(array).all():
        first = [int(k) for k in np.argwhere(~np.isfinite(array))[0]]
        problem = f"{name} holds {array[tuple(first)]} at index {first} (shape {array.shape})"
        raise bad(path, problem, "fill the gap by interpolation, or cut these frames out")
    return array


def _check_positions(path: Path, x: Array, dim: int) -> None:
    problem = f"positions has shape {x.shape}"
    if x.ndim not in (3, 4):
        raise bad(path, problem, "save [frames, particles, dim] or [trajectories, frames, particles, dim]")
    if x.size == 0:
        raise bad(path, f"{problem}: it is empty", "save at least one frame of two particles")
    if x.shape[-1] != dim:
        fix = f"its last axis must hold the {dim} coordinates that dataset.dim={dim} asks for"
        if x.shape[-1] in (2, 3):
            fix = f"its last axis says dataset.dim={x.shape[-1]}, not {dim}"
        raise bad(path, problem, fix)
    if x.shape[-2] < 2:
        raise bad(path, f"{problem}: one particle", "track at least two, a pair is what can interact")


def _vectors(path: Path, name: str, numbers: Mapping[str, Array], x: Array) -> Array | None:
    if name not in numbers:
        return None
    if numbers[name].shape != x.shape:
        problem = f"{name} has shape {numbers[name].shape} but positions has {x.shape}"
        raise bad(path, problem, f"save {name} for the same frames and particles as positions")
    return numbers[name] if x.ndim == 4 else numbers[name][None]


def _per_particle(path: Path, name: str, value: Array | None, x: Array, default: float) -> Array:
    """`value` of shape [n], [S, n] or one per frame, as [S, T, n]."""
    sims, frames, n = (x if x.ndim == 4 else x[None]).shape[:3]
    if value is None:
        return np.full((sims, frames, n), default)
    if value.shape == (sims, n):
        value = value[:, None]
    elif value.shape not in {(n,), x.shape[:-1]}:
        fix = f"give one value per particle, shape ({n},), or per trajectory and particle, ({sims}, {n})"
        raise bad(path, f"{name} has shape {value.shape} but positions has {x.shape}", fix)
    return np.broadcast_to(value, (sims, frames, n))


def _features(path: Path, value: Array | None, x: Array) -> Array:
    if value is None:
        return np.zeros((*(x if x.ndim == 4 else x[None]).shape[:3], 0))
    if value.ndim < 2:
        raise bad(path, f"features has shape {value.shape}", "save [n, K]: K numbers for each particle")
    columns = [_per_particle(path, "features[..., k]", value[..., k], x, 0.0) for k in range(value.shape[-1])]
    if not columns:
        raise bad(path, f"features has shape {value.shape}: it is empty", "leave it out")
    return np.stack(columns, -1)


def _clock(path: Path, numbers: Mapping[str, Array], shape: tuple[int, ...]) -> tuple[Array | None, bool]:
    """Times [S, T] or None, and whether they are frame numbers."""
    given = [name for name in ("times", "frames", "dt") if name in numbers]
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
        s, k = (int(i) for i in np.argwhere(np.diff(times) <= 0)[0])
        problem = f"{name} is not ascending: {times[s, k + 1]:g} at frame {k + 1} comes after {times[s, k]:g}"
        raise bad(path, problem, "sort the frames by time and remove repeated ones")
    return times, name == "frames"


def _edges(path: Path, value: Any, n: int) -> npt.NDArray[np.int64]:
    edges = np.asarray(value)
    if edges.ndim != 2 or edges.shape[0] != 2 or edges.shape[1] == 0 or edges.dtype.kind not in "iu":
        problem = f"edge_index has shape {edges.shape} and type {edges.dtype}"
        raise bad(path, problem, "save whole numbers of shape (2, E): a row of senders, a row of receivers")
    outside = (edges < 0) | (edges >= n)
    if outside.any():
        row, column = (int(k) for k in np.argwhere(outside)[0])
        problem = f"edge_index holds {edges[row, column]} at [{row}, {column}]"
        raise bad(path, problem, f"number the {n} particles 0 to {n - 1}")
    if (loops := np.flatnonzero(edges[0] == edges[1])).size:
        problem = f"edge_index joins particle {edges[0, loops[0]]} to itself (edge {loops[0]})"
        raise bad(path, problem, "remove self-loops")
    return edges.astype(np.int64)
