"""What a network says of its functions, point by point, and equations for that.

Shapes: S points.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import sympy

from gnn_distill.distil.engines.operon import OperonEngine
from gnn_distill.distil.expressions.front import Front
from gnn_distill.distil.expressions.points import Points
from gnn_distill.distil.motion.groups import Groups
from gnn_distill.distil.motion.hidden import Found
from gnn_distill.distil.motion.law import in_words
from gnn_distill.distil.motion.search import Chosen, Rows
from gnn_distill.distil.motion.weigh import curve
from gnn_distill.distil.solve import Work


def points_of(
    rows: Rows,
    count: int,
    seed: int,
    keys: Iterable[str],
    hidden: Found | None,
    groups: Groups,
    classes: Mapping[str, sympy.Expr] | None = None,
) -> tuple[tuple[str, ...], dict[str, Points]]:
    """The network's functions on edges of the test set, with distances and properties that vary.

    Strengths of individuals are divided out. What says which group a pair is in is no property.

    Args:
        rows: what the network says of the test set.
        count: points of each function, at most.
        seed: of their draw.
        keys: directions, see `Motion.directions`, or those of a group.
        hidden: strengths of individuals.
        groups: of pairs.
        classes: by name, what is 1 for the pairs of each group that `keys` name.

    Returns:
        Names of all that varies, and the points of each direction.
    """
    part, functions = rows.motion.grouped(classes or {}), rows.functions
    if hidden is not None:
        rng = np.random.default_rng([seed, 2])
        curves = {k: curve(part, functions[k], hidden.strengths).sample(count, rng) for k in keys}
        return next(iter(curves.values())).names if curves else ("r",), curves
    named, found = part.named, {}
    plain = [n for n in part.edges.properties if n not in groups.names]
    order = np.random.default_rng([seed, 2]).permutation(len(named["r"]))
    for k in keys:
        some = part.some(k)
        here = order if isinstance(some, slice) else order[np.isin(order, some)]
        names = ("r", *(n for n in plain if np.ptp(named[n][here]) > 0))
        here = here[:count]
        X = np.stack([named[n][here] for n in names], axis=1)
        found[k] = Points(X, functions[k[:1]][here], np.ones(len(here)), names)
    return ("r", *(n for n in plain if np.ptp(named[n]) > 0)), found


def front(work: Work, key: str, points: Points, among: int) -> Front:
    """Equations for one of so many functions, for which there is time together."""
    if isinstance(work.engine, OperonEngine):
        work = replace(work, engine=replace(work.engine, restarts=-(-work.engine.restarts // among)))
    what, name = f"f {in_words(key)}", re.sub(r"\W+", "_", f"function_{key}")
    return work.fit(name, points.X, points.y, list(points.names), None, work.seed, what)


def entry(key: str, front: Front, chosen: Chosen, verdicts: dict[str, Any] | None) -> dict[str, Any]:
    """A function's part of `equations.json`."""
    verdict = None if verdicts is None else verdicts["parts"].get(key)
    picks: dict[str, Any] = {"score_pick": front.score_pick, "choice": front.choice}
    picks |= {"verdict": verdict, "extrapolation": None}
    compared = [
        {"name": t.fit.form.name, "constants": t.order[0], "loss": float(t.losses.mean()) ** 0.5}
        for t in sorted(chosen.tried.get(key, []), key=lambda t: float(t.losses.mean()))
    ]
    return {"dim": key, "front": front.to_dict()["equations"], **picks, "compared": compared}
