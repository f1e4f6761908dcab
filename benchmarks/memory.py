"""Memory of one process over many epochs, and over many jobs of a sweep.

    python -m benchmarks.memory --epochs 50
    python -m benchmarks.memory --jobs 30

Prints resident memory after each epoch or job, and its growth over the second half.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

import gnn_distill.cli.job
import gnn_distill.pipeline.stages
from gnn_distill.cli import main as cli
from gnn_distill.train.epochs import EpochLog

SMALL = [
    "profile=smoke",
    "symbolic.engine.restarts=1",
    "symbolic.engine.generations=5",
    "symbolic.engine.population=100",
    "symbolic.engine.functions=[]",
    "symbolic.points=300",
    "symbolic.rollouts=1",
    "symbolic.jobs=1",
    "threads=1",
]


def resident() -> float:
    """Resident memory of this process in MiB."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


def watched(function: Callable[..., Any], seen: list[float]) -> Callable[..., Any]:
    """The function, with the memory noted after each call."""

    def call(*arguments: Any, **named: Any) -> Any:
        result = function(*arguments, **named)
        seen.append(resident())
        return result

    return call


def slope(seen: list[float]) -> float:
    """Growth per step over the second half, in MiB, from a straight line through it."""
    half = np.array(seen[len(seen) // 2 :])
    return float(np.polyfit(np.arange(len(half)), half, 1)[0])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--epochs", type=int, default=0)
    parser.add_argument("--jobs", type=int, default=0)
    given = parser.parse_args()
    seen: list[float] = []
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        os.environ["GNN_DISTILL_CACHE"] = str(Path(folder) / "cache")
        if given.epochs:
            EpochLog.on_train_epoch_end = watched(EpochLog.on_train_epoch_end, seen)  # type: ignore[method-assign]
            arguments = [f"profile.epochs={given.epochs}", "stages=[simulate,train]"]
        else:
            gnn_distill.cli.job.run_job = watched(gnn_distill.cli.job.run_job, seen)
            seeds = ",".join(map(str, range(given.jobs)))
            arguments = ["-m", f"seed={seeds}", "dataset.seed=0", "profile.epochs=2", "hydra.sweep.dir=sweep"]
        sys.argv = ["gnn-distill", *arguments, *SMALL]
        cli.main()
    print("MiB:", " ".join(f"{value:.0f}" for value in seen))
    print(
        f"{len(seen)} steps: {seen[0]:.0f} to {seen[-1]:.0f} MiB; second half {slope(seen):+.2f} MiB a step"
    )


if __name__ == "__main__":
    main()
