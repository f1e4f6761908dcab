"""A further process of a training, started by the first: `python -m gnn_distill.pipeline.follow FOLDER`."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from omegaconf import DictConfig, OmegaConf
from rich.console import Console

from gnn_distill.pipeline.build import build
from gnn_distill.pipeline.config import register
from gnn_distill.pipeline.machine import prepare
from gnn_distill.pipeline.progress import Reporter
from gnn_distill.pipeline.stages import follow
from gnn_distill.train.processes import end_with_parent, ready_file


def main(path: Path) -> None:
    """Join the training of the run directory `path`."""
    end_with_parent()
    register()
    cfg = OmegaConf.load(path / "config.yaml")
    if not isinstance(cfg, DictConfig):
        raise TypeError(f"{path / 'config.yaml'} is not a mapping")
    prepare(cfg.get("threads"))
    experiment = build(cfg, Reporter(Console(quiet=True)))
    ready_file(path, int(os.environ["LOCAL_RANK"])).touch()
    follow(experiment)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
