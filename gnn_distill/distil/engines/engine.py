"""What every symbolic-regression engine takes and gives."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from gnn_distill.arrays import Array
from gnn_distill.distil.expressions.front import Front
from gnn_distill.distil.expressions.points import DROP_NEAREST, DROP_OUTLIERS, Points, trim
from gnn_distill.errors import InputError, check_range
from gnn_distill.physics.variables import VARIABLES, is_variable

Progress = Callable[[str], None]

MIN_POINTS = 50


class Memory(Protocol):
    """Where an engine leaves what it has found so far, so that a killed search goes on from there."""

    def load(self) -> dict[str, Any] | None:
        """What the same search saved last, or None."""

    def save(self, state: Mapping[str, Any]) -> None:
        """Keep plain data."""


class Engine(Protocol):
    """Finds equations for one message component."""

    @property
    def name(self) -> str:
        """Short name for reports."""

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
        """The front of equations for y.

        Args:
            X: inputs, shape [S, K].
            y: target, shape [S].
            names: names of the columns of X, from `VARIABLES`.
            weights: relative importance of the points, shape [S], or None.
            seed: everything random follows from it.
            progress: called with one line of text now and then.
            memory: where a search is kept and continued.

        Raises:
            InputError: for points that cannot be fitted (see `check_problem`).
        """
        ...


@dataclass(frozen=True, kw_only=True)
class TrimmingEngine(ABC):
    """What the engines of this package share: points are checked, the worst left out, the rest searched.

    See `gnn_distill.distil.expressions.points.trim` for why.

    Args:
        drop_nearest: share of the points left out at the smallest r.
        drop_outliers: share of the rest left out, those furthest from the median of y.
    """

    drop_nearest: float = DROP_NEAREST
    drop_outliers: float = DROP_OUTLIERS

    def __post_init__(self) -> None:
        check_range("symbolic.engine.drop_nearest", self.drop_nearest, 0.0, 0.5)
        check_range("symbolic.engine.drop_outliers", self.drop_outliers, 0.0, 0.5)

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
        """The front of equations for y; see `Engine.fit`."""
        points = Points(*check_problem(X, y, names, weights), tuple(names))
        points = trim(points, self.drop_nearest, self.drop_outliers)
        return self.search(points, seed, progress or (lambda line: None), memory)

    @abstractmethod
    def search(self, points: Points, seed: int, say: Progress, memory: Memory | None) -> Front:
        """The front of equations for the points that are left."""


def check_problem(
    X: Array, y: Array, names: Sequence[str], weights: Array | None = None, may_be_constant: bool = False
) -> tuple[Array, Array, Array]:
    """Checked copies of X [S, K], y [S] and weights [S] (ones if None) in double precision.

    Raises:
        InputError: for wrong shapes or names, NaN or infinity, too few points, constant y unless it may be
            so, or negative weights.
    """
    X, y = np.array(X, dtype=np.float64), np.array(y, dtype=np.float64)
    w = np.ones(y.shape) if weights is None else np.array(weights, dtype=np.float64)
    if X.ndim != 2 or y.shape != X.shape[:1] or w.shape != y.shape:
        fix = "give X [S, K], y [S] and weights [S]"
        raise InputError("symbolic points", (X.shape, y.shape, w.shape), fix)
    unknown = [name for name in names if not is_variable(name)]
    if len(names) != X.shape[1]:
        raise InputError("symbolic names", list(names), f"give {X.shape[1]} names, one a column of X")
    if repeated := {n for n in names if list(names).count(n) > 1}:
        raise InputError("symbolic names", sorted(repeated), "name each column once")
    if unknown:
        fix = f"use names from {', '.join(VARIABLES)}, or such as size1 and size2 for a further column"
        raise InputError("symbolic names", unknown[0], fix)
    if len(y) < MIN_POINTS:
        raise InputError("symbolic.points", len(y), f"give at least {MIN_POINTS} points")
    for what, values in (("X", X), ("y", y), ("weights", w)):
        if bad := int(np.count_nonzero(~np.isfinite(values))):
            raise InputError(f"symbolic {what}", f"{bad} values NaN or infinite", "remove those points")
    if not may_be_constant and np.ptp(y) <= 1e-12 * np.abs(y).max():
        raise InputError("symbolic y", f"constant {y[0]:g}", "choose a message component that varies")
    if w.min() < 0 or w.max() == 0:
        raise InputError("symbolic weights", float(w.min()), "give weights ≥ 0, not all zero")
    return X, y, w
