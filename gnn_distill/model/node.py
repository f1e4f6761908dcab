"""Node models φv(v, ē): from a receiver's own features v and its summed messages ē to its acceleration.

Shape letters: F node features in the order position, velocity, charge, mass, further ones; M message
dims; D space dims. The published model is `MLPNode`; the others are additive in the messages by
construction, as forces are.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from gnn_distill.model.mlp import MLP
from gnn_distill.physics.variables import Columns

LIGHTEST = 1e-6  # mass below which a receiver counts as that heavy


class MLPNode(nn.Module):
    """φv = MLP([v, ē]), the published node model."""

    def __init__(self, features: int, message_dim: int, dim: int, width: int, layers: int) -> None:
        super().__init__()
        self.net = MLP(features + message_dim, dim, width, layers, exact_output=True)

    def forward(self, v: Tensor, total: Tensor) -> Tensor:
        """Map features [..., F] and summed messages [..., M] to [..., D]."""
        return self.net(torch.cat([v, total], dim=-1))


class LinearNode(nn.Module):
    """φv(v, ē) = A(v)·ē + h(v), with A and h from a small MLP of the receiver's own features."""

    def __init__(self, features: int, message_dim: int, dim: int, width: int, layers: int) -> None:
        super().__init__()
        self.message_dim, self.dim = message_dim, dim
        self.own = MLP(features, dim * (message_dim + 1), width, layers, exact_output=True)

    def forward(self, v: Tensor, total: Tensor) -> Tensor:
        """Map features [..., F] and summed messages [..., M] to [..., D]."""
        a, h = self.own(v).split([self.dim * self.message_dim, self.dim], dim=-1)
        return (a.unflatten(-1, (self.dim, self.message_dim)) * total[..., None, :]).sum(-1) + h


class PowerNode(nn.Module):
    """φv(v, ē) = m^(−p)·A·ē + h(v): A and p are the same for every receiver, h comes from a small MLP.

    So Σ_j A·e_ij = m_i^p (a_i − h): a message carries F·m_i^(p−1) up to one linear map. It is the force where
    p is learned to be 1, the acceleration where p is 0.

    Attributes:
        power: p, learned from 1 on.
    """

    def __init__(self, features: int, message_dim: int, dim: int, width: int, layers: int) -> None:
        super().__init__()
        self.mass = Columns(dim).mass
        self.power = nn.Parameter(torch.ones(()))
        self.map = nn.Linear(message_dim, dim, bias=False)
        self.own = MLP(features, dim, width, layers, exact_output=True)

    def forward(self, v: Tensor, total: Tensor) -> Tensor:
        """Map features [..., F] and summed messages [..., M] to [..., D]."""
        mass = v[..., self.mass, None].clamp(min=LIGHTEST)
        with torch.autocast(v.device.type, enabled=False):
            pull = mass**-self.power * self.map(total)
        return pull + self.own(v)


NODE_MODELS = {"mlp": MLPNode, "linear": LinearNode, "power": PowerNode}
