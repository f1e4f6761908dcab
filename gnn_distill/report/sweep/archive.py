"""The few files of each run that its tables are made of, without what is large or belongs to one machine."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import yaml

from gnn_distill.runs.files import write_text
from gnn_distill.runs.sweep import PLAN, Job, Sweep

COPIED = ("data.json", "analysis.json", "equations.json", "law.json", "metrics.csv")
OF_THE_MACHINE = {"config.yaml": ("cache",), "status.json": ("pid", "host")}


def archive(sweeps: Sequence[Sweep], folder: Path) -> None:
    """Copy settings and results of all runs to `folder`, one folder a sweep, for `read_sweep`."""
    for sweep in sweeps:
        target = folder / sweep.name
        if sweep.plan:
            write_text(target / PLAN, json.dumps(sweep.plan, indent=1) + "\n")
        for job in sweep.jobs:
            if job.status:
                _archive_run(job, target / job.name)


def _archive_run(job: Job, target: Path) -> None:
    status = _without(job.status, "status.json")
    write_text(target / "status.json", json.dumps(status, indent=1) + "\n")
    if job.run is not None:
        config = _without(job.run.config, "config.yaml")
        write_text(target / "config.yaml", yaml.safe_dump(config, sort_keys=False, allow_unicode=True))
    for name in COPIED:
        if (job.path / name).exists():
            write_text(target / name, (job.path / name).read_text(encoding="utf-8"))


def _without(values: dict[str, object], name: str) -> dict[str, object]:
    return {key: value for key, value in values.items() if key not in OF_THE_MACHINE[name]}
