"""Equations for each target of a run, and what is to be thought of them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import sympy
from threadpoolctl import threadpool_limits

from gnn_distill.distil.engines.engine import MIN_POINTS, Engine, Memory
from gnn_distill.distil.engines.given import GivenEngine
from gnn_distill.distil.engines.operon import OperonEngine
from gnn_distill.distil.expressions.front import Front
from gnn_distill.distil.joint import Joint, along, vector_fronts
from gnn_distill.distil.problem import Evidence, Problem, Settings, problem
from gnn_distill.distil.verdict.extrapolate import Extrapolation, borne_out, extrapolate
from gnn_distill.distil.verdict.family import Target, constant_inputs, fresh_points
from gnn_distill.distil.verdict.judge import STILL, Verdict, data_ranges, judge, judge_equation
from gnn_distill.physics.laws import ForceLaw
from gnn_distill.physics.variables import DELTAS, further
from gnn_distill.runs.files import atomic

Ranges = Mapping[str, tuple[float, float]]


@dataclass(frozen=True)
class Work:
    """How a target is searched.

    Attributes:
        engine: finds the equations.
        seed: everything random follows from it.
        joint: search for one equation along Δ that all components share, where the target allows it.
        jobs: components searched side by side, a thread each.
        say: prints one line of text.
        memory: where the search of this name is kept and continued.
        enough: whether a front of the pull-back, along Δ, needs no further search.
    """

    engine: Engine
    seed: int
    joint: bool = True
    jobs: int = 1
    say: Callable[[str], None] = lambda line: None
    memory: Callable[[str], Memory | None] = lambda name: None
    enough: Callable[[Front], bool] | None = None

    def beside(self) -> Work:
        """The same for targets that decide no law: an engine whose patience nobody chose takes less time.

        It waits once, and a search of it sees half the points.
        """
        if not isinstance(self.engine, OperonEngine) or self.engine.patience is not None:
            return self
        half = max(MIN_POINTS, self.engine.subsample // 2)
        return replace(self, engine=replace(self.engine, patience=1, subsample=half))

    def fit(self, name: str, X: Any, y: Any, inputs: list[str], weights: Any, seed: int, what: str) -> Front:
        """The engine's front for one target y [S]."""
        kept = self.memory(name)
        if isinstance(kept, FileMemory):  # the same name may stand for other points later
            points = [np.ascontiguousarray(part, dtype=np.float64) for part in (X, y)]
            kept = replace(
                kept, key=f"{kept.key}-{hashlib.sha256(b''.join(p.tobytes() for p in points)).hexdigest()}"
            )
        return self.engine.fit(
            X, y, inputs, weights,
            seed=seed, progress=lambda line: self.say(f"  {what}: {line}"), memory=kept,
        )  # fmt: skip


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
            picks = {"score_pick": front.score_pick, "choice": front.choice}
            judged = {"extrapolation": asdict(self.extrapolations[k]), "verdict": verdict}
            components.append({"dim": label, "front": front.to_dict()["equations"], **picks, **judged})
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


def search(work: Work, evidence: Evidence, settings: Settings, target: str) -> Found:
    """Equations, verdicts and extrapolations of one target, one of `TARGETS`."""
    edges = evidence.recording.edges
    ranges = data_ranges(np.asarray(edges.variables), edges.names)
    return solve(work, problem(evidence, settings, target), evidence.law, ranges)


def equations(engine: Engine, found: Sequence[Found]) -> dict[str, Any]:
    """The content of `equations.json`: the first target, and the others under `also`, by their names."""
    first, *others = (f.section() for f in found)
    return {"engine": engine.name, **first, "also": {s["target"]: s for s in others}}


def solve(work: Work, posed: Problem, law: ForceLaw | None, ranges: Ranges) -> Found:
    """Equations, verdicts and extrapolations of one target.

    Args:
        work: engine and seed.
        posed: the points.
        law: what verdicts compare with; None where no law is known.
        ranges: of the data, by name, see `gnn_distill.distil.verdict.judge.data_ranges`.
    """
    with threadpool_limits(1):
        joint = _joint(work, posed)
        fronts = _one_by_one(work, posed) if joint is None else joint.components
        extrapolations = tuple(extrapolate(f, *posed.points(k)) for k, f in enumerate(fronts))
        verdicts = None
        if law is not None:
            pairs = zip(_judged(fronts, law, posed, ranges), extrapolations, strict=True)
            verdicts = tuple(borne_out(v, e.inside, e.beyond) for v, e in pairs)
        return Found(posed, fronts, joint, verdicts, extrapolations)


def _judged(fronts: Sequence[Front], law: ForceLaw, posed: Problem, ranges: Ranges) -> list[Verdict]:
    """A verdict for each component; one along which nothing moves says so."""
    kind: Target = "pullback" if posed.target == "pullback" else "components"
    names, fixed = list(ranges), constant_inputs(ranges, posed.names)
    dim = sum(name in DELTAS for name in names)
    found = judge(fronts, law, names, dim=dim, target=kind, ranges=ranges, fixed=fixed)
    return [replace(v, reason=STILL) if posed.still(k) else v for k, v in enumerate(found)]


def confirmed(found: Found, components: Sequence[sympy.Expr], evidence: Evidence) -> Found:
    """The same; a component is recovered, too, where its law as refitted on accelerations is the true one.

    Args:
        found: equations of the pull-back.
        components: of the law that came of them, by axis.
        evidence: with the true law, if it is known.
    """
    if evidence.law is None or found.verdicts is None:
        return found
    edges = evidence.recording.edges
    ranges = data_ranges(np.asarray(edges.variables), edges.names)
    names, dim = list(ranges), edges.delta.shape[1]
    fixed = constant_inputs(ranges, found.problem.names)
    fresh = fresh_points(evidence.law, dim, ranges, fixed=fixed, further=further(names))
    verdicts = []
    for axis, verdict in enumerate(found.verdicts):
        if not verdict.recovered and not found.problem.still(axis):
            refitted = judge_equation(components[axis], evidence.law, names, fresh, axis)
            if refitted.recovered:
                verdict = replace(refitted, reason=f"refitted on accelerations, {refitted.reason}")
        verdicts.append(verdict)
    return replace(found, verdicts=tuple(verdicts))


def _joint(work: Work, posed: Problem) -> Joint | None:
    """One equation for all components; None where none is wanted, or the law does not point along Δ."""
    one_axis = isinstance(work.engine, GivenEngine) and not work.engine.radial
    if posed.target != "pullback" or not work.joint or one_axis:
        return None
    delta = posed.X[:, [posed.names.index(d) for d in DELTAS if d in posed.names]]
    inputs = [k for k, name in enumerate(posed.names) if name not in DELTAS]
    size, _ = along(delta, posed.values)
    what = f"{posed.target}, all components"
    names = [posed.names[k] for k in inputs]
    if type(work.engine) is OperonEngine and work.enough is not None:
        work = replace(work, engine=work.engine.until(work.enough))
    front = work.fit(posed.target, posed.X[:, inputs], size, names, posed.weights, work.seed, what)
    joint = vector_fronts(front, posed.X, posed.names, posed.values)
    if joint.central:
        return joint
    work.say("  these forces do not point along Δ: searching component by component")
    return None


def _one_by_one(work: Work, posed: Problem) -> tuple[Front, ...]:
    def fit(k: int) -> Front:
        name, y = f"{posed.target}_{posed.labels[k]}", posed.values[:, k]
        if posed.still(k):
            return Front.on(posed.points(k)[0], [sympy.Float(float(np.median(y)))])
        what = f"{posed.target} {posed.labels[k]}"
        return work.fit(name, posed.X, y, list(posed.names), posed.weights, work.seed + k, what)

    jobs = min(work.jobs, len(posed.labels))
    calls = (joblib.delayed(fit)(k) for k in range(len(posed.labels)))
    return tuple(joblib.Parallel(n_jobs=jobs, backend="threading")(calls))


@dataclass(frozen=True)
class FileMemory:
    """The state of one search in a JSON file, written atomically.

    Args:
        path: the file.
        key: of the inputs; what was saved under another key is not read.
    """

    path: Path
    key: str

    def load(self) -> dict[str, Any] | None:
        """The saved state; None if there is none, it cannot be read, or it is of other inputs."""
        try:
            saved = json.loads(self.path.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return None
        known = isinstance(saved, dict) and saved.get("key") == self.key
        return saved.get("state") if known else None

    def save(self, state: Mapping[str, Any]) -> None:
        """Put `state` in the place of what was there."""
        with atomic(self.path) as temporary:
            temporary.write_text(json.dumps({"key": self.key, "state": state}), encoding="utf-8")
