"""Pairs in isotropic space: the scalars that φe reads, and the directions along which its outputs point.

With Δ = x_i − x_j (nearest images in a periodic box), d = |Δ|, u = Δ/d and w = v_i − v_j, the message is

    c_ij = f_u u + f_w w + f_t u⊥,  in three dimensions f_t u × w,

where each f is a function of d, u·w, |w| and the properties of both particles alone. So the pair part turns
with the particles and cannot depend on where they are or on how fast they move together. What acts on one
particle has its place in h, which reads that particle alone.

Shape letters: B graphs, n particles, F node features, D space dims, K functions, S scalars.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from gnn_distill.data.graphs import Graph
from gnn_distill.model.mlp import MLP
from gnn_distill.model.node import LIGHTEST
from gnn_distill.physics.variables import EDGE, Columns

CLOSEST = 1e-6  # distance, in typical ones, below which direction and logarithm are cut off
CALIBRATION_EDGES = 1_000_000
SWIFT = 3.0  # times the learning rate at which hidden properties move
FIRST = 0.1  # their standard deviation before the first step


class PairFrame(nn.Module):
    """What the isotropic basis makes of particles' features, in units of the training set.

    Args:
        columns: where the features stand, and the periodic box.
        velocities: whether velocities are read and a function f_w is there.
        transverse: whether a function f_t is there.
        individuals: number K of them, where the last feature says which one a particle is.
        hidden: learned properties of each, which are read like those of the data.

    Attributes:
        names: of the functions, `u`, `w` and `t`.
        loudness: typical label of each individual in units of that of all, shape [K].
        scalars: number S of the scalars of a pair; `own_inputs` that of the features which h reads.
        parity: of each function under exchange of the two particles, so that c_ij = −c_ji, shape [K].
        mutual: whether that holds anyway: no property tells two particles apart, and directions are opposite.
    """

    length: Tensor
    speed: Tensor
    centre: Tensor
    unit: Tensor
    size: Tensor
    varies: Tensor
    positive: Tensor
    parity: Tensor

    loudness: Tensor
    strength: Tensor

    def __init__(
        self, columns: Columns, velocities: bool, transverse: bool, individuals: int = 0, hidden: int = 0
    ) -> None:
        super().__init__()
        self.columns, self.velocities, self.transverse = columns, velocities, transverse
        dim, moving = columns.dim, columns.charge  # the columns before the charge are those of the motion
        properties = 2 + len(columns.further)
        self.names = ("u", *(["w"] if velocities else []), *(["t"] if transverse else []))
        self.across = velocities and transverse and dim == 2
        self.scalars = 2 + 2 * velocities + self.across + 4 * properties + 2 * hidden
        self.scalars += columns.bonds is not None
        self.periodic = [k for k, edge in enumerate(columns.box or ()) if edge is not None and edge > 0]
        self.placeless = [k for k, edge in enumerate(columns.box or ()) if edge == 0]
        self.own_inputs = (1 + velocities) * dim + 2 * properties + hidden + len(self.periodic)
        self.register_buffer("length", torch.ones(()))
        self.register_buffer("speed", torch.ones(()))
        self.register_buffer("centre", torch.zeros(moving))
        self.register_buffer("unit", torch.ones(moving))
        self.register_buffer("size", torch.ones(properties))
        self.register_buffer("varies", torch.ones(properties))
        self.register_buffer("positive", torch.zeros(properties))
        self.hidden = nn.Parameter(FIRST / SWIFT * torch.randn(individuals, hidden)) if hidden else None
        self.register_buffer("strength", torch.ones(()), persistent=columns.bonds is not None)
        self.register_buffer("loudness", torch.ones(individuals), persistent=columns.identity)
        even = [-1.0 if name == "t" and dim == 3 else 1.0 for name in self.names]  # u × w stays as it is
        self.register_buffer("parity", torch.tensor(even), persistent=False)
        self.mutual = False  # until it is known what varies

    @property
    def scales(self) -> Tensor:
        """Size of each direction of `pair` in the units of the data, shape [K]."""
        moving = {"u": False, "w": True, "t": self.columns.dim == 3}
        return torch.stack([self.speed if moving[n] else torch.ones_like(self.speed) for n in self.names])

    def calibrate(self, x: Tensor, a: Tensor, graph: Graph) -> None:
        """Take the units of particles [B, n, F] whose edges are given; labels are those of receivers.

        Distances in their median, velocities in their RMS, properties in their RMS. What never varies is not
        read.
        """
        dim, columns, (receiver, sender) = self.columns.dim, self.columns, graph[:2]
        if columns.identity:
            who, size = self._who(x[:, : graph.nodes]).flatten(), a.double().norm(dim=-1).flatten()
            count = torch.bincount(who, minlength=len(self.loudness)).clamp(min=1)
            mean = torch.bincount(who, size, minlength=len(self.loudness)) / count
            self.loudness.copy_(torch.where(mean > 0, mean, 1.0) / _or_one(mean[mean > 0].median()))
        some = x[:: max(1, len(x) * len(receiver) // CALIBRATION_EDGES)].double()
        delta = columns.separation(some[:, receiver], some[:, sender])
        self.length.fill_(_or_one(delta.norm(dim=-1).median()))
        if columns.bonds is not None:
            linked = columns.between(some[:, receiver], some[:, sender])[EDGE]
            self.strength.fill_(_or_one(linked.square().mean().sqrt()))
        v = some[..., columns.velocity]
        self.speed.fill_(_or_one((v[:, receiver] - v[:, sender]).square().mean().sqrt()))
        moved = some[:, : graph.nodes, : columns.charge].flatten(0, 1)
        self.centre.copy_(moved.mean(0))
        spread = (moved - moved.mean(0)).square().mean(0).unflatten(0, (2, dim)).mean(1).sqrt()
        for part, size in zip(self.unit.view(2, dim), spread, strict=True):
            part.fill_(1.0 / _or_one(size))
        known = x[:, : graph.nodes, columns.constant].flatten(0, 1).double()
        rms = known.square().mean(0).sqrt()
        self.size.copy_(torch.where(rms > 0, rms, 1.0))
        self.varies.copy_(known.amax(0) > known.amin(0))
        self.positive.copy_(self.varies * (known.amin(0) > 0))
        self._compare()

    def _compare(self) -> None:
        """Set `mutual`, once, as a GPU would have to be waited for."""
        told = self.hidden is not None or bool(self.varies.any())
        self.mutual = not told and bool((self.parity > 0).all())

    def _load_from_state_dict(self, *args: Any, **options: Any) -> None:
        super()._load_from_state_dict(*args, **options)
        self._compare()

    def pair(self, x_i: Tensor, x_j: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Scalars of the motion, properties of receivers and of senders, and directions [..., K, D]."""
        delta = self.columns.separation(x_i, x_j) / self.length
        d = torch.linalg.vector_norm(delta, dim=-1, keepdim=True).clamp(min=CLOSEST)
        u = delta / d
        scalars, directions = [d, d.log()], [u]
        if self.velocities:
            w = (x_i[..., self.columns.velocity] - x_j[..., self.columns.velocity]) / self.speed
            scalars += [(u * w).sum(-1, keepdim=True), torch.linalg.vector_norm(w, dim=-1, keepdim=True)]
            directions.append(w)
        if self.transverse:
            flat = self.columns.dim == 2
            aside = torch.stack([-u[..., 1], u[..., 0]], -1) if flat else torch.linalg.cross(u, w)
            directions.append(aside)
            if self.across:
                scalars.append((aside * w).sum(-1, keepdim=True))
        if self.columns.bonds is not None:
            scalars.append(self.columns.between(x_i, x_j)[EDGE][..., None] / self.strength)
        return torch.cat(scalars, -1), self._known(x_i), self._known(x_j), torch.stack(directions, -2)

    def own(self, x: Tensor) -> Tensor:
        """What h reads of particles [..., F]; along periodic axes sine and cosine of the position.

        In cells that are tilted or change no position along them is read.
        """
        moved = x[..., : len(self.centre)]
        scaled = (moved - self.centre) * self.unit
        if not self.velocities:
            scaled = scaled[..., self.columns.position]
        scaled[..., self.placeless] = 0.0
        parts = [scaled, self._known(x)]
        for k in self.periodic:
            edge = (self.columns.box or ())[k]
            angle = (2.0 * torch.pi / edge) * moved[..., k]  # type: ignore[operator]
            scaled[..., k] = angle.sin()
            parts.append(angle.cos()[..., None])
        return torch.cat(parts, -1)

    def inertia(self, x: Tensor) -> Tensor:
        """Masses of particles [..., F] in units of their RMS, shape [..., 1]."""
        place = self.columns.mass - self.columns.charge
        return (x[..., self.columns.mass, None] / self.size[place]).clamp(min=LIGHTEST)

    def loud(self, x: Tensor) -> Tensor | float:
        """How large labels of particles [..., F] usually are, in units of those of all, shape [..., 1]."""
        return self.loudness[self._who(x)][..., None] if self.columns.identity else 1.0

    def prior(self) -> Tensor | float:
        """What keeps hidden properties small where nothing speaks for them: their mean square."""
        return 0.0 if self.hidden is None else (SWIFT * self.hidden).square().mean()

    def _who(self, x: Tensor) -> Tensor:
        return x[..., self.columns.individual].long()

    def _known(self, x: Tensor) -> Tensor:
        """Properties of particles [..., F], where all are positive their logarithms, and hidden ones."""
        known = x[..., self.columns.constant] / self.size
        parts = [known * self.varies, known.clamp(min=CLOSEST).log() * self.positive]
        return torch.cat([*parts, *([] if self.hidden is None else [SWIFT * self.hidden[self._who(x)]])], -1)


class PairNode(nn.Module):
    """φv = m^(−s) Σ c_ij + h: pair vectors over a power of the receiver's mass, and h of its own features.

    Attributes:
        power: s.
    """

    def __init__(self, inputs: int, dim: int, width: int, layers: int, *, learn_power: bool) -> None:
        super().__init__()
        self.power = nn.Parameter(torch.ones(()), requires_grad=learn_power)
        self.own = MLP(inputs, dim, width, layers, activation=nn.SiLU, exact_output=True)

    def forward(self, own: Tensor, inertia: Tensor, total: Tensor) -> Tensor:
        """Own features of `PairFrame`, masses [..., 1] and summed messages [..., D]: shape [..., D]."""
        return self.share(inertia) * total + self.own(own)

    def share(self, inertia: Tensor) -> Tensor:
        """What of a pair vector a receiver of mass [..., 1] takes, m^(−s)."""
        return torch.as_tensor(inertia**-self.power)


def _or_one(size: Tensor) -> float:
    return float(size) if size > 0 else 1.0
