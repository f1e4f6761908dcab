"""The pruning grid: schedules × end fractions, and its winner."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from gnn_distill.runs.load import Run
from gnn_distill.runs.sweep import Sweep

NAMES = {"linear": "linear", "exponential": "exp", "cosine": "cosine"}
"""Config options of the schedules by the names of their functions."""


@dataclass(frozen=True)
class Winner:
    """The cell of a grid with the best R² on validation graphs, in the mean over its seeds."""

    schedule: str
    end: float
    validation: float


def schedule_of(config: dict[str, Any]) -> tuple[str, float] | None:
    """Pruning schedule and end fraction of a run; None for a run that does not prune."""
    prune = (config.get("callbacks") or {}).get("prune") or {}
    target = str((prune.get("schedule") or {}).get("_target_", "")).rpartition(".")[2]
    return (NAMES.get(target, target), float(prune["end"])) if target and "end" in prune else None


def validation_r2(run: Run) -> float | None:
    """Mean robust R² of the messages in the best gauge, on validation graphs."""
    best = ((run.analysis or {}).get("validation") or {}).get("best") or {}
    return best.get("robust_mean")


def best_cell(runs: Sequence[Run]) -> Winner | None:
    """The winner among runs that prune; None if no run has been scored on validation graphs."""
    scores: dict[tuple[str, float], list[float]] = {}
    for run in runs:
        cell, score = schedule_of(run.config), validation_r2(run)
        if cell is not None and score is not None:
            scores.setdefault(cell, []).append(score)
    if not scores:
        return None
    means = {cell: float(np.mean(found)) for cell, found in scores.items()}
    cell = max(means, key=lambda key: means[key])
    return Winner(*cell, means[cell])


def winner(sweep: Sweep) -> Winner | None:
    """The winner of a grid all of whose jobs are complete and scored; None before that."""
    runs = sweep.runs
    done = all(job.state == "complete" for job in sweep.jobs)
    return best_cell(runs) if done and all(validation_r2(run) is not None for run in runs) else None
