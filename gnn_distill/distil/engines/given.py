"""An equation that the user has typed goes the way of one that was found: refit, verdict, scores."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import sympy

from gnn_distill.arrays import Array
from gnn_distill.distil.engines.engine import Memory, Progress, check_problem
from gnn_distill.distil.expressions.front import Front
from gnn_distill.distil.expressions.parse import parse
from gnn_distill.distil.expressions.points import Points, trim
from gnn_distill.distil.expressions.refine import forms, mixed, refit
from gnn_distill.distil.joint import trivial
from gnn_distill.errors import InputError, check_range
from gnn_distill.physics.variables import DELTAS


@dataclass(frozen=True)
class GivenEngine:
    """No search: the front of one equation, its constants refitted.

    ```yaml
    engine: {_target_: gnn_distill.distil.engines.given.GivenEngine, expression: "-2*(r - 1)/m1"}
    ```

    Args:
        expression: without Δ, the size of the pair's contribution along Δ/d, all components sharing it; with
            Δ, one component. In the latter case the equations of the other axes, and mixtures of axes, are
            made from it.
        near: share of the points dropped at the smallest r.
        tail: share of the rest dropped at the largest deviation from the median.
    """

    expression: str
    near: float = 0.02
    tail: float = 0.03

    name: ClassVar[str] = "given"

    def __post_init__(self) -> None:
        check_range("symbolic.engine.near", self.near, 0.0, 0.5)
        check_range("symbolic.engine.tail", self.tail, 0.0, 0.5)
        try:
            found = parse(self.expression)
        except InputError as error:
            raise InputError("symbolic.expression", error.value, error.fix) from error
        if not found.free_symbols:
            raise InputError("symbolic.expression", self.expression, "use at least one variable")

    @property
    def radial(self) -> bool:
        """Whether the equation is the size along Δ/d, rather than a component."""
        used = parse(self.expression).free_symbols
        return not {str(symbol) for symbol in used} & set(DELTAS)

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
        """The front of the given equation, refitted; see `gnn_distill.distil.engines.engine.Engine.fit`."""
        points = trim(Points(*check_problem(X, y, names, weights), tuple(names)), self.near, self.tail)
        try:
            given = parse(self.expression, names)
        except InputError as error:
            raise InputError("symbolic.expression", error.value, error.fix) from error
        fits = [refit(e, points).expression for e in self._written(given, names)]
        simple = trivial(points, names[0])
        front = Front.build([*fits, *simple], points.X, points.y, points.names, points.loss)
        if any(e.expression in fits for e in front.equations):
            return front
        return Front.build(fits, points.X, points.y, points.names, points.loss)

    def _written(self, given: sympy.Expr, names: Sequence[str]) -> list[sympy.Expr]:
        """The equation along each axis and along mixtures of axes, with and without a constant."""
        deltas = [sympy.Symbol(n) for n in names if n in DELTAS]
        own = [d for d in deltas if given.has(d)]
        if not own and deltas:
            given, own = given * deltas[0] / sympy.Symbol("r"), [deltas[0]]
        turned = [given.xreplace({own[0]: d}) for d in deltas] if len(own) == 1 else [given]
        blends = [b for e in turned for b in mixed(e, names)]
        return list(dict.fromkeys(sympy.Float(1.0) * f for e in [*turned, *blends] for f in forms(e)))
