"""Symbolic regression by PySR, with the published settings. PySR fetches Julia when it is first imported."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import sympy

from gnn_distill.distil.engines.engine import Memory, Progress, TrimmingEngine, check_problem
from gnn_distill.distil.expressions.front import Front
from gnn_distill.distil.expressions.parse import parse_all, write
from gnn_distill.distil.expressions.points import Points
from gnn_distill.errors import InputError, check_int, check_range

FIX = (
    "it could not be loaded (it fetches Julia when first used, which needs a network): or use symbolic=operon"
)


@dataclass(frozen=True)
class PySREngine(TrimmingEngine):
    """PySR's evolutionary search.

    ```yaml
    engine: {_target_: gnn_distill.distil.engines.pysr.PySREngine, iterations: 6000, maxsize: 23}
    ```

    Args:
        iterations: of the search; published: 6000 (7000 for `charge`, and for `kl` on r1).
        maxsize: largest complexity; published: 23 (25 for `charge`).
        parsimony: price of a unit of complexity while searching.
        batching: whether a generation sees only a random batch of the points.
        batch_size: points in such a batch.
        save_every: iterations after which the front is saved and reported.
        time_limit: seconds for one component, or null.
        drop_nearest: share of the points left out at the smallest r.
        drop_outliers: share of the rest left out, those furthest from the median of y.
    """

    iterations: int = 6000
    maxsize: int = 23
    parsimony: float = 0.05
    batching: bool = False
    batch_size: int = 500
    save_every: int = 500
    time_limit: float | None = None
    drop_nearest: float = 0.0
    drop_outliers: float = 0.0

    name: ClassVar[str] = "pysr"

    def __post_init__(self) -> None:
        super().__post_init__()
        for name, low in {"iterations": 1, "batch_size": 10, "save_every": 1}.items():
            check_int(f"symbolic.engine.{name}", getattr(self, name), low)
        check_int("symbolic.engine.maxsize", self.maxsize, 7, 200)
        if self.time_limit is not None:
            check_range("symbolic.engine.time_limit", self.time_limit, 1.0)
        check_range("symbolic.engine.parsimony", self.parsimony, 0.0, 10.0)

    def arguments(self, seed: int, *, weighted: bool = False, guesses: Sequence[str] = ()) -> dict[str, Any]:
        """The keyword arguments of `pysr.PySRRegressor`; one thread, so that a seed decides all.

        Args:
            seed: of the search.
            weighted: whether points have weights.
            guesses: equations to start from, in Julia's notation.
        """
        loss = "loss(x, y, w) = w * abs(x - y)" if weighted else "loss(x, y) = abs(x - y)"
        return {
            "binary_operators": ["+", "-", "*", "^"],
            "unary_operators": ["inv(x) = 1/x", "exp", "log"],
            "extra_sympy_mappings": {"inv": lambda x: 1 / x},
            "complexity_of_operators": {"+": 1, "-": 1, "*": 1, "inv": 1, "exp": 3, "log": 3, "^": 3},
            "complexity_of_constants": 1,
            "complexity_of_variables": 1,
            "elementwise_loss": loss,
            "parsimony": self.parsimony,
            "maxsize": self.maxsize,
            "niterations": self.iterations,
            "batching": self.batching,
            "batch_size": self.batch_size,
            "guesses": list(guesses) or None,
            "warm_start": True,
            "parallelism": "serial",
            "deterministic": True,
            "random_state": seed,
            "temp_equation_file": True,
            "progress": False,
            "verbosity": 0,
        }

    def search(self, points: Points, seed: int, say: Progress, memory: Memory | None) -> Front:
        """The front that PySR finds.

        The iterations are done in blocks, each going on from the one before it. After a kill the search goes
        on from the equations that the last block left.

        Raises:
            InputError: PySR or Julia cannot be had, or too few points are left.
        """
        check_problem(points.X, points.y, points.names, points.weights)
        saved = None if memory is None else memory.load()
        done, front = (int(saved["done"]), Front.from_dict(saved["front"])) if saved else (0, None)
        if front is not None and done >= self.iterations:
            return front
        try:
            from pysr import PySRRegressor  # type: ignore[import-not-found, unused-ignore]
        except Exception as error:  # Julia's set-up may fail in any way at import
            raise InputError("symbolic", "pysr", f"{FIX} ({error})") from error
        begun = time.monotonic()
        known = [] if front is None else [e.expression for e in front.equations]
        guesses = [write(e).replace("**", "^") for e in known]  # in Julia's notation
        given = points.weights if np.ptp(points.weights) > 0 else None
        regressor = PySRRegressor(**self.arguments(seed, weighted=given is not None, guesses=guesses))
        while done < self.iterations:
            size = min(self.save_every, self.iterations - done)
            left = None if self.time_limit is None else self.time_limit - (time.monotonic() - begun)
            if left is not None and left <= 0 and front is not None:
                break
            regressor.set_params(niterations=size, timeout_in_seconds=left)
            regressor.fit(points.X, points.y, weights=given, variable_names=list(points.names))
            done += size
            # complexity and loss are counted anew, so that fronts of all engines compare
            known += parse_all(map(str, regressor.equations_["equation"]), points.names)
            front = Front.on(points, known)
            known = [e.expression for e in front.equations]
            if memory is not None:
                memory.save({"done": done, "front": front.to_dict()})
            best = front.best
            text = str(sympy.N(best.expression, 4))[:70]
            say(f"PySR, {done} of {self.iterations} iterations: loss {best.loss:.3g}: {text}")
        if front is None:
            raise InputError("symbolic.engine.time_limit", self.time_limit, "give more time")
        return front
