"""Checkpoints: written whole or not at all, read without running any code in them."""

from __future__ import annotations

import io
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import torch
from lightning.fabric.plugins import TorchCheckpointIO

from gnn_distill.errors import InputError
from gnn_distill.runs.files import atomic
from gnn_distill.train.lit import DistilModule


class AtomicCheckpointIO(TorchCheckpointIO):
    """Writes a checkpoint beside its place and renames it: a process killed meanwhile leaves the one before.

    Lightning writes to the system's folder for temporary files, from where a file may have to be copied.
    """

    def save_checkpoint(
        self, checkpoint: dict[str, Any], path: str | Path, storage_options: Any | None = None
    ) -> None:
        """Write `checkpoint` to the file `path`."""
        buffer = io.BytesIO()  # torch, writing to a file itself, does not say that the disk is full
        torch.save(checkpoint, buffer)
        with atomic(Path(path)) as temporary:
            temporary.write_bytes(buffer.getbuffer())


def read_checkpoint(path: Path) -> dict[str, Any]:
    """The content of a checkpoint; no code in it is run.

    Raises:
        InputError: the file is damaged, holds pickled objects, or is no checkpoint of a training.
    """
    try:
        found = torch.load(path, map_location="cpu", weights_only=True)
    except (RuntimeError, EOFError, OSError, ValueError, KeyError, UnpicklingError) as error:
        reason = (str(error) or type(error).__name__).splitlines()[0]
        fix = f"it cannot be read ({reason}): delete it to train again"
        raise InputError("checkpoint", str(path), fix) from error
    if not isinstance(found, dict) or not isinstance(found.get("state_dict"), dict):
        raise InputError("checkpoint", str(path), "it holds no network: delete it to train again")
    return found


def load_weights(module: DistilModule, path: Path) -> None:
    """Put the weights of a run's last epoch into `module`.

    Raises:
        InputError: there are none, or they are of another network.
    """
    last = path / "checkpoints" / "last.ckpt"
    if not last.exists():
        fix = "no trained network in this folder: add train to stages, or set hydra.run.dir"
        raise InputError("stages", str(path), fix)
    weights = read_checkpoint(last)["state_dict"]
    try:
        module.load_state_dict(weights)
    except RuntimeError as error:
        reason = str(error).splitlines()[-1].strip()
        fix = f"it is of another network ({reason}): delete it to train again"
        raise InputError("checkpoint", str(last), fix) from error
    module.cpu()
