"""Messages at states of our own choice: to read the gauge off φe, and to fill gaps of the data.

Shapes: S edges, F node features, M message dims, K chosen ones, D space dims. `one` holds the receivers'
features [S, F], `two` the senders'; F = position, velocity, charge, mass, further ones.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from gnn_distill.arrays import Array
from gnn_distill.data.graphs import Subset
from gnn_distill.model.network import ParticleGNN
from gnn_distill.physics.laws import SOFTENING
from gnn_distill.read.probe import moving
from gnn_distill.read.recording import Edges, edge_features

ROTATIONS = 8
MASS_STEP = math.sqrt(2)
RANGE = (0.005, 0.995)
"""Probes have distances between these quantiles of the data."""
EDGES_AT_ONCE = 200_000


@dataclass(frozen=True)
class Pairs:
    """Both ends of edges, and what all messages to the receiver sum to.

    Attributes:
        one: receivers' features, shape [S, F].
        two: senders' features, shape [S, F].
        total: summed messages of the receiver, shape [S, M].
    """

    one: Tensor
    two: Tensor
    total: Tensor

    def edges(self, dim: int) -> Edges:
        """What symbolic regression reads of them; the true force is left out."""
        alone = torch.zeros(1, dtype=torch.long)
        return edge_features(torch.stack([self.one, self.two], 1), (alone, alone + 1), dim, None)


def pairs_of(model: ParticleGNN, graphs: Subset, edges: npt.NDArray[np.int64]) -> Pairs:
    """The ends of some edges of `graphs`, numbered as in a recording: existing edges, graph by graph."""
    n = graphs.features.shape[1]
    receiver, sender = model.edges(n)
    slots = torch.from_numpy(edges)
    if graphs.edge_mask is not None:
        slots = torch.nonzero(graphs.edge_mask.reshape(-1))[:, 0][slots]
    graph, edge = slots // len(receiver), slots % len(receiver)
    needed, back = torch.unique(graph, return_inverse=True)
    part, one, two = graphs[needed], receiver[edge], sender[edge]
    x = part.features
    return Pairs(x[back, one], x[back, two], _totals(model, part)[back, one])


@torch.no_grad()
def _totals(model: ParticleGNN, graphs: Subset) -> Tensor:
    """Summed messages [G, n, M], for as many graphs at a time as have `EDGES_AT_ONCE` edges."""
    n = graphs.features.shape[1]
    size = max(1, EDGES_AT_ONCE // max(1, len(model.edges(n)[0])))
    messages = (model(part.features, edge_mask=part.edge_mask)[1].mean for part in graphs.chunks(size))
    return torch.cat([model.total(e, n) for e in messages])


@torch.no_grad()
def messages_at(model: ParticleGNN, one: Tensor, two: Tensor, components: tuple[int, ...]) -> Tensor:
    """Messages [S, K] of chosen dimensions."""
    return model.edge_update(one, two).mean[..., list(components)].double()


def gauge_fixed(
    model: ParticleGNN, pairs: Pairs, components: tuple[int, ...], slope: float | None = None
) -> tuple[Array, float]:
    """Messages with the network's free factor and offset taken out, read off φe itself; no law is needed.

    A central force averages to zero over rotations of Δ, so what stays of a message is its offset; the
    power of the receiver's mass is the slope of log|e| at fixed geometry.

    Args:
        model: a trained network, in evaluation mode.
        pairs: where to read messages.
        components: the message dimensions.
        slope: s if it is known already.

    Returns:
        (e − h) m1^(−s) of shape [S, K], and the slope s. Whatever power of the receiver's mass the force
        itself has is in s, too.
    """
    mass = pairs.one[:, 2 * model.dim + 1].double().numpy()
    slope = _mass_slope(model, pairs, components) if slope is None else slope
    return _odd(model, pairs.one, pairs.two, components) * mass[:, None] ** -slope, slope


def _mass_slope(model: ParticleGNN, pairs: Pairs, components: tuple[int, ...]) -> float:
    """Median slope of log|e − h| against log m1 at fixed geometry; 0 where nothing is sent."""
    steps = (1 / MASS_STEP, MASS_STEP)
    sent = [_odd(model, _heavier(pairs.one, model.dim, f), pairs.two, components) for f in steps]
    low, high = (np.linalg.norm(v, axis=1) for v in sent)
    there = (low > 0) & (high > 0)
    if not there.any():
        return 0.0
    return float(np.median(np.log(high[there] / low[there]) / math.log(steps[1] / steps[0])))


def _heavier(one: Tensor, dim: int, factor: float) -> Tensor:
    changed = one.clone()
    changed[:, 2 * dim + 1] *= factor
    return changed


def _odd(model: ParticleGNN, one: Tensor, two: Tensor, components: tuple[int, ...]) -> Array:
    """Messages less their average over rotations of Δ where particles move, shape [S, K]."""
    delta = one[:, : model.dim] - two[:, : model.dim]
    axes = moving(delta)
    e = messages_at(model, one, two, components)
    mean = torch.zeros_like(e)
    turns = rotations(len(axes))
    for turn in turns:
        moved = two.clone()
        moved[:, axes] = one[:, axes] - delta[:, axes] @ turn.T.to(delta.dtype)
        mean += messages_at(model, one, moved, components) / len(turns)
    return (e - mean).numpy()


def rotations(dim: int) -> list[Tensor]:
    """Maps of space [D, D] over which every vector averages to zero, the identity among them."""
    if dim == 2:
        angles = [2 * math.pi * k / ROTATIONS for k in range(ROTATIONS)]
        return [
            torch.tensor([[math.cos(a), -math.sin(a)], [math.sin(a), math.cos(a)]], dtype=torch.float64)
            for a in angles
        ]
    cyclic = torch.eye(dim, dtype=torch.float64)
    turns = [torch.roll(cyclic, k, 0) for k in range(dim)]
    return [sign * turn for turn in turns for sign in (1, -1)]


def designed(pairs: Pairs, dim: int, count: int, rng: np.random.Generator) -> Pairs:
    """States inside the range of the data, with distances uniform in the logarithm and random directions.

    Receivers are real ones; senders have the velocity, charge, mass and further features of other real
    senders, at places of our choice.
    """
    who, whom = (torch.from_numpy(rng.integers(len(pairs.one), size=count)) for _ in range(2))
    one, two = pairs.one[who], pairs.two[whom].clone()
    distance = (pairs.one[:, :dim] - pairs.two[:, :dim]).double().norm(dim=1).numpy()
    low, high = np.quantile(distance, RANGE)
    length = np.exp(rng.uniform(np.log(max(low, SOFTENING / 10)), np.log(high), count))
    direction = np.zeros((count, dim))
    axes = moving(pairs.one[:, :dim] - pairs.two[:, :dim])
    direction[:, axes] = rng.normal(size=(count, len(axes)))
    direction /= np.linalg.norm(direction, axis=1, keepdims=True)
    delta = torch.from_numpy(length[:, None] * direction).to(one.dtype)
    two[:, :dim] = one[:, :dim] - delta
    return Pairs(one, two, pairs.total[who])


def pulled_back(model: ParticleGNN, pairs: Pairs) -> Array:
    """Contributions [S, D] to the acceleration of the receivers: J·½ (e(Δ) − e(−Δ)), J = ∂φv/∂ē."""
    mirrored = pairs.two.clone()
    mirrored[:, : model.dim] = 2 * pairs.one[:, : model.dim] - mirrored[:, : model.dim]
    every = tuple(range(model.message_dim))
    odd = 0.5 * (
        messages_at(model, pairs.one, pairs.two, every) - messages_at(model, pairs.one, mirrored, every)
    )
    total = pairs.total.detach().requires_grad_()
    out = model.node(pairs.one, total)
    rows = [
        (torch.autograd.grad(out[:, k].sum(), total, retain_graph=True)[0].double() * odd).sum(1)
        for k in range(model.dim)
    ]
    return torch.stack(rows, dim=1).detach().numpy()
