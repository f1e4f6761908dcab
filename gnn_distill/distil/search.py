"""Equations for each target, and what is to be thought of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import joblib
import numpy as np
from threadpoolctl import threadpool_limits

from gnn_distill.build import Experiment
from gnn_distill.distil.targets import Problem, problem
from gnn_distill.symbolic.extrapolate import Extrapolation, extrapolate
from gnn_distill.symbolic.family import Target
from gnn_distill.symbolic.front import Front
from gnn_distill.symbolic.given import GivenEngine
from gnn_distill.symbolic.joint import Joint, along, vector_fronts
from gnn_distill.symbolic.memory import FileMemory
from gnn_distill.symbolic.refine import DELTAS
from gnn_distill.symbolic.verdict import Verdict, data_ranges, judge


@dataclass(frozen=True)
class Found:
    """What came of one target.

    Attributes:
        problem: the target and its points.
        fronts: one for each component.
        joint: the one equation for all of them; None where components were searched one by one.
        verdicts: one for each component; None where the true law is unknown.
        extrapolations: one for each component.
    """

    problem: Problem
    fronts: tuple[Front, ...]
    joint: Joint | None
    verdicts: tuple[Verdict, ...] | None
    extrapolations: tuple[Extrapolation, ...]

    @property
    def picks(self) -> list[int]:
        """Which equation of each front to believe: the recovered one, else the one that extrapolates."""
        known = self.verdicts or [None] * len(self.fronts)
        return [
            e.equation if v is None or v.equation is None else v.equation
            for v, e in zip(known, self.extrapolations, strict=True)
        ]

    def section(self) -> dict[str, Any]:
        """This target's part of `equations.json`."""
        components = []
        for k, (label, front) in enumerate(zip(self.problem.labels, self.fronts, strict=True)):
            verdict = None if self.verdicts is None else self.verdicts[k].to_dict()
            components.append(
                {
                    "dim": label,
                    "front": front.to_dict()["equations"],
                    "score_pick": front.score_pick,
                    "choice": front.choice,
                    "extrapolation": self.extrapolations[k].to_dict(),
                    "verdict": verdict,
                }
            )
        joint = None
        if self.joint is not None:
            joint = {"front": self.joint.front.to_dict()["equations"], "across": self.joint.across}
        return {
            "target": self.problem.target,
            "variables": self.problem.names,
            "mass_slope": self.problem.mass_slope,
            "joint": joint,
            "components": components,
        }


def search(experiment: Experiment, target: str, folder: Path, key: str) -> Found:
    """Equations, verdicts and extrapolations of one target.

    Args:
        experiment: with a trained network.
        target: one of `TARGETS`.
        folder: where searches leave their fronts while they work.
        key: of the stage; fronts that were left under another key are not used.
    """
    with threadpool_limits(1):
        posed = problem(experiment, target)
        joint = _joint(experiment, posed, folder, key) if _shares_one_law(experiment, target) else None
        fronts = _one_by_one(experiment, posed, folder, key) if joint is None else joint.components
        extrapolations = [extrapolate(f, *posed.points(k)) for k, f in enumerate(fronts)]
        return Found(posed, fronts, joint, _judged(experiment, posed, fronts), tuple(extrapolations))


def equations(experiment: Experiment, found: list[Found]) -> dict[str, Any]:
    """The content of `equations.json`: the first target, and the others under `also`, by their names."""
    first, *others = (f.section() for f in found)
    return {"engine": experiment.engine.name, **first, "also": {s["target"]: s for s in others}}


def _shares_one_law(experiment: Experiment, target: str) -> bool:
    engine = experiment.engine
    radial = not isinstance(engine, GivenEngine) or engine.radial
    return target == "pullback" and experiment.config["symbolic"]["joint"] and radial


def _joint(experiment: Experiment, posed: Problem, folder: Path, key: str) -> Joint | None:
    """One equation for all components; None where the law does not point along Δ."""
    delta = posed.X[:, [posed.names.index(d) for d in DELTAS if d in posed.names]]
    inputs = [k for k, name in enumerate(posed.names) if name not in DELTAS]
    size, _ = along(delta, posed.values)
    front = experiment.engine.fit(
        posed.X[:, inputs],
        size,
        [posed.names[k] for k in inputs],
        posed.weights,
        seed=experiment.config["seed"],
        progress=_progress(experiment, f"{posed.target}, all components"),
        memory=FileMemory(folder / f"{posed.target}.json", key),
    )
    joint = vector_fronts(front, posed.X, posed.names, posed.values)
    if joint.central:
        return joint
    experiment.report.line("  these forces do not point along Δ: searching component by component")
    return None


def _one_by_one(experiment: Experiment, posed: Problem, folder: Path, key: str) -> tuple[Front, ...]:
    def fit(k: int) -> Front:
        label = posed.labels[k]
        return experiment.engine.fit(
            posed.X,
            posed.values[:, k],
            posed.names,
            posed.weights,
            seed=experiment.config["seed"] + k,
            progress=_progress(experiment, f"{posed.target} {label}"),
            memory=FileMemory(folder / f"{posed.target}_{label}.json", key),
        )

    jobs = min(experiment.config["symbolic"]["jobs"], len(posed.labels))
    work = (joblib.delayed(fit)(k) for k in range(len(posed.labels)))
    return tuple(joblib.Parallel(n_jobs=jobs, backend="threading")(work))


def _progress(experiment: Experiment, what: str) -> Callable[[str], None]:
    return lambda line: experiment.report.line(f"  {what}: {line}")


def _judged(experiment: Experiment, posed: Problem, fronts: tuple[Front, ...]) -> tuple[Verdict, ...] | None:
    law, edges = experiment.source.law, experiment.recording.edges
    if law is None:
        return None
    ranges = data_ranges(np.asarray(edges.variables), edges.names)
    kind: Target = "pullback" if posed.target == "pullback" else "components"
    return tuple(judge(fronts, law, edges.names, dim=edges.delta.shape[1], target=kind, ranges=ranges))
