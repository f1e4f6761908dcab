"""Files of arrays, and the choice of reader by a file's ending."""

from __future__ import annotations

import pickle
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

from gnn_distill.own.table import assemble, read_csv, read_parquet
from gnn_distill.own.tracks import Tracks, bad, to_tracks

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
