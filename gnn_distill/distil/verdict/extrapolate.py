"""Which equation of a front to believe where no law is known: the simplest one that extrapolates.

Constants are refitted on the middle of the range of r, then every equation is asked for edges of graphs
that no fit has seen, in the middle and beyond it at both ends.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from gnn_distill.arrays import Array
from gnn_distill.distil.expressions.evaluate import evaluate
from gnn_distill.distil.expressions.front import Front
from gnn_distill.distil.expressions.points import Points, strata
from gnn_distill.distil.expressions.refine import QUICK, refit
from gnn_distill.distil.verdict.judge import Verdict
from gnn_distill.physics.variables import DELTAS

OUTSIDE = 0.15
"""Share of the edges beyond the middle, at each end of the range of r."""
WILD = 0.05
"""Share of the errors that are left out, the largest."""
SLACK = 1.5
"""An equation extrapolates as well as the best where its error is at most so many times the best one's."""
WIDER = (0.5, 2.0)
"""Factors on lengths at which an equation must still be finite."""
FIT_POINTS = 800
ROUGHLY = 0.5
"""Relative error on unseen edges up to which an equation holds at least roughly; one in a hundred of
the recovered components of the stored results errs more."""
BETTER = 3.0
"""An equation of a law's form that does not hold roughly is no law where another one errs so many times less.
Alone, the first does not refuse: of a singular law, where few edges carry most of the force, the right
equation may err by more."""


@dataclass(frozen=True)
class Extrapolation:
    """The simplest equation that extrapolates, and the errors of all.

    Attributes:
        equation: index on the front.
        inside: relative error of each equation on unseen edges of middle length; None where not finite.
        beyond: the same on shorter and longer ones than any that the constants were fitted to.
        reason: one sentence.
    """

    equation: int
    inside: tuple[float | None, ...]
    beyond: tuple[float | None, ...]
    reason: str


def extrapolate(front: Front, seen: Points, unseen: Points) -> Extrapolation:
    """Judge the equations of a front by held-out edges and a wider range.

    Args:
        front: the equations.
        seen: points that the front was found on, with r among the inputs.
        unseen: points of other graphs, of other trajectories where there are any.
    """
    r = seen.X[:, seen.names.index("r")]
    low, high = np.quantile(r, [OUTSIDE, 1 - OUTSIDE])
    middle = seen.take(np.flatnonzero((r >= low) & (r <= high)))
    few = middle.sample(FIT_POINTS, np.random.default_rng(0))
    distance = unseen.X[:, unseen.names.index("r")]
    inner = (distance >= low) & (distance <= high)
    scale = _scale(distance, unseen.y)
    lengths = np.isin(unseen.names, (*DELTAS, "r"))
    stretched = [np.where(lengths, factor, 1.0) * unseen.X for factor in WIDER]
    inside, beyond = [], []
    for equation in front.equations:
        fitted = refit(equation.expression, few, steps=QUICK).expression
        error = np.abs(evaluate(fitted, unseen.X, unseen.names) - unseen.y) / scale
        wide = [evaluate(fitted, x, unseen.names) for x in stretched]
        finite = all(np.isfinite(values).all() for values in wide)
        inside.append(_mean(error[inner]))
        beyond.append(_mean(error[~inner]) if finite else np.inf)
    good = (np.array(inside) <= SLACK * min(inside)) & (np.array(beyond) <= SLACK * min(beyond))
    chosen = int(np.argmax(good) if good.any() else np.argmin(np.add(inside, beyond)))
    return Extrapolation(chosen, _plain(inside), _plain(beyond), _reason(front, chosen, inside, beyond))


def borne_out(verdict: Verdict, inside: Sequence[float | None], beyond: Sequence[float | None]) -> Verdict:
    """A verdict that an equation is the law, unless unseen edges speak against it and for another one.

    A front may hold the form of a wrong law, too, among its small equations that fit badly.

    Args:
        verdict: on the equations of one front.
        inside: relative error of each equation on unseen edges of middle length, as in `Extrapolation`.
        beyond: the same on shorter and longer ones.
    """
    if not verdict.recovered or verdict.equation is None:
        return verdict
    worst = [max(np.inf if v is None else v for v in pair) for pair in zip(inside, beyond, strict=True)]
    own, best = worst[verdict.equation], min(worst)
    if own < ROUGHLY or best * BETTER > own:
        return verdict
    reason = (
        f"the law's form, but the equation is off by {own:.0%} on unseen edges, where another one of the "
        f"front is off by {best:.0%}"
    )
    return replace(verdict, recovered=False, equation=None, marks="", reason=reason, symbolic=False)


def _scale(r: Array, y: Array) -> Array:
    """Mean size of y [S] among points of similar r [S]; one where y is nothing."""
    _, group, count = np.unique(strata(r), return_inverse=True, return_counts=True)
    mean = np.bincount(group, np.abs(y)) / count
    size = np.maximum(mean, 1e-3 * np.abs(y).mean())
    return np.where(size > 0, size, 1.0)[group]


def _mean(errors: Array) -> float:
    """Mean of all but the largest; infinite where one is not finite."""
    if not len(errors) or not np.isfinite(errors).all():
        return np.inf
    return float(errors[errors <= np.quantile(errors, 1 - WILD)].mean())


def _plain(values: Sequence[float]) -> tuple[float | None, ...]:
    return tuple(v if np.isfinite(v) else None for v in values)


def _reason(front: Front, chosen: int, inside: Sequence[float], beyond: Sequence[float]) -> str:
    rivals = [error for error in beyond[:chosen] if np.isfinite(error)]
    text = (
        f"relative error {inside[chosen]:.3g} on unseen edges of middle length, {beyond[chosen]:.3g} on "
        "shorter and longer ones than its constants were fitted to"
    )
    if rivals:
        text += f"; the best simpler equation has {min(rivals):.3g} there"
    return text
