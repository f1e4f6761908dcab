"""What is said of a file that cannot be used."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt

from gnn_distill.errors import InputError


def bad(path: Path, problem: str, fix: str) -> InputError:
    """The error about a file's contents: what is wrong in it, and what to do."""
    return InputError("dataset.path", str(path), f"{problem}; {fix}")


def first_true(wrong: npt.NDArray[np.bool_]) -> tuple[int, ...]:
    """Index of the first entry that is true."""
    return tuple(int(k) for k in np.argwhere(wrong)[0])
