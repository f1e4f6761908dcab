"""Equations and a verdict for points from anywhere.

Shapes: S points, K inputs, D components.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import get_args

import numpy as np
import numpy.typing as npt
import sympy

from gnn_distill.arrays import Array
from gnn_distill.distil.engines.engine import MIN_POINTS, Engine, check_problem
from gnn_distill.distil.engines.operon import OperonEngine
from gnn_distill.distil.expressions.front import Equation, Front
from gnn_distill.distil.law.closed_form import Law
from gnn_distill.distil.problem import HELD_OUT, Problem
from gnn_distill.distil.solve import Found, Work, solve
from gnn_distill.distil.verdict.family import Target
from gnn_distill.distil.verdict.judge import Verdict, data_ranges
from gnn_distill.errors import InputError, check_choice
from gnn_distill.physics.laws import ForceLaw
from gnn_distill.physics.variables import DELTAS
from gnn_distill.report.text import readable


@dataclass(frozen=True)
class Distilled:
    """What symbolic regression found, and what is to be thought of it.

    Attributes:
        found: fronts, verdicts, and how each equation extrapolates.
    """

    found: Found

    @property
    def fronts(self) -> tuple[Front, ...]:
        """The Pareto front of each component: equations by rising complexity and falling loss."""
        return self.found.fronts

    @property
    def equations(self) -> tuple[Equation, ...]:
        """The equation to believe, of each component: the recovered one, else the one that extrapolates."""
        return tuple(f.equations[k] for f, k in zip(self.fronts, self.found.picks, strict=True))

    @property
    def verdicts(self) -> tuple[Verdict, ...] | None:
        """Whether it is the law that was given, for each component; None where none was given."""
        return self.found.verdicts

    @property
    def recovered(self) -> bool | None:
        """Whether the law was recovered on all components along which anything moves; None without a law."""
        if self.verdicts is None:
            return None
        return all(v.recovered for k, v in enumerate(self.verdicts) if not self.found.problem.still(k))

    @property
    def law(self) -> Law | None:
        """All components as one law; None unless the target had one component for each Δ."""
        if self.found.problem.target != "pullback":
            return None
        return Law(tuple(e.expression for e in self.equations))

    @property
    def reasons(self) -> tuple[str, ...]:
        """Why these equations: one sentence for each component."""
        judged = self.verdicts or self.found.extrapolations
        return tuple(each.reason for each in judged)

    def __str__(self) -> str:
        lines = [f"{label}: {readable(str(sympy.N(e.expression, 5)))}" for label, e in self._labelled()]
        word = {None: "no law to compare with", True: "recovered", False: "not recovered"}[self.recovered]
        return "\n".join([*lines, word, *(f"  {reason}" for reason in self.reasons)])

    def _labelled(self) -> list[tuple[object, Equation]]:
        return list(zip(self.found.problem.labels, self.equations, strict=True))


def distill(
    X: npt.ArrayLike,
    y: npt.ArrayLike,
    names: Sequence[str],
    *,
    law: ForceLaw | None = None,
    target: Target | None = None,
    engine: Engine | None = None,
    groups: npt.ArrayLike | None = None,
    seed: int = 0,
    progress: Callable[[str], None] | None = None,
) -> Distilled:
    """Find equations for y, choose the one that extrapolates, and judge it against a law if one is given.

    Three tenths of the points (of the groups) are kept from the search and used to choose.

    ```python
    m = load_run(path).messages
    print(distill(m.variables, m.pullback, m.names, law=Spring()))
    ```

    Args:
        X: inputs, shape [S, K], at least 50 points.
        y: what is to be explained: pair accelerations [S, D] in Cartesian components, which share one law
            along Δ; or message components [S, any number], or one of them [S].
        names: of the columns of X: among `dx dy dz r m1 m2 q1 q2` with r = |Δ| + 0.01, 1 the receiver,
            2 the sender; r must be one of them. The unit of every quantity is that of the data.
        law: what the verdict compares with, one of `gnn_distill.physics.laws`.
        target: what y is: `pullback`, accelerations along the axes, or `components`, messages of any mixture
            of axes; None takes as many columns as there are Δ for accelerations.
        engine: of symbolic regression; `OperonEngine()` if None.
        groups: number of the trajectory of each point [S], so that whole trajectories are held out.
        seed: everything random follows from it.
        progress: called with one line of text now and then.

    Raises:
        InputError: wrong shapes or names, NaN or infinity, too few points, a constant y (other than along an
            axis along which nothing moves).
    """
    inputs, values = np.array(X, dtype=np.float64), np.array(y, dtype=np.float64)
    values = values[:, None] if values.ndim == 1 else values
    if values.ndim != 2 or "r" not in names:
        fix = "give X [S, K] and y [S] or [S, D], with r among the names"
        raise InputError("X, y, names", (inputs.shape, values.shape, tuple(names)), fix)
    vector = _is_vector(names, values, target)
    for column in values.T:
        check_problem(inputs, column, names, may_be_constant=vector)
    rng = np.random.default_rng([seed, 2])
    unit = np.arange(len(inputs)) if groups is None else np.unique(groups, return_inverse=True)[1]
    if unit.shape != (len(inputs),):
        raise InputError("groups", unit.shape, f"give one number for each point, shape ({len(inputs)},)")
    units = np.unique(unit)
    hidden = np.isin(unit, rng.permutation(units)[: max(1, round(HELD_OUT * len(units)))])
    if (~hidden).sum() < MIN_POINTS:
        raise InputError("X", len(inputs), f"{(~hidden).sum()} points are left to search on: give more")
    posed = _posed(inputs, values, tuple(names), hidden, vector)
    work = Work(engine or OperonEngine(), seed, say=progress or (lambda line: None))
    return Distilled(solve(work, posed, law, data_ranges(inputs, names)))


def _is_vector(names: Sequence[str], values: Array, target: Target | None) -> bool:
    """Whether the columns of `values` are accelerations along the axes."""
    deltas = [d for d in DELTAS if d in names]
    fits = len(deltas) > 1 and values.shape[1] == len(deltas)
    if target is not None:
        check_choice("target", target, get_args(Target))
        if target == "pullback" and not fits:
            raise InputError("target", target, "give y a column for each Δ among the names, or components")
    return fits and target != "components"


def _posed(
    inputs: Array, values: Array, names: tuple[str, ...], hidden: npt.NDArray[np.bool_], vector: bool
) -> Problem:
    deltas = tuple(d for d in DELTAS if d in names)
    varies = (np.ptp(inputs, axis=0) > 0) | np.isin(names, DELTAS)  # an axis stays, even an empty one
    kept = inputs[:, varies]
    return Problem(
        target="pullback" if vector else "components",
        labels=deltas if vector else tuple(range(values.shape[1])),
        names=tuple(name for name, used in zip(names, varies, strict=True) if used),
        X=kept[~hidden],
        values=values[~hidden],
        weights=None,
        unseen=kept[hidden],
        unseen_values=values[hidden],
        edges=np.flatnonzero(~hidden),
    )
