"""Sweeps as they lie on disk: which jobs there are and how far each has come."""

from __future__ import annotations

import functools
import json
import os
import platform
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gnn_distill.errors import InputError
from gnn_distill.runs.files import read_json, read_metrics
from gnn_distill.runs.load import Run, read_run

PLAN = "sweep.json"
LOG = "run.log"
STATES = ("complete", "running", "waiting", "interrupted", "killed", "failed")


@dataclass(frozen=True)
class Job:
    """One run of a sweep.

    Attributes:
        name: its folder, relative to the sweep's.
        path: its run directory, which need not exist yet.
        state: one of `STATES`; `killed` is a run whose process is gone without a word.
        status: the content of its `status.json`.
    """

    name: str
    path: Path
    state: str
    status: dict[str, Any]

    @property
    def seconds(self) -> float:
        """Wall time of all stages."""
        return sum(s.get("seconds", 0.0) for s in (self.status.get("stages") or {}).values())

    def progress(self) -> str:
        """The stage at work, with its epoch while training."""
        stage = self.status.get("stage")
        if stage != "train":
            return stage or ""
        rows = read_metrics(self.path / "metrics.csv")
        return f"train, epoch {rows[-1]['epoch'] + 1:.0f}" if rows else "train"

    @functools.cached_property
    def run(self) -> Run | None:
        """The run's files; None where there are none that can be read."""
        try:
            return read_run(self.path)
        except (OSError, ValueError):
            return None


@dataclass(frozen=True)
class Sweep:
    """A folder of runs.

    Attributes:
        path: the folder; `name` its last part.
        jobs: those that the sweep's plan names, in its order, and after them any other run in the folder.
        plan: the content of `sweep.json`; empty where there is none.
    """

    path: Path
    jobs: tuple[Job, ...]
    plan: dict[str, Any]

    @property
    def name(self) -> str:
        """The folder's name."""
        return self.path.resolve().name


def read_sweep(path: str | Path) -> Sweep:
    """Find all runs in a folder.

    Raises:
        InputError: there is no run below it, and no plan of any.
    """
    folder = Path(path)
    plan = load_plan(folder) or {}
    planned = plan.get("jobs")
    planned = [str(name) for name in planned] if isinstance(planned, list) else []
    # A plan can be anybody's: only folders below the sweep's are its jobs.
    names = [name for name in planned if folder.resolve() in (folder / name).resolve().parents]
    found = [status.parent.relative_to(folder) for status in folder.rglob("status.json")]
    visible = sorted(str(run) for run in found if not any(part.startswith(".") for part in run.parts))
    names += [name for name in visible if name not in names]
    if not names:
        raise InputError("sweep", str(path), "give a folder that gnn-distill -m made, or one with runs in it")
    return Sweep(folder, tuple(load_job(folder / name, name) for name in names), plan)


def load_plan(folder: Path) -> dict[str, Any] | None:
    """The content of `sweep.json`; None if there is none that can be read."""
    try:
        return read_json(folder / PLAN)
    except InputError:
        return None


def load_job(path: Path, name: str) -> Job:
    """How far the run in `path` has come."""
    try:
        status = json.loads((path / "status.json").read_text(encoding="utf-8"))
    except FileNotFoundError:
        return Job(name, path, "waiting", {})
    except (OSError, ValueError) as error:
        return Job(name, path, "failed", {"error": f"status.json cannot be read: {error}"})
    state = str(status.get("state"))
    if state == "running" and not alive(status):
        state = "killed"
    return Job(name, path, state if state in STATES else "waiting", status)


def alive(process: dict[str, Any]) -> bool:
    """Whether the process `pid` on `host` still exists; taken for granted on another machine."""
    pid = process.get("pid")
    if not isinstance(pid, int) or process.get("host") != platform.node():
        return pid is not None
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:
        return True
    return True


def one_line(text: str | None, longest: int = 160) -> str:
    """A text in one line, shortened."""
    first = " ".join((text or "").split())
    return first if len(first) <= longest else first[: longest - 1] + "…"
