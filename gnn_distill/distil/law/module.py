"""The distilled law as a torch module, in the place of the network.

Shapes: B graphs, n particles, F features in the order position, velocity, charge, mass, D space dims.
"""

from __future__ import annotations

import operator
from collections.abc import Mapping, Sequence
from typing import Any

import sympy
import torch
from torch import Tensor, nn

from gnn_distill.distil.expressions.evaluate import Backend, Function, compiled, constants, replaced
from gnn_distill.distil.expressions.parse import parse
from gnn_distill.physics.laws import SOFTENING
from gnn_distill.physics.variables import DELTAS, Columns

TORCH = Backend(
    {
        sympy.exp: torch.exp,
        sympy.log: torch.log,
        sympy.Abs: torch.abs,
        sympy.sin: torch.sin,
        sympy.cos: torch.cos,
    },
    number=lambda value: torch.tensor(value, dtype=torch.float64),
    power=torch.pow,
    whole_power=operator.pow,
)


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
        pair = [parse(text, columns.law_names) for text in acceleration]
        alone = [parse(text, columns.own_names) for text in one_body]
        numbers = constants(*pair, *alone)
        self.constants = nn.Parameter(torch.tensor([float(c) for c in numbers], dtype=torch.float64))
        names = {c: sympy.Symbol(f"c{k}") for k, c in enumerate(numbers)}
        self._pair = [compiled(replaced(f, names), TORCH) for f in pair]
        self._alone = [compiled(replaced(f, names), TORCH) for f in alone]
        self._edges = edges

    @classmethod
    def from_law(cls, law: Mapping[str, Any], edges: tuple[Tensor, Tensor] | None = None) -> LawModule:
        """The module of a `law.json`."""
        return cls(law["acceleration"], law.get("one_body") or [], edges, law.get("further") or ())

    def forward(self, x: Tensor) -> Tensor:
        """Accelerations [B, n, D] of particles with features x [B, n, F]."""
        x = x.to(self.constants.dtype)
        n, dim, columns = x.shape[1], self.dim, Columns(self.dim, self.further)
        if self._edges is None:
            receiver, sender = torch.nonzero(~torch.eye(n, dtype=torch.bool, device=x.device)).T
        else:
            receiver, sender = self._edges
        one, two = x[:, receiver], x[:, sender]
        delta = one[..., :dim] - two[..., :dim]
        numbers = {f"c{k}": c for k, c in enumerate(self.constants)}
        named = dict(zip(DELTAS, delta.unbind(-1), strict=False)) | numbers
        named |= {"r": delta.norm(dim=-1) + SOFTENING}
        named |= columns.properties(one, 1) | columns.properties(two, 2)
        pairs = _stacked(self._pair, named, like=named["r"])
        pairs = torch.where((delta == 0).all(-1, keepdim=True), 0.0, pairs)  # no direction, so no force
        total = pairs.new_zeros(*x.shape[:2], dim).index_add(1, receiver, pairs)
        if not self._alone:
            return total
        return total + _stacked(self._alone, columns.own(x) | numbers, like=x[..., columns.mass])


def _stacked(terms: Sequence[Function], named: Mapping[str, Tensor], like: Tensor) -> Tensor:
    """Values of the terms side by side, each of the shape of `like`."""
    return torch.stack([term(named).to(like).expand_as(like) for term in terms], dim=-1)
