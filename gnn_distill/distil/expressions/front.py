"""Equations and the Pareto front of complexity against loss."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import sympy

from gnn_distill.arrays import Array
from gnn_distill.distil.expressions.evaluate import evaluate
from gnn_distill.distil.expressions.parse import parse, rounded, write
from gnn_distill.distil.expressions.points import Points
from gnn_distill.distil.expressions.safe import tried
from gnn_distill.errors import InputError

Loss = Callable[[Array, Array], float]
"""(prediction [S], target [S]) → a number, lower is better."""

SCORE_SLACK = 1.5
CHOICE_SLACK = 1.1
SMALLEST_LOSS = 1e-16
"""Losses below this are rounding of double precision; they count as equal."""


def complexity(expression: sympy.Expr) -> int:
    """Size of an expression in the operator set + − × inv (1 each), exp log ^ (3 each), leaves 1.

    Conventions: a sum or product of n parts has n − 1 operators. A quotient is one inv over all
    of its denominators and one × to the rest, so x/(y·z) has three operators. Subtraction is one
    operator, whatever its side; a lone −x is −1 · x. An integer power is the cheaper of repeated
    × and ^ (r² is 3, r³ and r⁴ are 5); other functions, which the set lacks, count 3. A coefficient such as
    −2 or 2/3 is one leaf.
    """
    if expression.is_number or expression.is_Symbol:
        return 1
    if expression.is_Add:
        negative = [t.could_extract_minus_sign() and not t.is_number for t in expression.args]
        sizes = [complexity(-t if flip else t) for t, flip in zip(expression.args, negative, strict=True)]
        extra = 2 if all(negative) else 0  # no positive term to subtract from: −1 · the sum
    elif expression.is_Mul or expression.is_Pow:
        sizes, extra = [], 0
        for factor in sympy.Mul.make_args(expression):
            base, exponent = factor.as_base_exp()
            if not factor.is_number and exponent.is_number and exponent.is_negative:
                sizes.append(_power_complexity(base, -exponent))
                extra = 1  # one inv over all denominators
            else:
                sizes.append(_power_complexity(base, exponent) if factor.is_Pow else complexity(factor))
    else:
        return 3 + sum(complexity(a) for a in expression.args)
    return sum(sizes) + len(sizes) - 1 + extra


def _power_complexity(base: sympy.Expr, exponent: sympy.Expr) -> int:
    inner, power = complexity(base), complexity(exponent) + 3
    if exponent.is_Integer:
        times = int(exponent)
        return min(times * inner + times - 1, inner + power)
    return inner + power


@dataclass(frozen=True)
class Equation:
    """One equation of a front: `score` is −Δlog(loss)/Δcomplexity from the one before it."""

    complexity: int
    loss: float
    score: float
    expression: sympy.Expr

    def to_dict(self) -> dict[str, Any]:
        """Plain data, with the expression as text and as LaTeX."""
        return {
            "complexity": self.complexity,
            "loss": self.loss,
            "score": self.score,
            "expression": write(self.expression),
            "latex": sympy.latex(rounded(self.expression, 4)),
        }


@dataclass(frozen=True)
class Front:
    """Equations by rising complexity and strictly falling loss.

    `score_pick` and `choice` are indices into `equations`.
    """

    equations: tuple[Equation, ...]
    names: tuple[str, ...]

    @classmethod
    def build(
        cls,
        expressions: Iterable[sympy.Expr],
        X: Array,
        y: Array,
        names: Sequence[str],
        loss: Loss,
    ) -> Front:
        """The front of `expressions` on the points X [S, K], y [S].

        Those that are dominated are dropped, and so are those that cannot be worked out.
        """

        def sized(e: sympy.Expr) -> tuple[int, float]:
            return complexity(e), max(float(loss(evaluate(e, X, names), y)), SMALLEST_LOSS)

        rated = [(*tried(sized, (0, math.inf), e), e) for e in dict.fromkeys(expressions)]
        return cls.from_rated([each for each in rated if math.isfinite(each[1])], names)

    @classmethod
    def on(cls, points: Points, expressions: Iterable[sympy.Expr]) -> Front:
        """The front of `expressions` on `points`, with their loss."""
        return cls.build(expressions, points.X, points.y, points.names, points.loss)

    @classmethod
    def from_rated(cls, rated: Iterable[tuple[int, float, sympy.Expr]], names: Sequence[str]) -> Front:
        """The front of (complexity, loss, expression) triples."""
        equations: list[Equation] = []
        for size, value, expression in sorted(rated, key=lambda t: t[:2]):
            last, score = equations[-1] if equations else None, 0.0
            if last and value >= last.loss:
                continue  # a simpler one, or one as simple, is at least as good
            if last:
                gain = math.log(max(last.loss, SMALLEST_LOSS) / max(value, SMALLEST_LOSS))
                score = gain / (size - last.complexity)
            equations.append(Equation(size, value, score, expression))
        if not equations:
            fix = "raise symbolic.engine.generations or the sample size"
            raise InputError("symbolic", "no equation", fix)
        return cls(tuple(equations), tuple(names))

    @property
    def score_pick(self) -> int:
        """PySR's "best": the highest score among equations with loss ≤ 1.5 × the lowest."""
        limit = SCORE_SLACK * self.equations[-1].loss
        near = [i for i, e in enumerate(self.equations) if e.loss <= limit]
        return max(near, key=lambda i: self.equations[i].score)

    @property
    def choice(self) -> int:
        """The simplest equation within 10 % of the lowest loss."""
        limit = CHOICE_SLACK * self.equations[-1].loss
        return next(i for i, e in enumerate(self.equations) if e.loss <= limit)

    @property
    def best(self) -> Equation:
        """The equation at `choice`."""
        return self.equations[self.choice]

    def to_dict(self) -> dict[str, Any]:
        """Plain data that `from_dict` reads back."""
        return {
            "names": list(self.names),
            "equations": [e.to_dict() for e in self.equations],
            "score_pick": self.score_pick,
            "choice": self.choice,
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Front:
        """The front that `to_dict` described; expressions pass the whitelist parser."""
        try:
            names = tuple(str(n) for n in data["names"])
            equations = tuple(
                Equation(
                    int(e["complexity"]), float(e["loss"]), float(e["score"]), parse(e["expression"], names)
                )
                for e in data["equations"]
            )
        except (KeyError, TypeError) as error:
            raise InputError("front", str(error), "give a mapping made by Front.to_dict") from None
        if not equations:
            raise InputError("front", "no equations", "give a mapping made by Front.to_dict")
        return cls(equations, names)
