"""Loggers beside metrics.csv: TensorBoard, Weights & Biases."""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Container, Iterable
from pathlib import Path
from typing import Any

from lightning.pytorch.loggers import Logger, TensorBoardLogger, WandbLogger

from gnn_distill.errors import InputError
from gnn_distill.runs.files import fingerprint
from gnn_distill.runs.sweep import PLAN


def tensorboard_logger(save_dir: Path) -> Logger:
    """Event files for TensorBoard in `save_dir`.

    ```yaml
    logger: {tensorboard: {_target_: gnn_distill.pipeline.loggers.tensorboard_logger}}
    ```
    """
    return TensorBoardLogger(save_dir, name="tensorboard", version="")


def wandb_logger(save_dir: Path, project: str = "gnn_distill", group: str | None = None) -> Logger:
    """A Weights & Biases run, kept offline in `save_dir` unless somebody is logged in.

    A job of a sweep is a run in the group named by the sweep's folder, if no other is given. A run directory
    has one id: what goes on later belongs to the same run.

    ```yaml
    logger: {wandb: {_target_: gnn_distill.pipeline.loggers.wandb_logger, project: gnn_distill}}
    ```
    """
    sweep = save_dir.parent if (save_dir.parent / PLAN).exists() else None
    known: dict[str, Any] = {
        "project": project,
        "group": group or (sweep.name if sweep else None),
        "name": save_dir.name if sweep else None,
        "id": fingerprint(str(save_dir.resolve())),
        "resume": "allow",
        "save_dir": save_dir,
    }
    import wandb  # only here: it loads much

    logged_in = wandb.api.api_key is not None and os.environ.get("WANDB_MODE", "online") == "online"
    return WandbLogger(**known) if logged_in else WandbLogger(**known, offline=True, mode="offline")


def close(loggers: Iterable[Logger]) -> None:
    """End the Weights & Biases runs among them, so that the next job of a sweep begins its own."""
    for logger in loggers:
        if isinstance(logger, WandbLogger):
            logger.experiment.finish()


def check_loggers(names: Container[str]) -> None:
    """Raise `InputError` for a logger whose package is not installed."""
    if "tensorboard" in names and importlib.util.find_spec("tensorboard") is None:
        raise InputError("logger", "tensorboard", "pip install 'gnn_distill[tensorboard]', or use logger=csv")
