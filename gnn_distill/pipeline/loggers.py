"""Loggers beside metrics.csv: TensorBoard, Weights & Biases."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Container, Iterable
from pathlib import Path
from typing import Any, cast

from lightning.pytorch.loggers import Logger, TensorBoardLogger, WandbLogger

from gnn_distill.errors import InputError
from gnn_distill.report.sweep.upload import logged_in
from gnn_distill.runs.files import fingerprint
from gnn_distill.runs.load import Run, load_run
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
    return WandbLogger(**known) if logged_in() else WandbLogger(**known, offline=True, mode="offline")


def upload_results(make: Callable[..., Logger], path: Path) -> None:
    """Add test scores, recovered equations and figures of a run directory to its Weights & Biases run."""
    if getattr(make, "func", None) is not wandb_logger:
        return
    import wandb

    run, logged = load_run(path), cast(WandbLogger, make(save_dir=path)).experiment
    for name, value in scalars(run):
        logged.summary[name] = value
    pictures = {f"figures/{p.stem}": wandb.Image(str(p)) for p in sorted((path / "figures").glob("*.png"))}
    rows = [[str(c.get("dim")), e["complexity"], e["loss"], e["expression"]]
            for c in (run.equations or {}).get("components") or [] for e in c["front"]]  # fmt: skip
    columns: list[str | int] = ["component", "complexity", "loss", "expression"]
    logged.log(pictures | {"equations": wandb.Table(columns=columns, data=rows)})
    logged.finish()


def close(loggers: Iterable[Logger]) -> None:
    """End the Weights & Biases runs among them, so that the next job of a sweep begins its own."""
    for logger in loggers:
        if isinstance(logger, WandbLogger):
            logger.experiment.finish()


def scalars(run: Run) -> list[tuple[str, float]]:
    """Names and values of a run's scores."""
    analysis = run.analysis or {}
    found = {f"test/{key}": value for key, value in (analysis.get("test") or {}).items()}
    for gauge, kinds in (analysis.get("r2") or {}).items():
        for kind, values in kinds.items():
            if None not in values and values:
                found[f"r2/{gauge}_{kind}"] = sum(values) / len(values)
    if run.law:
        found["test/law_mae"] = run.law["test"]["mae"]
    return [(name, value) for name, value in found.items() if value is not None]


def check_loggers(names: Container[str]) -> None:
    """Raise `InputError` for a logger whose package is not installed."""
    if "tensorboard" in names and importlib.util.find_spec("tensorboard") is None:
        raise InputError("logger", "tensorboard", "pip install 'gnn_distill[tensorboard]', or use logger=csv")
