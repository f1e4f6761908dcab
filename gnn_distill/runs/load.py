"""A run directory read back."""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np

from gnn_distill.errors import InputError
from gnn_distill.physics import laws
from gnn_distill.physics.laws import ForceLaw
from gnn_distill.runs.files import read_config, read_json, read_metrics

FORMER = "gnn_distill.forces"
"""The module of the laws in runs of version 0.1."""


def law_of(config: dict[str, Any]) -> ForceLaw | None:
    """The true law of a run, if it is one of this package's; code named by a config is never imported."""
    described = dict((config.get("dataset") or {}).get("law") or {})
    module, _, name = str(described.pop("_target_", "")).rpartition(".")
    kind = getattr(laws, name, None) if module in (laws.__name__, FORMER) else None
    if not (isinstance(kind, type) and issubclass(kind, ForceLaw)):
        return None
    try:
        return kind(**described)
    except (TypeError, InputError):
        return None


@dataclass(frozen=True)
class Run:
    """What a finished (or half-finished) run directory holds; absent files are None.

    Attributes:
        path: the folder.
        config: the resolved config; `status`, `data`, `analysis`, `equations`, `law` are the JSON files of
            these names.
        metrics: rows of `metrics.csv`, one per epoch.
    """

    path: Path
    config: dict[str, Any]
    status: dict[str, Any]
    metrics: list[dict[str, float]]
    data: dict[str, Any] | None
    analysis: dict[str, Any] | None
    equations: dict[str, Any] | None
    law: dict[str, Any] | None

    def messages(self) -> dict[str, np.ndarray]:
        """The recorded sample of messages, features and forces: the arrays of `messages.npz`."""
        return _arrays(self.path / "messages.npz")

    def trajectories(self) -> dict[str, np.ndarray] | None:
        """A few trajectories: the arrays of `trajectories.npz`; None if there is no such file."""
        return self._optional("trajectories.npz")

    def rollout(self) -> dict[str, np.ndarray] | None:
        """Network and law against the truth over time: the arrays of `rollout.npz`; None without one."""
        return self._optional("rollout.npz")

    def _optional(self, name: str) -> dict[str, np.ndarray] | None:
        return _arrays(self.path / name) if (self.path / name).exists() else None


def _arrays(path: Path) -> dict[str, np.ndarray]:
    """The arrays of a file; pickled objects are refused, since loading one can run any code."""
    try:
        with np.load(path, allow_pickle=False) as stored:
            return {name: stored[name] for name in stored.files}
    except (OSError, ValueError, EOFError, BadZipFile, zlib.error) as error:
        fix = f"it cannot be read ({str(error).splitlines()[0]}): do the stage again that makes it"
        raise InputError(path.name, str(path), fix) from error


def read_run(path: str | Path) -> Run:
    """Read a run directory.

    Raises:
        InputError: the folder is not a run directory.
    """
    folder = Path(path)
    if not (folder / "status.json").exists():
        fix = "give a folder that gnn-distill made (it holds status.json)"
        raise InputError("run directory", str(path), fix)
    config = read_config(folder / "config.yaml")
    files = {name: folder / f"{name}.json" for name in ("data", "analysis", "equations", "law")}
    rest = {name: read_json(file) if file.exists() else None for name, file in files.items()}
    status = read_json(folder / "status.json") or {}
    return Run(folder, config, status, read_metrics(folder / "metrics.csv"), **rest)
