"""Equations for each target of a run, and what is to be thought of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from gnn_distill.build import Experiment
from gnn_distill.distil.solve import Found, Work, solve
from gnn_distill.distil.targets import problem
from gnn_distill.symbolic.memory import FileMemory
from gnn_distill.symbolic.verdict import data_ranges


def search(experiment: Experiment, target: str, folder: Path, key: str) -> Found:
    """Equations, verdicts and extrapolations of one target.

    Args:
        experiment: with a trained network.
        target: one of `TARGETS`.
        folder: where searches leave their fronts while they work.
        key: of the stage; fronts that were left under another key are not used.
    """
    config, edges = experiment.config, experiment.recording.edges
    work = Work(
        experiment.engine,
        config["seed"],
        joint=config["symbolic"]["joint"],
        jobs=config["symbolic"]["jobs"],
        say=experiment.report.line,
        memory=lambda name: FileMemory(folder / f"{name}.json", key),
    )
    ranges = data_ranges(np.asarray(edges.variables), edges.names)
    return solve(work, problem(experiment, target), experiment.source.law, ranges)


def equations(experiment: Experiment, found: list[Found]) -> dict[str, Any]:
    """The content of `equations.json`: the first target, and the others under `also`, by their names."""
    first, *others = (f.section() for f in found)
    return {"engine": experiment.engine.name, **first, "also": {s["target"]: s for s in others}}
