"""An equation that the user has typed goes the way of one that was found: refit, verdict, scores."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import sympy

from gnn_distill.distil.engines.engine import Memory, Progress, TrimmingEngine
from gnn_distill.distil.expressions.front import Front
from gnn_distill.distil.expressions.parse import parse
from gnn_distill.distil.expressions.points import Points
from gnn_distill.distil.expressions.refine import mixed, refit, writings
from gnn_distill.distil.joint import trivial
from gnn_distill.errors import InputError
from gnn_distill.physics.variables import DELTAS


@dataclass(frozen=True)
class GivenEngine(TrimmingEngine):
    """No search: the front of one equation, its constants refitted.

    ```yaml
    engine: {_target_: gnn_distill.distil.engines.given.GivenEngine, expression: "-2*(r - 1)/m1"}
    ```

    Args:
        expression: without Δ, the size of the pair's contribution along Δ/d, all components sharing it; with
            Δ, one component. In the latter case the equations of the other axes, and mixtures of axes, are
            made from it.
        drop_nearest: share of the points left out at the smallest r.
        drop_outliers: share of the rest left out, those furthest from the median of y.
    """

    expression: str

    name: ClassVar[str] = "given"

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.parsed().free_symbols:
            raise InputError("symbolic.expression", self.expression, "use at least one variable")

    def parsed(self, names: Sequence[str] | None = None) -> sympy.Expr:
        """The expression; InputError where it holds other variables than `names`, if these are known."""
        try:
            return parse(self.expression, names)
        except InputError as error:
            raise InputError("symbolic.expression", error.value, error.fix) from error

    @property
    def radial(self) -> bool:
        """Whether the equation is the size along Δ/d, rather than a component."""
        used = self.parsed().free_symbols
        return not {str(symbol) for symbol in used} & set(DELTAS)

    def search(self, points: Points, seed: int, say: Progress, memory: Memory | None) -> Front:
        """The front of the given equation, refitted."""
        fits = [refit(e, points).expression for e in self._written(points.names)]
        front = Front.on(points, [*fits, *trivial(points, points.names[0])])
        if any(e.expression in fits for e in front.equations):
            return front
        return Front.on(points, fits)  # a trivial equation fits better: the user's is judged all the same

    def _written(self, names: Sequence[str]) -> list[sympy.Expr]:
        """The equation along each axis and along mixtures of axes, with and without a constant."""
        given = self.parsed(names)
        deltas = [sympy.Symbol(n) for n in names if n in DELTAS]
        own = [d for d in deltas if given.has(d)]
        if not own and deltas:
            given, own = given * deltas[0] / sympy.Symbol("r"), [deltas[0]]
        turned = [given.xreplace({own[0]: d}) for d in deltas] if len(own) == 1 else [given]
        blends = [b for e in turned for b in mixed(e, names)]
        return list(dict.fromkeys(sympy.Float(1.0) * f for e in [*turned, *blends] for f in writings(e)))
