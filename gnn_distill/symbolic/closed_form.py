"""The distilled law: one closed form for accelerations, its constants refitted, beside the network.

The law of D Cartesian components reads a_i = Σ_j f(Δ_ij, r_ij, features of both), with one expression
per component. Shapes: E edges, N nodes, D space dims, K variables per edge.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import sympy
from scipy.optimize import least_squares

from gnn_distill.gauge import Gauge
from gnn_distill.linear import TRIM, r_squared
from gnn_distill.messages import Edges
from gnn_distill.symbolic.numeric import compiled, evaluate
from gnn_distill.symbolic.parse import write

Array = npt.NDArray[np.float64]

FIT_NODES = 8000
WORST_CONDITION = 1e3  # of the matrix that mixes force components into messages
MAX_SHIFT = 0.05  # the largest change of r, as for the mark * of a small constant inside r
CLEARLY = 0.98  # a candidate must lower the error to this share
R = sympy.Symbol("r")


@dataclass(frozen=True)
class Nodes:
    """The receivers: velocities [N, D], masses [N], accelerations [N, D]."""

    velocity: Array
    mass: Array
    acceleration: Array

    @property
    def variables(self) -> Array:
        """What one-body terms read, shape [N, D + 1]."""
        return np.column_stack([self.velocity, self.mass])

    @property
    def names(self) -> tuple[str, ...]:
        """Names of `variables`: `vx vy [vz] m1`."""
        return (*("vx", "vy", "vz")[: self.velocity.shape[1]], "m1")


@dataclass(frozen=True)
class Law:
    """Accelerations in closed form, one expression per Cartesian component.

    Attributes:
        components: what each pair contributes to its receiver.
        one_body: what a particle feels by itself; empty if nothing.
    """

    components: tuple[sympy.Expr, ...]
    one_body: tuple[sympy.Expr, ...] = ()

    def pair(self, edges: Edges) -> Array:
        """Contributions of the edges, shape [E, D]."""
        x = edges.variables
        return np.stack([evaluate(f, x, edges.names) for f in self.components], axis=1)

    def alone(self, nodes: Nodes) -> Array:
        """One-body accelerations, shape [N, D]."""
        if not self.one_body:
            return np.zeros_like(nodes.acceleration)
        return np.stack([evaluate(f, nodes.variables, nodes.names) for f in self.one_body], axis=1)

    def accelerations(self, edges: Edges, nodes: Nodes) -> Array:
        """Accelerations of the nodes that `edges` arrive at, shape [N, D]."""
        return summed(self.pair(edges), edges.receiver, len(nodes.mass)) + self.alone(nodes)

    def to_dict(self) -> dict[str, Any]:
        """Expressions and their numeric constants as plain data."""
        return {
            "acceleration": [write(f) for f in self.components],
            "latex": [sympy.latex(_short(f)) for f in self.components],
            "constants": [[float(c) for c in constants(f)] for f in self.components],
            "one_body": [write(f) for f in self.one_body],
        }


def summed(pairs: Array, receiver: npt.NDArray[np.int64], nodes: int) -> Array:
    """Contributions [E, D] summed by receiver, shape [N, D]."""
    return np.stack([np.bincount(receiver, column, minlength=nodes) for column in pairs.T], axis=1)


def from_messages(expressions: Sequence[sympy.Expr], gauge: Gauge) -> Law | None:
    """Turn equations of message components into accelerations with the fitted linear map and gauge.

    Messages ≈ a + B·F m1^(−p), so F / m1 = B⁻¹ (message − a) m1^(p−1). None where B cannot be inverted:
    components that carry the same direction of the force, or too few of them.
    """
    matrix = np.stack([fit.slope for fit in gauge.robust])
    if matrix.shape[0] != matrix.shape[1] or not np.linalg.cond(matrix) < WORST_CONDITION:
        return None
    inverse = np.linalg.inv(matrix)
    offsets = [fit.offset for fit in gauge.robust]
    power = sympy.Symbol("m1") ** sympy.Float(gauge.p - 1.0)
    parts = [(e - sympy.Float(a)) * power for e, a in zip(expressions, offsets, strict=True)]
    return Law(
        tuple(
            sum((sympy.Float(c) * p for c, p in zip(row, parts, strict=True)), sympy.S(0)) for row in inverse
        )
    )


def refit(law: Law, edges: Edges, nodes: Nodes) -> Law:
    """Refit every numeric constant but exponents, end to end, on accelerations.

    Engines seldom see the softening ε of r = d + ε, so r may shift by a small fitted constant as well.
    Soft-L1 on the summed contributions of at most `FIT_NODES` nodes; of the equation as it was, refitted,
    and refitted with a shifted r, a component keeps the first that a later one does not beat clearly.

    Args:
        law: where to start; its one-body terms stay.
        edges: edges of graphs not used for testing.
        nodes: all receivers of `edges`.
    """
    keep = edges.receiver < FIT_NODES
    x, receiver = edges.variables[keep], edges.receiver[keep]
    target = (nodes.acceleration - law.alone(nodes))[:FIT_NODES]
    fitted = []
    for f, a in zip(law.components, target.T, strict=True):
        problem = _Refit(x, edges.names, receiver, a)
        best, error = f, problem.error(f)
        for shift in (False, True):
            candidate = problem.solve(f, shift)
            if (new := problem.error(candidate)) < CLEARLY * error:
                best, error = candidate, new
        fitted.append(best)
    return replace(law, components=tuple(fitted))


def fit_one_body(law: Law, edges: Edges, nodes: Nodes) -> Law:
    """Put in what pairs leave over: the fewest of g, −c v, −c v / m that explain the rest, per component.

    Least trimmed squares on each subset of the three; the smallest within a few per cent of the best
    mean absolute residual is taken.
    """
    rest = nodes.acceleration - summed(law.pair(edges), edges.receiver, len(nodes.mass))
    terms = []
    for k, name in enumerate(nodes.names[:-1]):
        v, m1 = sympy.Symbol(name), sympy.Symbol("m1")
        drag = nodes.velocity[:, k]
        columns = {sympy.S(1): np.ones_like(drag), v: drag, v / m1: drag / nodes.mass}
        subsets = [s for size in range(4) for s in itertools.combinations(columns, size)]
        tried = [_one_body([columns[c] for c in subset], rest[:, k]) for subset in subsets]
        limit = min(error for _, error in tried) / CLEARLY
        subset, (values, _) = next(t for t in zip(subsets, tried, strict=True) if t[1][1] <= limit)
        parts = (sympy.Float(c) * term for c, term in zip(values, subset, strict=True))
        terms.append(sum(parts, sympy.S(0)))
    return replace(law, one_body=tuple(terms))


def _one_body(columns: Sequence[Array], rest: Array) -> tuple[Array, float]:
    """Coefficients of the columns [N] in the rest [N], without an offset, and the trimmed mean residual."""
    values: Array = np.zeros(len(columns))
    residual = rest
    kept = np.ones(len(rest), dtype=bool)
    for _ in range(20 if columns else 0):
        design = np.stack(columns, axis=1)
        values = np.asarray(np.linalg.lstsq(design[kept], rest[kept], rcond=None)[0], dtype=np.float64)
        residual = rest - design @ values
        kept = np.abs(residual) <= np.quantile(np.abs(residual), 1 - TRIM)
    trimmed = np.abs(residual)
    return values, float(trimmed[trimmed <= np.quantile(trimmed, 1 - TRIM)].mean())


@dataclass(frozen=True)
class _Refit:
    """Constants of one component against the accelerations `target` [N] of the receivers."""

    x: Array
    names: Sequence[str]
    receiver: npt.NDArray[np.int64]
    target: Array

    def error(self, f: sympy.Expr) -> float:
        """Mean absolute error; infinite where the equation is not finite."""
        total = np.bincount(self.receiver, evaluate(f, self.x, self.names), minlength=len(self.target))
        error = float(np.abs(total - self.target).mean())
        return error if np.isfinite(error) else float("inf")

    def solve(self, f: sympy.Expr, shift: bool) -> sympy.Expr:
        """The equation with refitted constants, and with r + c in place of r if `shift`."""
        values = constants(f)
        symbols = sympy.symbols(f"c0:{len(values) + shift}")
        if not symbols:
            return f
        skeleton = _replace_constants(f, dict(zip(values, symbols, strict=False)))
        start, reach = np.array([float(v) for v in values]), np.full(len(values), np.inf)
        if shift:
            skeleton = skeleton.xreplace({R: R + symbols[-1]})
            start, reach = np.append(start, 0.0), np.append(reach, MAX_SHIFT)
        function, columns = compiled(skeleton), dict(zip(self.names, self.x.T, strict=True))

        def residual(c: Array) -> Array:
            with np.errstate(all="ignore"):
                values = function(columns | dict(zip(map(str, symbols), c, strict=True)))
            pairs = np.broadcast_to(np.asarray(values, dtype=float), (len(self.x),))
            total = np.bincount(self.receiver, pairs, minlength=len(self.target))
            return np.nan_to_num(total - self.target, nan=1e6, posinf=1e6, neginf=-1e6)

        scale = max(1e-3 * float(np.median(np.abs(self.target))), 1e-12)
        found = least_squares(
            residual,
            start,
            loss="soft_l1",
            f_scale=scale,
            x_scale=np.abs(start) + 1e-2,
            bounds=(-reach, reach),
        ).x
        return skeleton.xreplace({s: sympy.Float(c) for s, c in zip(symbols, found, strict=True)})


def constants(f: sympy.Expr) -> list[sympy.Float]:
    """Distinct floating-point constants of an expression outside of exponents, in a stable order."""
    found: list[sympy.Float] = []

    def visit(e: sympy.Expr) -> None:
        if isinstance(e, sympy.Float) and e not in found:
            found.append(e)
        for part in e.args[:1] if e.is_Pow else e.args:
            visit(part)

    visit(f)
    return found


def _replace_constants(f: sympy.Expr, to: dict[sympy.Float, sympy.Symbol]) -> sympy.Expr:
    if isinstance(f, sympy.Float):
        return to.get(f, f)
    if not f.args:
        return f
    if f.is_Pow:
        return sympy.Pow(_replace_constants(f.base, to), f.exp, evaluate=False)
    return f.func(*(_replace_constants(part, to) for part in f.args))


def compare(law: Law, edges: Edges, nodes: Nodes, network_mae: float) -> dict[str, Any]:
    """The content of `law.json`: the law, its error on test accelerations beside the network's.

    `r2_truth` compares pair contributions with the true F / m1 on the line y = x, per component, or is
    None where the true law is unknown.
    """
    error = np.abs(law.accelerations(edges, nodes) - nodes.acceleration)
    truth = edges.acceleration
    r2 = None
    if truth is not None:
        kinds = {"robust": TRIM, "ols": 0.0}
        columns = list(zip(truth.T, law.pair(edges).T, strict=True))
        r2 = {kind: [r_squared(t, p, trim) for t, p in columns] for kind, trim in kinds.items()}
    return {
        **law.to_dict(),
        "test": {"mae": float(error.mean())},
        "network": {"mae": network_mae},
        "r2_truth": r2,
    }


def _short(f: sympy.Expr) -> sympy.Expr:
    return f.xreplace({c: sympy.Float(c, 4) for c in f.atoms(sympy.Float)})
