"""Constants of a law, fitted end to end on accelerations, and how well the data determine them.

Shapes: E edges, N nodes, G graphs, D space dims, P constants.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import sympy
from scipy.optimize import least_squares

from gnn_distill.analyse.bootstrap import interval
from gnn_distill.arrays import Array
from gnn_distill.distil.expressions.evaluate import Template, constants, evaluate, replaced
from gnn_distill.distil.expressions.parse import MAX_EXPONENT, R
from gnn_distill.distil.law.closed_form import CLEARLY, Law, Nodes
from gnn_distill.read.recording import Edges

FIT_NODES = 8000
RESOLUTION = float(np.finfo(np.float32).eps)  # smallest relative change of r that is believed
MAX_SHIFT = 0.05  # the largest change of r, as for the mark * of a small constant inside r
REPLICATES, ROUNDS = 200, 6


def refit_law(law: Law, edges: Edges, nodes: Nodes) -> Law:
    """Refit every numeric constant, end to end, on accelerations.

    The fit is soft-L1 on the summed contributions of at most `FIT_NODES` nodes. Up to four fits are made,
    from few free numbers to many: of the constants; of a small shift of r as well, since engines seldom see
    the softening ε of r = d + ε; and both again with those powers free that are no whole numbers. A later fit
    is taken only where its error is clearly lower, and a shift only where positions in single precision can
    show it. A central law has the same constants in all components; else each component is fitted by itself.

    Args:
        law: where to start; its one-body terms stay.
        edges: edges of graphs not used for testing.
        nodes: all receivers of `edges`.
    """
    found = [_best(problems, f) for problems, f in _problems(law, edges, nodes)]
    if law.radial is not None:
        return replace(
            Law.along(found[0], len(law.components), edges.columns.softening), one_body=law.one_body
        )
    return replace(law, components=tuple(found))


def intervals(law: Law, edges: Edges, nodes: Nodes, per_graph: int, seed: int = 0) -> list[list[list[float]]]:
    """Bootstrap intervals of `law.constants` at 95 %, [low, high] for each.

    Graphs are drawn with replacement, `REPLICATES` times; each time the constants move from their fitted
    values to the optimum of the linearised problem under the same loss.

    Args:
        law: a refitted law.
        edges: the edges that it was fitted to.
        nodes: their receivers.
        per_graph: nodes in a graph.
        seed: of the draws.
    """
    rng = np.random.default_rng(seed)
    found = [_interval(problems, f, per_graph, rng) for problems, f in _problems(law, edges, nodes)]
    return found if law.radial is None else found * len(law.components)


@dataclass(frozen=True)
class _Problem:
    """Constants of f against one component of accelerations, `target` [N]; `factor` [E] multiplies f."""

    x: Array
    names: Sequence[str]
    receiver: npt.NDArray[np.int64]
    factor: Array
    target: Array

    @property
    def scale(self) -> float:
        """Residuals above this count linearly."""
        return max(1e-3 * float(np.median(np.abs(self.target))), 1e-12)

    def usual(self, name: str) -> float:
        """Median size of a variable."""
        return float(np.median(np.abs(self.x[:, list(self.names).index(name)])))

    def residual(self, values: Array | float) -> Array:
        """Σ_j f_ij less the target, shape [N]."""
        pairs = np.broadcast_to(np.asarray(values, dtype=float), (len(self.x),)) * self.factor
        total = np.bincount(self.receiver, pairs, minlength=len(self.target))
        return np.nan_to_num(total - self.target, nan=1e6, posinf=1e6, neginf=-1e6)

    def error(self, f: sympy.Expr) -> float:
        """Mean absolute error; infinite where the equation is not finite."""
        values = evaluate(f, self.x, self.names)
        return float(np.abs(self.residual(values)).mean()) if np.isfinite(values).all() else float("inf")


def _problems(law: Law, edges: Edges, nodes: Nodes) -> list[tuple[list[_Problem], sympy.Expr]]:
    """What is fitted together, with its equation: all components of a central law, else each by itself."""
    keep = edges.receiver < FIT_NODES
    x, receiver = edges.variables[keep], edges.receiver[keep]
    target = (nodes.acceleration - law.alone(nodes))[:FIT_NODES]
    factor = np.ones_like(edges.delta[keep])
    if law.radial is not None:
        d = np.linalg.norm(edges.delta[keep], axis=1)
        factor = edges.delta[keep] / np.where(d > 0, d, 1.0)[:, None]
    columns = zip(factor.T, target.T, strict=True)
    problems = [_Problem(x, edges.names, receiver, along, a) for along, a in columns]
    if law.radial is not None:
        return [(problems, law.radial)]
    return [([problem], f) for problem, f in zip(problems, law.components, strict=True)]


def _best(problems: Sequence[_Problem], f: sympy.Expr) -> sympy.Expr:
    def error(g: sympy.Expr) -> float:
        return float(np.mean([p.error(g) for p in problems]))

    best, lowest = f, error(f)
    powers = len(constants(f, exponents=True)) > len(constants(f))
    for exponents, shift in itertools.product((False, True) if powers else (False,), (False, True)):
        candidate = _solve(problems, f, shift, exponents)
        if (new := error(candidate)) < CLEARLY * lowest:
            best, lowest = candidate, new
    return best


def _template(f: sympy.Expr, shift: bool, exponents: bool = False) -> Template:
    """The constants of f, and last, with `shift`, what is added to r."""
    values = constants(f, exponents=exponents)
    symbols = sympy.symbols(f"c0:{len(values) + shift}")
    form = replaced(f, dict(zip(values, symbols, strict=False)), exponents)
    start = np.array([*map(float, values), *([0.0] if shift else [])])
    return Template(form.xreplace({R: R + symbols[-1]}) if shift else form, symbols, start)


def _residuals(template: Template, problems: Sequence[_Problem]) -> Callable[[Array], Array]:
    """From constants [P] to the residuals of all problems, which share inputs, in units of their scales."""
    function = template.function()
    columns = dict(zip(problems[0].names, problems[0].x.T, strict=True))

    def residuals(c: Array) -> Array:
        with np.errstate(all="ignore"):
            values = function(columns, c)
        return np.concatenate([p.residual(values) / p.scale for p in problems])

    return residuals


def _solve(problems: Sequence[_Problem], f: sympy.Expr, shift: bool, exponents: bool) -> sympy.Expr:
    template, plain = _template(f, shift, exponents), constants(f)
    if not template.symbols:
        return f
    values = constants(f, exponents=exponents)
    reach = [np.inf if c in plain else max(MAX_EXPONENT, 2 * abs(float(c))) for c in values]
    bound = np.array([*reach, MAX_SHIFT] if shift else reach)
    found = least_squares(
        _residuals(template, problems),
        template.start,
        loss="soft_l1",
        x_scale=np.abs(template.start) + 1e-2,
        bounds=(-bound, bound),
    ).x
    if shift and abs(found[-1]) < RESOLUTION * problems[0].usual("r"):
        return f  # a shift that positions in single precision cannot show
    return template.filled(found)


def _interval(
    problems: Sequence[_Problem], f: sympy.Expr, per_graph: int, rng: np.random.Generator
) -> list[list[float]]:
    template = _template(f, shift=False)
    if not template.symbols:
        return []
    function, centre = _residuals(template, problems), template.start
    residual = function(centre)
    steps = 1e-6 * (np.abs(centre) + 1e-3)
    moved = (function(centre + move) for move in np.diag(steps))
    slopes = np.stack([(m - residual) / h for m, h in zip(moved, steps, strict=True)], axis=1)
    nodes = len(problems[0].target)
    graph = np.tile(np.arange(nodes) // per_graph, len(problems))
    graphs = int(graph.max()) + 1
    draws: list[Array] = []
    for _ in range(REPLICATES):
        counts = np.bincount(rng.integers(graphs, size=graphs), minlength=graphs)[graph].astype(float)
        draws.append(centre + _optimum(residual, slopes, counts))
    return [interval(drawn) for drawn in np.transpose(draws)]


def _optimum(residual: Array, slopes: Array, counts: Array) -> Array:
    """The move δ [P] that minimises Σ counts · soft-L1(residual + slopes·δ), by reweighting."""
    size = np.linalg.norm(slopes, axis=0)
    design = slopes / np.where(size > 0, size, 1.0)
    move: Array = np.zeros(slopes.shape[1])
    for _ in range(ROUNDS):
        weight = counts / np.sqrt(1 + (residual + design @ move) ** 2)
        weighted = design * weight[:, None]
        normal = design.T @ weighted + 1e-14 * np.eye(len(move))
        move = np.asarray(-np.linalg.solve(normal, weighted.T @ residual), dtype=np.float64)
    return np.asarray(move / np.where(size > 0, size, 1.0), dtype=np.float64)
