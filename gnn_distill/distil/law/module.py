"""The distilled law as a torch module, in the place of the network.

Shapes: B graphs, n particles, F features in the order position, velocity, charge, mass, D space dims.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import sympy
import torch
from torch import Tensor, nn

from gnn_distill.distil.expressions.evaluate import constants, replaced
from gnn_distill.distil.expressions.parse import parse
from gnn_distill.errors import InputError
from gnn_distill.physics.laws import SOFTENING
from gnn_distill.physics.variables import DELTAS, VELOCITIES, Columns

Term = Callable[[Mapping[str, Tensor]], Tensor]
_FUNCTIONS: dict[type, Callable[[Tensor], Tensor]] = {
    sympy.exp: torch.exp,
    sympy.log: torch.log,
    sympy.Abs: torch.abs,
    sympy.sin: torch.sin,
    sympy.cos: torch.cos,
}


class LawModule(nn.Module):
    """Accelerations in closed form; the constants outside of exponents are trainable.

    Equal constants of different components are one parameter. Takes what the network takes, so it can stand
    in its place.

    Args:
        acceleration: one expression for each Cartesian component, over the edges.
        one_body: one for each component over the particles, or none.
        edges: receivers and senders, each [E]; all pairs if None.
        further: names of the features after charge and mass.
    """

    def __init__(
        self,
        acceleration: Sequence[str],
        one_body: Sequence[str] = (),
        edges: tuple[Tensor, Tensor] | None = None,
        further: Sequence[str] = (),
    ) -> None:
        super().__init__()
        self.dim, self.further = len(acceleration), tuple(further)
        columns = Columns(self.dim, self.further)
        pair = [parse(text, columns.pair_names) for text in acceleration]
        alone = [parse(text, columns.own_names) for text in one_body]
        numbers = constants(*pair, *alone)
        self.constants = nn.Parameter(torch.tensor([float(c) for c in numbers], dtype=torch.float64))
        names = {c: sympy.Symbol(f"c{k}") for k, c in enumerate(numbers)}
        self._pair = [_compiled(replaced(f, names)) for f in pair]
        self._alone = [_compiled(replaced(f, names)) for f in alone]
        self._edges = edges

    @classmethod
    def from_law(cls, law: Mapping[str, Any], edges: tuple[Tensor, Tensor] | None = None) -> LawModule:
        """The module of a `law.json`."""
        return cls(law["acceleration"], law.get("one_body") or [], edges, law.get("further") or ())

    def forward(self, x: Tensor) -> Tensor:
        """Accelerations [B, n, D] of particles with features x [B, n, F]."""
        x = x.to(self.constants.dtype)
        n, dim, columns = x.shape[1], self.dim, Columns(self.dim, self.further)
        receiver, sender = all_pairs(n, x.device) if self._edges is None else self._edges
        one, two = x[:, receiver], x[:, sender]
        delta = one[..., :dim] - two[..., :dim]
        named = dict(zip(DELTAS, delta.unbind(-1), strict=False))
        named |= {"r": delta.norm(dim=-1) + SOFTENING} | self._numbers()
        named |= columns.properties(one, 1) | columns.properties(two, 2)
        pairs = torch.stack([f(named).expand_as(named["r"]) for f in self._pair], dim=-1)
        pairs = torch.where((delta == 0).all(-1, keepdim=True), 0.0, pairs)  # no direction, so no force
        total = pairs.new_zeros(*x.shape[:2], dim).index_add(1, receiver, pairs)
        return total + self._single(x) if self._alone else total

    def _single(self, x: Tensor) -> Tensor:
        columns = Columns(self.dim)
        velocity = x[..., columns.velocity].unbind(-1)
        named = dict(zip(VELOCITIES, velocity, strict=False)) | {"m1": x[..., columns.mass]}
        named |= self._numbers()
        return torch.stack([f(named).expand_as(named["m1"]) for f in self._alone], dim=-1)

    def _numbers(self) -> dict[str, Tensor]:
        return {f"c{k}": c for k, c in enumerate(self.constants)}


def all_pairs(n: int, device: torch.device | str = "cpu") -> tuple[Tensor, Tensor]:
    """Receivers and senders of all ordered pairs of n particles."""
    index = torch.nonzero(~torch.eye(n, dtype=torch.bool, device=device))
    return index[:, 0], index[:, 1]


def _compiled(expression: sympy.Expr) -> Term:
    if expression.is_Symbol:
        name = str(expression)
        return lambda env: env[name]
    if expression.is_Number or expression.is_NumberSymbol:
        value = float(expression)
        return lambda env: next(iter(env.values())).new_tensor(value)
    parts = [_compiled(a) for a in expression.args]
    if expression.is_Add:
        return lambda env: _folded(torch.add, [p(env) for p in parts])
    if expression.is_Mul:
        return lambda env: _folded(torch.mul, [p(env) for p in parts])
    if expression.is_Pow and expression.exp.is_Integer:
        power = int(expression.exp)
        return lambda env: parts[0](env) ** power
    if expression.is_Pow:
        return lambda env: torch.pow(parts[0](env), parts[1](env))
    if function := _FUNCTIONS.get(expression.func):
        return lambda env: function(parts[0](env))
    raise InputError("expression", str(expression)[:80], "use arithmetic, exp, log, sqrt, Abs, sin or cos")


def _folded(combine: Callable[[Tensor, Tensor], Tensor], values: Sequence[Tensor]) -> Tensor:
    total = values[0]
    for value in values[1:]:
        total = combine(total, value)
    return total
