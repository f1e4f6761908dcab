"""Symbolic regression by operon: genetic programming in C++, in this process, without Julia."""

from __future__ import annotations

import time
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar

import numpy as np
import sympy

from gnn_distill.arrays import Array
from gnn_distill.distil.engines.engine import Memory, Progress, check_problem
from gnn_distill.distil.expressions.front import Front
from gnn_distill.distil.expressions.parse import parse
from gnn_distill.distil.expressions.points import Points, trim
from gnn_distill.distil.expressions.refine import clean_front
from gnn_distill.errors import InputError, check_int, check_range

ARITHMETIC = ("add", "sub", "mul", "div")
EXTRA = ("exp", "log", "pow")
DIGITS = 17
NO_LIMIT = 10**9
SAME = 0.97
"""A restart has improved on the others where it lowers the loss to less than this share."""
DOUBT = 1
"""More restarts that must change nothing where the front fits badly: some laws are found by luck only,
since no part of them explains anything (q1·q2 with charges of ±1)."""
EXACT = 0.01
"""A front that leaves no more of the mean deviation is good up to twice the complexity `large`."""


@dataclass(frozen=True)
class OperonEngine:
    """Restarts of a two-objective search (error, length) on sub-samples, merged and cleaned.

    A pass ends when `stable` restarts in a row have not improved the front (one more where it fits badly),
    or when `restarts` or the time are spent. What restarts find is merged and cleaned after each.

    ```yaml
    engine: {_target_: gnn_distill.distil.engines.operon.OperonEngine, restarts: 5, generations: 250}
    ```

    Args:
        restarts: most independent searches, each with its own seed and sub-sample.
        stable: restarts in a row that change nothing, after which a good front is believed.
        subsample: points that a search sees.
        generations: length of a search; the budget is counted, not timed, so that a seed gives
            the same equations everywhere.
        population: equations alive in a search.
        max_length: most nodes of an equation.
        max_depth: most levels of an equation.
        near: share of the points dropped at the smallest r.
        tail: share of the rest dropped at the largest deviation from the median.
        fit_points: points that constants are fitted to.
        functions: tried besides + − × / in a second pass; any of exp, log, pow.
        poor: a front fits well if its best equation leaves at most this share of the mean deviation from
            the median; the second pass runs where no restart of the first gave one. 1 accepts any.
        large: the second pass runs, too, where the simplest good equation of the first is more complex than
            this (twice this if it is exact): arithmetic then imitates something that it cannot say.
        time_limit: seconds for one component, or null. Only a search that it cuts short depends on the
            speed of the machine.
        n_threads: threads of a search; the result does not depend on it.
    """

    restarts: int = 5
    stable: int = 3
    subsample: int = 500
    generations: int = 250
    population: int = 1000
    max_length: int = 30
    max_depth: int = 10
    near: float = 0.02
    tail: float = 0.03
    fit_points: int = 1500
    functions: tuple[str, ...] = EXTRA
    poor: float = 0.2
    large: int = 24
    time_limit: float | None = None
    n_threads: int = 1

    name: ClassVar[str] = "operon"

    def __post_init__(self) -> None:
        for name, low, high in (
            ("restarts", 1, 1000),
            ("stable", 1, 1000),
            ("subsample", 50, 10**6),
            ("generations", 1, 10**6),
            ("population", 10, 10**6),
            ("max_length", 5, 200),
            ("max_depth", 2, 50),
            ("fit_points", 50, 10**6),
            ("large", 1, 10**6),
            ("n_threads", 1, 1024),
        ):
            check_int(f"symbolic.engine.{name}", getattr(self, name), low, high)
        check_range("symbolic.engine.near", self.near, 0.0, 0.5)
        check_range("symbolic.engine.tail", self.tail, 0.0, 0.5)
        check_range("symbolic.engine.poor", self.poor, 0.0, 1.0)
        if self.time_limit is not None:
            check_range("symbolic.engine.time_limit", self.time_limit, 1.0)
        object.__setattr__(self, "functions", tuple(self.functions))
        for function in self.functions:
            if function not in EXTRA:
                raise InputError("symbolic.engine.functions", function, f"choose from {', '.join(EXTRA)}")

    def fit(
        self,
        X: Array,
        y: Array,
        names: Sequence[str],
        weights: Array | None = None,
        *,
        seed: int,
        progress: Progress | None = None,
        memory: Memory | None = None,
    ) -> Front:
        """The front of equations for y; see `gnn_distill.distil.engines.engine.Engine.fit`."""
        points = trim(Points(*check_problem(X, y, names, weights), tuple(names)), self.near, self.tail)
        check_problem(points.X, points.y, names, points.weights)
        return _Search(self, points, seed, progress or (lambda _: None), memory).run()


@dataclass(frozen=True)
class _State:
    """How far a search has come: pass 0 (arithmetic) or 1, restarts done in it, and its front."""

    stage: int = 0
    restart: int = 0
    unchanged: int = 0
    front: Front | None = None

    def to_dict(self) -> dict[str, Any]:
        front = None if self.front is None else self.front.to_dict()
        return {"stage": self.stage, "restart": self.restart, "unchanged": self.unchanged, "front": front}

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> _State:
        front = None if data["front"] is None else Front.from_dict(data["front"])
        return cls(int(data["stage"]), int(data["restart"]), int(data["unchanged"]), front)


@dataclass(frozen=True)
class _Search:
    """The restarts for one component, both passes."""

    engine: OperonEngine
    points: Points
    seed: int
    report: Progress
    memory: Memory | None
    begun: float = field(default_factory=time.monotonic)

    def run(self) -> Front:
        engine, state = self.engine, self._loaded()
        while state.stage < 2:
            functions = ARITHMETIC if state.stage == 0 else ARITHMETIC + engine.functions
            while not self._ended(state):
                state = self._restart(state, functions)
            last = state.stage == 1 or not engine.functions or self._good(state.front) or self._left() <= 0
            if not last:
                self.report("arithmetic is not enough: searching again with " + ", ".join(engine.functions))
            state = self._saved(replace(state, stage=2 if last else 1, restart=0, unchanged=0))
        if state.front is None:
            raise InputError("symbolic.engine.time_limit", engine.time_limit, "give more time")
        best = state.front.equations[state.front.choice]
        self.report(f"simplest good equation: {sympy.N(best.expression, 4)}  (loss {best.loss:.3g})")
        return state.front

    def _ended(self, state: _State) -> bool:
        if state.front is not None and self._left() <= 0:
            return True
        if state.front is None or state.restart >= self.engine.restarts:
            return state.front is not None
        doubtful = state.stage == 0 and _share(state.front, self.points) > self.engine.poor
        return state.unchanged >= self.engine.stable + (DOUBT if doubtful else 0)

    def _good(self, front: Front | None) -> bool:
        """Whether the front's best equation fits well, and its simplest good one is simple."""
        if front is None:
            return False
        share, size = _share(front, self.points), front.equations[front.choice].complexity
        exact = share <= EXACT and size <= 2 * self.engine.large
        return exact or (share <= self.engine.poor and size <= self.engine.large)

    def _restart(self, state: _State, functions: Sequence[str]) -> _State:
        rng = np.random.default_rng([self.seed, 1 + state.stage, state.restart])
        part = self.points.sample(self.engine.subsample, rng)
        raw = _evolve(self.engine, part, functions, int(rng.integers(2**31)), self._left())
        known = [] if state.front is None else [e.expression for e in state.front.equations]
        fit_points = self.points.sample(self.engine.fit_points, np.random.default_rng([self.seed, 0]))
        front = clean_front(raw, self.points, fit_points, known)
        front = Front.from_dict(front.to_dict())  # as a resumed search reads it: both must go on alike
        unchanged = state.unchanged + 1 if _same(state.front, front) else 0
        best = front.equations[front.choice]
        self.report(
            f"search {state.restart + 1} of at most {self.engine.restarts}: loss {best.loss:.3g}, "
            f"complexity {best.complexity}: {str(sympy.N(best.expression, 4))[:70]}"
        )
        return self._saved(_State(state.stage, state.restart + 1, unchanged, front))

    def _left(self) -> float:
        limit = self.engine.time_limit
        return np.inf if limit is None else limit - (time.monotonic() - self.begun)

    def _loaded(self) -> _State:
        saved = None if self.memory is None else self.memory.load()
        return _State() if saved is None else _State.from_dict(saved)

    def _saved(self, state: _State) -> _State:
        if self.memory is not None:
            self.memory.save(state.to_dict())
        return state


def _same(before: Front | None, now: Front) -> bool:
    """Whether a restart has neither lowered the loss nor made the choice simpler."""
    if before is None:
        return False
    old, new = (f.equations[f.choice].complexity for f in (before, now))
    return now.equations[-1].loss > SAME * before.equations[-1].loss and new >= old


def _evolve(
    engine: OperonEngine, points: Points, functions: Sequence[str], seed: int, seconds: float
) -> list[sympy.Expr]:
    """The equations of one search."""
    from pyoperon.sklearn import SymbolicRegressor

    scale, unit = _spread(points.X), float(_spread(points.y))
    regressor = SymbolicRegressor(
        allowed_symbols=",".join((*functions, "constant", "variable")),
        objectives=["mse", "length"],
        optimizer_iterations=0,
        max_length=engine.max_length,
        max_depth=engine.max_depth,
        population_size=engine.population,
        pool_size=engine.population,
        generations=engine.generations,
        max_evaluations=NO_LIMIT,
        max_time=None if np.isinf(seconds) else max(1, round(seconds)),
        crossover_probability=1.0,
        mutation_probability=0.25,
        tournament_size=5,
        epsilon=1e-5,
        n_threads=engine.n_threads,
        uncertainty=[1.0],
        random_state=seed,
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        regressor.fit(points.X / scale, points.y / unit)
        texts = [regressor.get_model_string(e["tree"], DIGITS) for e in regressor.pareto_front_]
    return list(_read(texts, points.names, scale, unit))


def _read(texts: Sequence[str], names: Sequence[str], scale: Array, unit: float) -> Iterator[sympy.Expr]:
    """Operon's equations, in X1, X2, … in units of the spreads, as equations in `names`."""
    columns = [f"X{i + 1}" for i in range(len(names))]
    undo = {
        sympy.Symbol(c): sympy.Symbol(n) / sympy.Float(float(s))
        for c, n, s in zip(columns, names, scale, strict=True)
    }
    for text in texts:
        try:
            yield unit * parse(text.replace("^", "**"), columns).xreplace(undo)
        except InputError:
            continue


def _spread(values: Array) -> Array:
    """Standard deviation of each column, one where a column is constant."""
    spread = np.std(values, axis=0)
    return np.where(spread > 0, spread, 1.0)


def _share(front: Front, points: Points) -> float:
    """Loss of the best equation as a share of the mean deviation from the median."""
    flat = points.loss(np.full_like(points.y, np.median(points.y)), points.y)
    return front.equations[-1].loss / max(flat, 1e-300)
