"""Symbolic regression by operon: genetic programming in C++, in this process, without Julia."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np
import sympy

from gnn_distill.arrays import spread
from gnn_distill.distil.engines.engine import MIN_POINTS, Memory, Progress, TrimmingEngine, check_problem
from gnn_distill.distil.expressions.front import Front
from gnn_distill.distil.expressions.parse import parse_all
from gnn_distill.distil.expressions.points import Points
from gnn_distill.distil.expressions.refine import clean_front
from gnn_distill.errors import check_choice, check_int, check_range
from gnn_distill.physics.variables import DELTAS

ARITHMETIC = ("add", "sub", "mul", "div")
EXTRA = ("exp", "log", "pow", "sqrt", "tanh", "sin", "cos")
DIGITS = 17
"""Digits of operon's constants, as many as a double has."""
NO_LIMIT = 10**9
"""Evaluations that operon may make: the number of generations is what ends a search."""
SAME = 0.97
"""A restart has improved on the others where it lowers the loss to less than this share."""
PATIENCE = 2
"""Restarts without improvement that end a search where none are said."""
BADLY, DOUBT = 0.2, 1
"""Where the best equation leaves more than this share of the mean deviation from the median, so many more
restarts must change nothing: some laws are found by luck only, since no part of them explains anything
(q1·q2 with charges of ±1)."""


@dataclass(frozen=True)
class OperonEngine(TrimmingEngine):
    """Restarts of a two-objective search (error, length) on sub-samples, merged and cleaned.

    A restart searches with + − × / only; the first one and every second after it search again, with
    `functions` besides. The search ends when `patience` restarts in a row have not improved the front (one
    more where it fits badly), or when `restarts` or the time are spent. What restarts find is merged and
    cleaned after each. Distances are seen in units of their median, other quantities of their spread, so that
    nothing depends on the units of the data.

    An equation's complexity counts one for each + − × /, number and variable, three for exp, log, a power,
    sin, cos and tanh; √x is a power. A function of a function is left out, see `nested`.

    ```yaml
    engine: {_target_: gnn_distill.distil.engines.operon.OperonEngine, restarts: 5, generations: 250}
    ```

    Args:
        restarts: most independent searches, each with its own seed and sub-sample.
        patience: restarts in a row without improvement after which it ends; None for two, and one, on
            half the `subsample`, for targets after the first.
        subsample: points that a search sees.
        generations: length of a search; the budget is counted, not timed, so that a seed gives
            the same equations everywhere.
        population: equations alive in a search.
        max_length: most nodes of an equation.
        max_depth: most levels of an equation.
        drop_nearest: share of the points left out at the smallest r.
        drop_outliers: share of the rest left out, those furthest from the median of y.
        fit_points: points that constants are fitted to.
        functions: of the second search of a restart, besides + − × /: any of exp, log, pow, sqrt, tanh,
            sin, cos; none for no second search.
        seconds: of the processor, for further rounds where no law is as exact as the labels; 0 for none.
            Only a search that is cut short by them depends on the speed of the machine.
        time_limit: seconds for one component, or null. Only a search that it cuts short depends on the
            speed of the machine.
        n_threads: threads of a search; the result does not depend on it.
    """

    restarts: int = 5
    patience: int | None = None
    subsample: int = 500
    generations: int = 250
    population: int = 1000
    max_length: int = 30
    max_depth: int = 10
    fit_points: int = 1500
    functions: tuple[str, ...] = EXTRA
    seconds: float = 30.0
    time_limit: float | None = None
    n_threads: int = 1

    name: ClassVar[str] = "operon"

    def __post_init__(self) -> None:
        super().__post_init__()
        least = dict.fromkeys(("restarts", "generations", "n_threads"), 1)
        least |= {} if self.patience is None else {"patience": 1}
        least |= {"subsample": MIN_POINTS, "fit_points": MIN_POINTS, "population": 10}
        for name, low in least.items():
            check_int(f"symbolic.engine.{name}", getattr(self, name), low)
        check_int("symbolic.engine.max_length", self.max_length, 5, 200)
        check_int("symbolic.engine.max_depth", self.max_depth, 2, 50)
        check_range("symbolic.engine.seconds", self.seconds, 0.0)
        if self.time_limit is not None:
            check_range("symbolic.engine.time_limit", self.time_limit, 1.0)
        object.__setattr__(self, "functions", tuple(self.functions))
        for function in self.functions:
            check_choice("symbolic.engine.functions", function, EXTRA)

    def search(self, points: Points, seed: int, say: Progress, memory: Memory | None) -> Front:
        """The front of all restarts."""
        check_problem(points.X, points.y, points.names, points.weights)
        return _Search(self, points, seed, say, memory).run()

    def satisfied(self, front: Front) -> bool:
        """Whether a front needs no further restart; points alone never tell."""
        return False

    def until(self, enough: Callable[[Front], bool]) -> OperonEngine:
        """The same engine, which ends a search as soon as `enough` is true of its front."""
        return _Until(**vars(self), enough=enough)


@dataclass(frozen=True)
class _Until(OperonEngine):
    """See `OperonEngine.until`."""

    enough: Callable[[Front], bool] = lambda front: False

    def satisfied(self, front: Front) -> bool:
        return self.enough(front)


@dataclass(frozen=True)
class _State:
    """How far a search has come.

    Attributes:
        restart: restarts done.
        unchanged: restarts in a row that have not improved the front.
        front: what was found so far.
    """

    restart: int = 0
    unchanged: int = 0
    front: Front | None = None

    def to_dict(self) -> dict[str, Any]:
        return vars(self) | {"front": self.front and self.front.to_dict()}

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> _State:
        return cls(**data | {"front": data["front"] and Front.from_dict(data["front"])})


@dataclass(frozen=True)
class _Search:
    """The restarts for one component."""

    engine: OperonEngine
    points: Points
    seed: int
    say: Progress
    memory: Memory | None
    begun: float = field(default_factory=time.monotonic)

    def run(self) -> Front:
        state = self._loaded()
        while state.front is None or not self._ended(state, state.front):
            state = self._restart(state)
            if self.memory is not None:
                self.memory.save(state.to_dict())
        best = state.front.best
        self.say(f"simplest good equation: {sympy.N(best.expression, 4)}  (loss {best.loss:.3g})")
        return state.front

    def _ended(self, state: _State, front: Front) -> bool:
        """Whether the search is over; it has found something by then, however long that took."""
        if self._left() <= 0 or state.restart >= self.engine.restarts:
            return True
        if self.engine.satisfied(front):
            return True
        doubtful = _share(front, self.points) > BADLY
        return state.unchanged >= (self.engine.patience or PATIENCE) + (DOUBT if doubtful else 0)

    def _restart(self, state: _State) -> _State:
        # the seed of each restart is its own, so that a resumed search draws what an unbroken one draws
        rng = np.random.default_rng([self.seed, 1, state.restart])
        raw: list[sympy.Expr] = []
        both = self.engine.functions and state.restart % 2 == 0
        for further in [(), self.engine.functions] if both else [()]:
            part = self.points.sample(self.engine.subsample, rng)
            raw += _evolve(self.engine, part, ARITHMETIC + further, int(rng.integers(2**31)), self._left())
        known = [] if state.front is None else [e.expression for e in state.front.equations]
        fit_points = self.points.sample(self.engine.fit_points, np.random.default_rng([self.seed, 0]))
        front = clean_front(raw, self.points, fit_points, known)
        front = Front.from_dict(front.to_dict())  # as a resumed search reads it: both must go on alike
        unchanged = state.unchanged + 1 if _same(state.front, front) else 0
        done, best = state.restart + 1, front.best
        told = f"loss {best.loss:.3g}, complexity {best.complexity}: {str(sympy.N(best.expression, 4))[:70]}"
        self.say(f"search {done} of at most {self.engine.restarts}: {told}")
        return _State(done, unchanged, front)

    def _left(self) -> float:
        limit = self.engine.time_limit
        return np.inf if limit is None else limit - (time.monotonic() - self.begun)

    def _loaded(self) -> _State:
        saved = self.memory and self.memory.load()
        return _State.from_dict(saved) if saved else _State()


def _same(before: Front | None, now: Front) -> bool:
    """Whether a restart has neither lowered the loss nor made the choice simpler."""
    return (
        before is not None
        and now.equations[-1].loss > SAME * before.equations[-1].loss
        and now.best.complexity >= before.best.complexity
    )


def _evolve(
    engine: OperonEngine, points: Points, functions: Sequence[str], seed: int, seconds: float
) -> list[sympy.Expr]:
    """The equations of one search."""
    from pyoperon.sklearn import SymbolicRegressor

    # in natural units, since operon draws its constants near 1
    scale, unit = spread(points.X), float(spread(points.y))
    long = np.isin(points.names, ("r", *DELTAS))
    if "r" in points.names:
        scale = np.where(long, np.median(points.X[:, points.names.index("r")]), scale)
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
    columns = [f"X{i + 1}" for i in range(len(scale))]  # operon's own names, in natural units
    given = [sympy.Symbol(n) / sympy.Float(float(s)) for n, s in zip(points.names, scale, strict=True)]
    undo = dict(zip(sympy.symbols(columns), given, strict=True))
    found = (e for e in parse_all(texts, columns) if not nested(e))
    return [unit * e.xreplace(undo) for e in found]


def nested(expression: sympy.Expr) -> bool:
    """Whether it has a function of a function, other than the logarithm of an exponential.

    No force of a textbook has one, and a few numbers in such an equation draw nearly any curve.

    >>> r = sympy.Symbol("r")
    >>> nested(sympy.sin(sympy.exp(r))), nested(r * sympy.exp(-(r**2)) / sympy.tanh(r))
    (True, False)
    """
    inner = [e.args[0] for e in expression.atoms(sympy.sin, sympy.cos, sympy.tanh, sympy.exp)]
    inner += [arg for e in expression.atoms(sympy.Pow) if e.exp.free_symbols for arg in e.args]
    kinds = sympy.sin, sympy.cos, sympy.tanh, sympy.exp, sympy.log
    bent = any(e.has(*kinds) or any(p.exp.free_symbols for p in e.atoms(sympy.Pow)) for e in inner)
    return bent or any(e.args[0].has(*kinds[:3], sympy.log) for e in expression.atoms(sympy.log))


def _share(front: Front, points: Points) -> float:
    """Loss of the best equation as a share of the mean deviation from the median."""
    flat = points.loss(np.full_like(points.y, np.median(points.y)), points.y)
    return front.equations[-1].loss / max(flat, 1e-300)
