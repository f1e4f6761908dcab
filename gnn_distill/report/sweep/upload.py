"""Tables and figures of a sweep to Weights & Biases."""

from __future__ import annotations

import csv
import os
from pathlib import Path


def logged_in() -> bool:
    """Whether somebody is logged in to Weights & Biases and has not asked to stay offline."""
    import wandb

    return wandb.api.api_key is not None and os.environ.get("WANDB_MODE", "online") == "online"


def upload(folder: Path, project: str, group: str) -> None:
    """Send a report's tables, figures and page as one run of the sweep's group; offline unless logged in."""
    import wandb

    with wandb.init(
        project=project,
        group=group,
        job_type="report",
        name=f"report of {group}",
        dir=folder,
        mode="online" if logged_in() else "offline",
    ) as run:
        content: dict[str, object] = {"page": wandb.Html((folder / "index.html").read_text(encoding="utf-8"))}
        for path in sorted((folder / "tables").glob("*.csv")):
            with path.open(newline="", encoding="utf-8") as file:
                head, *rows = csv.reader(file)
            content[f"tables/{path.stem}"] = wandb.Table(columns=list[str | int](head), data=rows)
        for path in sorted((folder / "figures").glob("*.png")):
            content[f"figures/{path.stem}"] = wandb.Image(str(path))
        run.log(content)
