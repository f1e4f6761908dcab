"""Symbolic regression by operon: genetic programming in C++, in this process, without Julia."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import numpy.typing as npt
import sympy

from gnn_distill.errors import InputError, check_int, check_range
from gnn_distill.symbolic.engine import Progress, check_problem
from gnn_distill.symbolic.front import Front
from gnn_distill.symbolic.parse import parse
from gnn_distill.symbolic.points import Points, trim
from gnn_distill.symbolic.refine import clean_front

Array = npt.NDArray[np.float64]

ARITHMETIC = ("add", "sub", "mul", "div")
EXTRA = ("exp", "log", "pow")
DIGITS = 17
NO_LIMIT = 10**9


@dataclass(frozen=True)
class OperonEngine:
    """Restarts of a two-objective search (error, length) on sub-samples, pooled and cleaned.

    ```yaml
    engine: {_target_: gnn_distill.symbolic.operon.OperonEngine, restarts: 3, generations: 500}
    ```

    Args:
        restarts: independent searches, each with its own seed and sub-sample.
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
        poor: the second pass runs where the best equation of the first leaves more than this
            share of the mean deviation from the median; 1 means never for that reason.
        large: it runs, too, where the simplest good equation of the first is more complex than this:
            arithmetic then imitates something that it cannot say.
        n_threads: threads of a search; the result does not depend on it.
    """

    restarts: int = 3
    subsample: int = 500
    generations: int = 500
    population: int = 1000
    max_length: int = 30
    max_depth: int = 10
    near: float = 0.02
    tail: float = 0.03
    fit_points: int = 1500
    functions: tuple[str, ...] = EXTRA
    poor: float = 0.2
    large: int = 20
    n_threads: int = 1

    name: ClassVar[str] = "operon"

    def __post_init__(self) -> None:
        for field, low, high in (
            ("restarts", 1, 1000),
            ("subsample", 50, 10**6),
            ("generations", 1, 10**6),
            ("population", 10, 10**6),
            ("max_length", 5, 200),
            ("max_depth", 2, 50),
            ("fit_points", 50, 10**6),
            ("large", 1, 10**6),
            ("n_threads", 1, 1024),
        ):
            check_int(f"symbolic.engine.{field}", getattr(self, field), low, high)
        check_range("symbolic.engine.near", self.near, 0.0, 0.5)
        check_range("symbolic.engine.tail", self.tail, 0.0, 0.5)
        check_range("symbolic.engine.poor", self.poor, 0.0, 1.0)
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
    ) -> Front:
        """The front of equations for y; see `gnn_distill.symbolic.engine.Engine.fit`."""
        points = trim(Points(*check_problem(X, y, names, weights), tuple(names)), self.near, self.tail)
        check_problem(points.X, points.y, names, points.weights)
        report = progress or (lambda _: None)
        rng = np.random.default_rng([seed, 0])
        fit_points = points.sample(self.fit_points, rng)
        raw = self._search(points, ARITHMETIC, (seed, 1), report)
        front = clean_front(raw, points, fit_points)
        imitates = front.equations[front.choice].complexity > self.large
        if self.functions and (imitates or _share(front, points) > self.poor):
            report("arithmetic alone is not enough: searching again with " + ", ".join(self.functions))
            raw = self._search(points, ARITHMETIC + self.functions, (seed, 2), report)
            raw += [e.expression for e in front.equations]
            front = clean_front(raw, points, fit_points)
        best = front.equations[front.choice]
        report(f"simplest good equation: {sympy.N(best.expression, 4)}  (loss {best.loss:.3g})")
        return front

    def _search(
        self, points: Points, functions: Sequence[str], seed: tuple[int, int], report: Progress
    ) -> list[sympy.Expr]:
        found: list[sympy.Expr] = []
        for restart in range(self.restarts):
            rng = np.random.default_rng([*seed, restart])
            part = points.sample(self.subsample, rng)
            found += self._run(part, functions, int(rng.integers(2**31)))
            report(f"search {restart + 1} of {self.restarts}: {len(found)} equations")
        return found

    def _run(self, points: Points, functions: Sequence[str], seed: int) -> list[sympy.Expr]:
        from pyoperon.sklearn import SymbolicRegressor

        scale, unit = _spread(points.X), float(_spread(points.y))
        regressor = SymbolicRegressor(
            allowed_symbols=",".join((*functions, "constant", "variable")),
            objectives=["mse", "length"],
            optimizer_iterations=0,
            max_length=self.max_length,
            max_depth=self.max_depth,
            population_size=self.population,
            pool_size=self.population,
            generations=self.generations,
            max_evaluations=NO_LIMIT,
            crossover_probability=1.0,
            mutation_probability=0.25,
            tournament_size=5,
            epsilon=1e-5,
            n_threads=self.n_threads,
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
