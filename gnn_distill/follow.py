"""`python -m gnn_distill.follow RUN_DIRECTORY`: a further process of a training, started by the first one."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from omegaconf import DictConfig, OmegaConf
from rich.console import Console

from gnn_distill.build import build
from gnn_distill.config import register
from gnn_distill.progress import Reporter
from gnn_distill.ranks import end_with_parent, ready_file
from gnn_distill.run import follow


def main(path: Path) -> None:
    """Join the training of the run directory `path`."""
    end_with_parent()
    register()
    cfg = OmegaConf.load(path / "config.yaml")
    if not isinstance(cfg, DictConfig):
        raise TypeError(f"{path / 'config.yaml'} is not a mapping")
    experiment = build(cfg, Reporter(Console(quiet=True)))
    ready_file(path, int(os.environ["LOCAL_RANK"])).touch()
    follow(experiment)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
