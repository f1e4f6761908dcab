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

from gnn_distill.distil.expressions.evaluate import Backend, Function, compiled, constants, directed, replaced
from gnn_distill.distil.expressions.parse import parse
from gnn_distill.physics.laws import SOFTENING
from gnn_distill.physics.variables import DELTAS, HIDDEN, RELATIVE, Bonds, Columns, sided

TORCH = Backend(
    {
        sympy.exp: torch.exp,
        sympy.log: torch.log,
        sympy.Abs: torch.abs,
        sympy.sin: torch.sin,
        sympy.cos: torch.cos,
        sympy.tanh: torch.tanh,
        sympy.Max: torch.maximum,
    },
    number=lambda value: torch.tensor(value, dtype=torch.float64),
    power=torch.pow,
    whole_power=operator.pow,
)


class LawModule(nn.Module):
    """Accelerations in closed form, velocities in first order; constants outside of exponents are trainable.

    Equal constants of different components are one parameter. Takes what the network takes, so it can stand
    in its place.

    Args:
        acceleration: one expression for each Cartesian component, over the edges.
        one_body: one for each component over the particles, or none.
        edges: receivers and senders, each [E]; all pairs if None.
        further: names of the features after charge and mass.
        box: edges of the periodic box, None along an open axis, 0 where features hold each particle's cell;
            None where nothing is periodic.
        softening: ε of r = d + ε.
        order: of the equation of motion; in one of first order the expressions are velocities.
        hidden: what individuals bring, for each number that the last feature may hold: strengths as source
            and as receiver, and 1 or 0 for each of `kinds`; none where the law reads none.
        kinds: names of the kinds that individuals are of.
        bonds: of how many particles features hold the numbers of edges, and which numbers are kinds.
        radius: distance from which on pairs do not act; None where all do.
    """

    strengths: Tensor

    def __init__(
        self,
        acceleration: Sequence[str],
        one_body: Sequence[str] = (),
        edges: tuple[Tensor, Tensor] | None = None,
        further: Sequence[str] = (),
        box: Sequence[float | None] | None = None,
        softening: float = SOFTENING,
        order: int = 2,
        hidden: Sequence[Sequence[float]] = (),
        kinds: Sequence[str] = (),
        bonds: tuple[int, Sequence[float]] | None = None,
        radius: float | None = None,
    ) -> None:
        super().__init__()
        self.order, self.kinds, self.radius = order, tuple(kinds), radius
        space = tuple(further), tuple(box) if box else None, softening, len(hidden) > 0
        known = None if bonds is None else Bonds(bonds[0], tuple(bonds[1]))
        self.columns = Columns(len(acceleration), *space, known)
        table = torch.tensor(hidden, dtype=torch.float64).reshape(-1, 2 + len(self.kinds))
        self.register_buffer("strengths", table, persistent=False)
        ours, theirs = ([sided(name, side) for name in self.kinds] for side in (1, 2))
        pair = [parse(text, (*self.columns.law_names, *HIDDEN, *ours, *theirs)) for text in acceleration]
        alone = [parse(text, (*self.columns.own_names, *HIDDEN, *ours)) for text in one_body]
        numbers = constants(*pair, *alone)
        self.constants = nn.Parameter(torch.tensor([float(c) for c in numbers], dtype=torch.float64))
        names = {c: sympy.Symbol(f"c{k}") for k, c in enumerate(numbers)}
        self._pair = [compiled(replaced(f, names), TORCH) for f in pair]
        own = directed(TORCH, torch.where)
        self._alone = [compiled(replaced(f, names), own) for f in alone]
        self._edges = edges

    @classmethod
    def from_law(cls, law: Mapping[str, Any], edges: tuple[Tensor, Tensor] | None = None) -> LawModule:
        """The module of a `law.json`."""
        lists: dict[str, Any] = {key: law.get(key) or () for key in ("one_body", "further", "box")}
        softening, order = law.get("softening", SOFTENING), law.get("order", 2)
        lists |= {"hidden": strengths_of(law), "kinds": law.get("hidden_kinds") or ()}
        lists |= {"bonds": law.get("bonds"), "radius": law.get("radius")}
        return cls(law["acceleration"], edges=edges, softening=softening, order=order, **lists)

    def forward(self, x: Tensor, edge_mask: Tensor | None = None) -> Tensor:
        """Accelerations [B, n, D], or velocities, of particles with features x [B, n, F].

        Args:
            x: features.
            edge_mask: which of the edges exist in each graph, shape [B, E]; all if None.
        """
        x, columns = x.to(self.constants.dtype), self.columns
        n = x.shape[1]
        if self._edges is None:
            receiver, sender = torch.nonzero(~torch.eye(n, dtype=torch.bool, device=x.device)).T
        else:
            receiver, sender = self._edges
        one, two = x[:, receiver], x[:, sender]
        delta, relative = (
            columns.separation(one, two),
            one[..., columns.velocity] - two[..., columns.velocity],
        )
        d, numbers = delta.norm(dim=-1), {f"c{k}": c for k, c in enumerate(self.constants)}
        named = dict(zip(DELTAS, delta.unbind(-1), strict=False)) | numbers
        named |= dict(zip(RELATIVE, relative.unbind(-1), strict=False))
        apart = (delta * relative).sum(-1) / torch.where(d > 0, d, 1.0)
        named |= {"d": d, "r": d + columns.softening, "w": relative.norm(dim=-1), "uw": apart}
        named |= columns.properties(one, 1) | columns.properties(two, 2) | columns.between(one, two)
        if columns.identity:
            named |= self._brought(one, 1) | self._brought(two, 2)
        pairs = _stacked(self._pair, named, like=d)
        pairs = torch.where((delta == 0).all(-1, keepdim=True), 0.0, pairs)  # no direction, so no force
        if self.radius is not None:
            pairs = torch.where(d[..., None] < self.radius, pairs, 0.0)
        if edge_mask is not None:
            pairs = torch.where(edge_mask[..., None], pairs, 0.0)
        total = pairs.new_zeros(*x.shape[:2], columns.dim).index_add(1, receiver, pairs)
        if not self._alone:
            return total
        own = columns.own(x) | numbers | (self._brought(x, 1) if columns.identity else {})
        return total + _stacked(self._alone, own, like=x[..., columns.mass])

    def _brought(self, x: Tensor, side: int) -> dict[str, Tensor]:
        """What the individuals that particles [..., F] are bring, by name."""
        found = self.strengths[x[..., self.columns.individual].long()].unbind(-1)
        return dict(zip([sided(name, side) for name in ("s", "t", *self.kinds)], found, strict=True))


def strengths_of(law: Mapping[str, Any]) -> list[list[float]]:
    """What each individual of a `law.json` brings, in the order of their numbers.

    Source and response, and 1 or 0 for each name in `hidden_kinds`, as it is of that kind or not.
    """
    names = law.get("hidden_kinds") or ()
    return [
        [one["source"][0], one["response"][0], *(float(name.endswith(f"_{one['kind']}")) for name in names)]
        for one in (law.get("hidden") or {}).values()
    ]


def _stacked(terms: Sequence[Function], named: Mapping[str, Tensor], like: Tensor) -> Tensor:
    """Values of the terms side by side, each of the shape of `like`."""
    return torch.stack([term(named).to(like).expand_as(like) for term in terms], dim=-1)
