"""The distilled law: one closed form for accelerations, its constants refitted, beside the network.

The law of D Cartesian components reads a_i = Σ_j f(Δ_ij, r_ij, features of both), with one expression
per component. Shapes: E edges, N nodes, D space dims, K variables per edge.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import sympy

from gnn_distill.analyse.gauge import Gauge
from gnn_distill.analyse.linear import TRIM, r_squared
from gnn_distill.arrays import Array
from gnn_distill.distil.expressions.evaluate import NUMPY, at, constants, directed
from gnn_distill.distil.expressions.front import complexity
from gnn_distill.distil.expressions.parse import R, parse, rounded, write
from gnn_distill.distil.expressions.refine import writings
from gnn_distill.physics.laws import SOFTENING
from gnn_distill.physics.variables import DELTAS, VELOCITIES
from gnn_distill.read.recording import Edges

WORST_CONDITION = 1e3  # of the matrix that mixes force components into messages
CLEARLY = 0.98  # a candidate must lower the error to this share


@dataclass(frozen=True)
class Nodes:
    """The receivers: what one-body terms read of them by name, each [N], and accelerations [N, D].

    Accelerations are velocities where the motion is of first order.
    """

    named: dict[str, Array]
    acceleration: Array

    def __len__(self) -> int:
        return len(self.acceleration)


@dataclass(frozen=True)
class Law:
    """Accelerations in closed form, one expression per Cartesian component.

    Attributes:
        components: what each pair contributes to its receiver.
        one_body: what a particle feels by itself; empty if nothing.
        radial: f where all components are f·Δ_k/d, else None.
        order: of the equation of motion; in one of first order `acceleration` is the velocity.
        functions: f along Δ/d, `u`, along the relative velocity, `w`, and across, `t`, where these are known.
    """

    components: tuple[sympy.Expr, ...]
    one_body: tuple[sympy.Expr, ...] = ()
    radial: sympy.Expr | None = None
    order: int = 2
    functions: Mapping[str, sympy.Expr] = field(default_factory=dict)

    @classmethod
    def along(cls, radial: sympy.Expr, dim: int, softening: float = SOFTENING) -> Law:
        """The central law f·Δ/d in `dim` dimensions, with d = r − ε the distance itself."""
        radial = min(reversed(writings(radial)), key=complexity)  # the last form has common factors in front
        distance = R - sympy.Float(softening) if softening else R
        direction = [sympy.Symbol(name) / distance for name in DELTAS[:dim]]
        return cls(tuple(radial * part for part in direction), radial=radial)

    @classmethod
    def of(cls, content: Mapping[str, Any]) -> Law:
        """The law of a `law.json`."""
        pairs, alone = (tuple(map(parse, content.get(key) or ())) for key in ("acceleration", "one_body"))
        radial, functions = content.get("radial"), content.get("functions") or {}
        order, known = content.get("order", 2), {key: parse(f) for key, f in functions.items()}
        return cls(pairs, alone, None if radial is None else parse(radial), order, known)

    def with_signs(self, names: Sequence[str]) -> Law:
        """The same law where the named variables are ±1: a power of one is the variable itself, or 1."""
        signs = {sympy.Symbol(name) for name in names}

        def parity(e: sympy.Expr) -> sympy.Expr:
            return e.replace(
                lambda p: p.is_Pow and p.base in signs and p.exp.is_Integer,
                lambda p: p.base if p.exp % 2 else sympy.Integer(1),
            )

        radial = None if self.radial is None else parity(self.radial)
        return replace(self, components=tuple(map(parity, self.components)), radial=radial)

    def pair(self, edges: Edges) -> Array:
        """Contributions of the edges, shape [E, D]; none where Δ = 0, which has no direction."""
        named, count = edges.named, len(edges.r)
        found = np.stack([at(f, named, count) for f in self.components], axis=1)
        return np.where((edges.delta == 0).all(axis=1, keepdims=True), 0.0, found)

    def alone(self, nodes: Nodes) -> Array:
        """One-body accelerations, shape [N, D]; a vector of no length has no direction, as v/|v| at rest."""
        if not self.one_body:
            return np.zeros_like(nodes.acceleration)
        own = directed(NUMPY, np.where)
        return np.stack([at(f, nodes.named, len(nodes), own) for f in self.one_body], axis=1)

    def accelerations(self, edges: Edges, nodes: Nodes) -> Array:
        """Accelerations of the nodes that `edges` arrive at, shape [N, D]."""
        return summed(self.pair(edges), edges.receiver, len(nodes)) + self.alone(nodes)

    @property
    def constants(self) -> list[list[sympy.Float]]:
        """The numeric constants of each component; ε of a central law, which is not fitted, is left out."""
        return [constants(f if self.radial is None else self.radial) for f in self.components]

    def to_dict(self) -> dict[str, Any]:
        """Expressions and their numeric constants as plain data."""
        return {
            "acceleration": [write(f) for f in self.components],
            "latex": [sympy.latex(rounded(f, 4)) for f in self.components],
            "radial": None if self.radial is None else write(self.radial),
            "constants": [[float(c) for c in row] for row in self.constants],
            "one_body": [write(f) for f in self.one_body],
            "order": self.order,
            "functions": {key: write(f) for key, f in self.functions.items()},
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
    power = sympy.Symbol("m1") ** sympy.Float(gauge.p - 1.0)
    parts = [(e - sympy.Float(fit.offset)) * power for e, fit in zip(expressions, gauge.robust, strict=True)]
    rows = [[sympy.Float(c) * p for c, p in zip(row, parts, strict=True)] for row in np.linalg.inv(matrix)]
    return Law(tuple(sum(row, sympy.S(0)) for row in rows))


def fit_one_body(law: Law, edges: Edges, nodes: Nodes) -> Law:
    """Put in what pairs leave over: the fewest of g, −c v, −c v / m that explain the rest, per component.

    Least trimmed squares on each subset of the three; the smallest within a few per cent of the best
    mean absolute residual is taken.
    """
    rest = nodes.acceleration - summed(law.pair(edges), edges.receiver, len(nodes))
    terms = []
    for k, name in enumerate(VELOCITIES[: rest.shape[1]]):
        v, m1 = sympy.Symbol(name), sympy.Symbol("m1")
        drag = nodes.named[name]
        columns = {sympy.S(1): np.ones_like(drag), v: drag, v / m1: drag / nodes.named["m1"]}
        subsets = [s for size in range(4) for s in itertools.combinations(columns, size)]
        tried = [_one_body([columns[c] for c in subset], rest[:, k]) for subset in subsets]
        limit = min(error for _, error in tried) / CLEARLY
        subset, (values, _) = next(t for t in zip(subsets, tried, strict=True) if t[1][1] <= limit)
        parts = (sympy.Float(c) * term for c, term in zip(values, subset, strict=True))
        terms.append(sum(parts, sympy.S(0)))
    return replace(law, one_body=tuple(terms))


def _one_body(columns: Sequence[Array], rest: Array) -> tuple[Array, float]:
    """Coefficients of the columns [N] in the rest [N], without an offset, and the trimmed mean residual."""
    values, residual, kept = np.zeros(len(columns)), rest, np.ones(len(rest), dtype=bool)
    for _ in range(20 if columns else 0):
        design = np.stack(columns, axis=1)
        values = np.asarray(np.linalg.lstsq(design[kept], rest[kept], rcond=None)[0], dtype=np.float64)
        residual = rest - design @ values
        kept = np.abs(residual) <= np.quantile(np.abs(residual), 1 - TRIM)
    trimmed = np.abs(residual)
    return values, float(trimmed[trimmed <= np.quantile(trimmed, 1 - TRIM)].mean())


def compare(law: Law, edges: Edges, nodes: Nodes, network_mae: float) -> dict[str, Any]:
    """The content of `law.json`: the law, its error on test accelerations beside the network's.

    `r2_truth` compares pair contributions with the true F / m1 on the line y = x, per component, or is
    None where the true law is unknown.
    """
    error = np.abs(law.accelerations(edges, nodes) - nodes.acceleration)
    truth = edges.acceleration
    return {
        **law.to_dict(),
        "test": {"mae": float(error.mean())},
        "network": {"mae": network_mae},
        "r2_truth": None if truth is None else r2_truth(law, edges, truth),
    }


def r2_truth(law: Law, edges: Edges, truth: Array) -> dict[str, list[float]]:
    """R² of the law's pair contributions to the true ones [E, D] on the line y = x, per component."""
    columns = list(zip(truth.T, law.pair(edges).T, strict=True))
    return {k: [r_squared(t, p, trim) for t, p in columns] for k, trim in (("robust", TRIM), ("ols", 0.0))}
