"""The run directory: what every run leaves behind, written atomically, readable half-way.

config.yaml  status.json  data.json  trajectories.npz  metrics.csv  checkpoints/  messages.npz
analysis.json  equations.json  law.json  law/  rollout.npz  figures/*.png  report.html
"""

from __future__ import annotations

import json
import os
import platform
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import filelock
import numpy as np

from gnn_distill.errors import InputError
from gnn_distill.runs.files import UNFINISHED, atomic, read_json, read_metrics, write_text
from gnn_distill.runs.provenance import commit, peak_rss_mib, versions

OUTPUTS = {
    "simulate": ("data.json", "trajectories.npz"),
    "train": ("checkpoints/last.ckpt", "metrics.csv"),
    "analyse": ("analysis.json", "messages.npz"),
    "distil": ("equations.json", "law.json"),
    "report": ("report.html",),
}
STAGES = tuple(OUTPUTS)


class RunIsBusyError(InputError):
    """Another process writes the run directory."""


class RunDirectory:
    """Writes and reads the files of one run.

    Args:
        path: the folder; made if missing.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        path.mkdir(parents=True, exist_ok=True)
        self.status = self._read_status()

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Keep other processes from writing here; the lock goes with the process, however it ends.

        Raises:
            RunIsBusyError: another process holds the lock.
        """
        lock, owner = filelock.FileLock(self.path / ".lock"), self.path / ".owner"
        try:
            lock.acquire(timeout=0)
        except filelock.Timeout as error:
            who = owner.read_text(encoding="utf-8") if owner.exists() else "another process"
            fix = f"{who} is writing this run directory: wait for it or stop it"
            raise RunIsBusyError("run directory", str(self.path), fix) from error
        try:
            self.write_text(".owner", f"process {os.getpid()} on {platform.node()}")
            for left in self.path.rglob(f"{UNFINISHED}*"):  # of a process that was killed while it wrote
                left.unlink(missing_ok=True)
            self.status = self._read_status()
            yield
        finally:
            lock.release()

    def found(self) -> str | None:
        """What an earlier start has left in this folder, in a sentence; None if there was none."""
        state, stage, error = (self.status.get(key) for key in ("state", "stage", "error"))
        if state == "new":
            return None
        if state == "complete":
            return f"{self.path} holds a complete run; what has not changed is kept"
        how = {"running": "that was killed", "interrupted": "that was stopped"}.get(str(state), "that failed")
        where = f" in {stage}" if stage else ""
        why = f" ({' '.join(str(error).split())[:160]})" if error and state == "failed" else ""
        rows = read_metrics(self.path / "metrics.csv") if stage == "train" else []
        epochs = f" after {len(rows)} epochs" if rows else ""
        return f"{self.path} holds a run {how}{where}{epochs}{why}; it goes on from there"

    def begin(self, seed: int) -> None:
        """Mark the run as running, with what is needed to repeat it."""
        here = {"versions": versions(), "commit": commit(), "pid": os.getpid(), "host": platform.node()}
        self._update(state="running", error=None, seed=seed, **here)

    def finish(self) -> None:
        """Mark the run as complete."""
        self._update(state="complete", stage=None)

    def fail(self, error: BaseException) -> None:
        """Mark the run as failed, or as interrupted if `error` says so."""
        stopped = isinstance(error, KeyboardInterrupt | SystemExit)
        state = "interrupted" if stopped else "failed"
        self._update(state=state, error=f"{type(error).__name__}: {error}")

    def is_done(self, stage: str, key: str) -> bool:
        """Whether `stage` completed with the same inputs and its outputs are still there."""
        there = all((self.path / name).exists() for name in OUTPUTS[stage])
        return there and self.is_begun(stage, key) and self.status["stages"][stage].get("complete", False)

    def is_begun(self, stage: str, key: str) -> bool:
        """Whether `stage` was started with the same inputs, so that its checkpoint may be resumed."""
        return self.status["stages"].get(stage, {}).get("key") == key

    @contextmanager
    def stage(self, name: str, key: str) -> Iterator[None]:
        """Record a stage's inputs, wall seconds, peak memory, and its error if it fails."""
        start = time.perf_counter()
        stages = self.status["stages"]
        spent = stages[name].get("seconds", 0.0) if self.is_begun(name, key) else 0.0
        entry = stages[name] = {"key": key, "complete": False, "seconds": spent}
        for later in STAGES[STAGES.index(name) + 1 :]:  # their input changes
            stages.get(later, {})["complete"] = False
        self._update(stage=name)
        try:
            yield
            entry["complete"] = True
        except BaseException as error:
            self.fail(error)
            raise
        finally:
            entry["seconds"] = round(spent + time.perf_counter() - start, 3)
            self._update(peak_rss_mib=max(peak_rss_mib(), self.status.get("peak_rss_mib", 0.0)))

    def write_json(self, name: str, content: Any) -> None:
        """Write `content` atomically: arrays as lists, NaN and infinity as null."""
        text = json.dumps(content, default=lambda array: array.tolist())
        numbers = json.loads(text, parse_constant=lambda name: None)
        self.write_text(name, json.dumps(numbers, indent=1) + "\n")

    def write_text(self, name: str, text: str) -> None:
        """Write a text file atomically."""
        write_text(self.path / name, text)

    def write_arrays(self, name: str, arrays: dict[str, Any]) -> None:
        """Write a compressed `.npz` atomically."""
        with atomic(self.path / name) as temporary, temporary.open("wb") as file:
            np.savez_compressed(file, **arrays)

    def _read_status(self) -> dict[str, Any]:
        file = self.path / "status.json"
        status: dict[str, Any] = {"state": "new", "stage": None, "error": None, "stages": {}}
        if file.exists():
            status |= read_json(file) or {}
        if not isinstance(status["stages"], dict):
            fix = "its stages are not a mapping: delete it to do all stages again"
            raise InputError("status.json", str(file), fix)
        return status

    def _update(self, **changes: Any) -> None:
        """Change entries of the status and write it."""
        self.status |= changes
        self.write_json("status.json", self.status)
