"""Arrays of NumPy, torch and HDF5 files by the names that they have in this package.

Shape letters: S trajectories, T frames, n particles, D space dims.
"""

from __future__ import annotations

import pickle
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from gnn_distill.data.own.faults import bad
from gnn_distill.data.own.tracks import ALIASES, KNOWN, VECTORS


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


def read_npy(path: Path) -> dict[str, Any]:
    """One array, by the name that the file begins with: `vel_train.npy` holds velocities, else positions."""
    try:
        array = np.load(path, allow_pickle=False)
    except Exception as error:  # a damaged file can raise anything
        problem = f"it is damaged or holds pickled Python objects, which are refused ({_reason(error)})"
        raise bad(path, problem, "save a plain array of numbers: np.save(path, positions)") from error
    if not isinstance(array, np.ndarray):  # an archive under this ending
        return read_npz(path)
    return {split_stem(path)[0] or "positions": array}


def split_stem(path: Path) -> tuple[str | None, str]:
    """The array that a file is named after, None for none, and the rest of its name."""
    for size in range(len(path.stem), 0, -1):
        name, rest = path.stem[:size], path.stem[size:]
        if ALIASES.get(name, name) in KNOWN and not rest[:1].isalnum():
            return ALIASES.get(name, name), rest.lstrip("_-. ")
    return None, path.stem


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


def read_h5(path: Path) -> dict[str, Any]:
    """Data sets of an HDF5 file; needs h5py."""
    try:
        import h5py
    except ImportError:
        raise bad(path, "reading HDF5 needs h5py", "pip install h5py, or save it as .npz") from None
    try:
        with h5py.File(path, "r") as file:
            sets = {name: part for name, part in file.items() if isinstance(part, h5py.Dataset)}
            return {name: part[()] for name, part in sets.items()}
    except Exception as error:  # a damaged file can raise anything
        fix = "write it again, with data sets positions, velocities, … at its root"
        raise bad(path, f"it cannot be read ({_reason(error)})", fix) from error


def _reason(error: Exception) -> str:
    """The first line of what an exception says."""
    return (str(error) or type(error).__name__).splitlines()[0]


def gathered(parts: Sequence[tuple[Path, Mapping[str, Any]]]) -> dict[str, Any]:
    """The arrays of several files as those of one.

    Files that are named after arrays (`loc_train.npy`, `vel_train.npy`) and are called the same otherwise
    belong together. Each such group, and each file of other names, is a run or several.

    Raises:
        InputError: runs have arrays of other names, or of other shapes.
    """
    groups: dict[str, tuple[Path, dict[str, Any]]] = {}
    for path, arrays in parts:
        rest = split_stem(path)[1] if path.suffix.lower() == ".npy" else str(path)
        held = groups.setdefault(rest, (path, {}))[1]
        for name, value in arrays.items():
            if name in held:
                raise bad(path, f"{name} is there twice", "keep one of the files")
            held[name] = value
    if len(groups) == 1:
        return next(iter(groups.values()))[1]
    first = next(iter(groups.values()))
    runs = []
    for path, arrays in groups.values():
        if {*arrays} != {*first[1]}:
            here, there = (", ".join(sorted(names)) for names in (arrays, first[1]))
            problem = f"it holds {here}, and {first[0].name} {there}"
            raise bad(path, problem, "give files with the same arrays")
        runs.append((path, _as_runs(arrays)))
    return {name: _stacked(name, [(path, run[name]) for path, run in runs]) for name in first[1]}


def _as_runs(arrays: Mapping[str, Any]) -> dict[str, Any]:
    """The arrays of one file, each with an axis of runs."""
    arrays = {name: np.asarray(value) for name, value in arrays.items()}
    place = next((v for k, v in arrays.items() if ALIASES.get(k, k) == "positions"), np.zeros(()))
    shape: tuple[int, ...] = place.shape
    if "box" in arrays and len(shape) > 2:
        arrays["box"] = _each_frame(arrays["box"], shape[-3], shape[-1])
    runs = place.shape[:1] if place.ndim == 4 else None
    return {k: v if v.ndim > 1 and v.shape[:1] == runs else v[None] for k, v in arrays.items()}


def _each_frame(box: Any, frames: int, dim: int) -> Any:
    """Vectors of a box [T, D, D] frame by frame, as those of other runs may be; others as they are."""
    if box.shape in {(dim,), (frames, dim)} and box.shape != (dim, dim):
        box = box[..., None] * np.eye(dim)
    return np.broadcast_to(box, (frames, dim, dim)) if box.shape == (dim, dim) else box


def _stacked(name: str, parts: Sequence[tuple[Path, Any]]) -> Any:
    """The arrays of several files as one of all runs; a property that is the same in all is kept once."""
    (first, like), vector = parts[0], ALIASES.get(name, name) in VECTORS
    if not vector and all(len(value) == 1 and np.array_equal(value, like) for _, value in parts):
        return like[0]
    for path, value in parts:
        if value.shape[1:] != like.shape[1:]:
            problem = f"{name} has shape {value.shape[1:]}, and in {first.name} {like.shape[1:]}"
            raise bad(path, problem, "give runs of equal frames and particles, or tables with a row for each")
    return np.concatenate([value for _, value in parts])
