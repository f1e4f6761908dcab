"""Questions put to a trained network by changing its inputs: its gauge, and states of our choice.

A message may carry e_ij = A(v_i)·F_ij + h(v_i), because φv knows the receiver's own features v_i. Turning
the sender about the receiver averages a central force away and leaves h. Changing the receiver's mass at
fixed geometry shows how A depends on it: φe gives the slope of log|e − h|, the pull-back that of the
same edge's contribution to the acceleration, F/m_i by definition; with A ∝ m_i^(−p),

    p = 1 + d log|c| / d log m_i − d log|e − h| / d log m_i,

whatever the force's own dependence on m_i. No law is needed.

Shapes: B graphs, n particles, E edges of a graph, F features, M message dims, K of them selected, D space
dims, R rotations, S edges picked one by one. `one` holds the receivers' features, `two` the senders'.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from gnn_distill.arrays import Array
from gnn_distill.data.graphs import Subset
from gnn_distill.data.receivers import Receivers
from gnn_distill.model.network import ParticleGNN
from gnn_distill.physics.laws import SOFTENING
from gnn_distill.physics.variables import Columns
from gnn_distill.read.pullback import jacobian, reflected
from gnn_distill.read.recording import Edges, NetworkGauge, edge_features

MASS_QUANTILES = (0.2, 0.35, 0.5, 0.65, 0.8)
EDGES_AT_ONCE = 200_000
RANGE = (0.005, 0.995)
"""Designed states have distances between these quantiles of the data."""


def moving(delta: Tensor) -> list[int]:
    """The axes along which particles are ever apart, from Δ [..., D]; all axes if there are none.

    Where motion is planar, the network knows nothing of places beyond the plane.
    """
    apart = (delta != 0).flatten(0, -2).any(0)
    return [int(k) for k in torch.nonzero(apart if apart.any() else ~apart)]


def rotations(dim: int) -> Tensor:
    """Rotations and their opposites, evenly spread: a central force averages to zero, shape [R, D, D]."""
    if dim == 2:
        angle = torch.arange(8) * (torch.pi / 4)
        c, s = torch.cos(angle), torch.sin(angle)
        return torch.stack([torch.stack([c, -s], -1), torch.stack([s, c], -1)], -2)
    drawn = torch.randn(6, dim, dim, generator=torch.Generator().manual_seed(0))
    turns = torch.linalg.qr(drawn).Q
    return torch.cat([turns, -turns])


@torch.no_grad()
def offsets(model: ParticleGNN, one: Tensor, two: Tensor) -> Tensor:
    """h: messages averaged over rotations of the sender about the receiver.

    Args:
        model: the network, in evaluation mode.
        one: receivers' features, shape [..., F].
        two: senders' features, shape [..., F].

    Returns:
        Shape [..., M].
    """
    dim, total = model.dim, torch.zeros(())
    delta = one[..., :dim] - two[..., :dim]
    axes = moving(delta)
    turns = rotations(len(axes)).to(one)
    for turn in turns:
        moved = two.clone()
        moved[..., axes] = one[..., axes] - delta[..., axes] @ turn.T
        total = total + model.edge_update(one, moved).mean
    return total / len(turns)


@dataclass(frozen=True)
class _Receivers:
    """Edges of some graphs whose receivers' own features may be changed, the geometry kept."""

    model: ParticleGNN
    data: Subset | Receivers
    components: list[int]
    scale: Tensor

    def __call__(self, own: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Offset-free messages [B, E, K], their contributions [B, E, D] and offsets [B, E, K].

        Args:
            own: features [B, n, F] that the nodes have as receivers; senders move along with them.
        """
        model, x, position = self.model, self.data.features, self.data.columns.position
        graph = model.graph_of(self.data)
        receiver, sender = graph.receiver, graph.sender
        one, two = own[:, receiver], x[:, sender].clone()
        two[..., position] += (own - x)[:, receiver, position]
        exists = torch.ones(()) if self.data.edge_mask is None else self.data.edge_mask[..., None]
        with torch.no_grad():
            e = model.edge_update(one, two).mean * exists
        h = offsets(model, one, two) * exists
        _, slope = jacobian(model, own[:, : graph.nodes], graph.total(e))
        c = torch.einsum("bedm,bem->bed", slope[:, receiver], e - h)
        return (e - h)[..., self.components] / self.scale, c, h[..., self.components] / self.scale


def network_gauge(
    model: ParticleGNN, data: Subset | Receivers, components: list[int], scale: Array, seed: int = 0
) -> NetworkGauge:
    """Read the gauge of the selected messages off φe and φv.

    Args:
        model: the network, in evaluation mode.
        data: some graphs.
        components: selected message dimensions.
        scale: the standard deviation [K] of each, one where it is zero.
        seed: of the exchange of features between receivers.
    """
    x, columns = data.features, data.columns
    ask = _Receivers(model, data, components, torch.from_numpy(scale).to(x))
    message_slope, pullback_slope = _mass_slopes(ask)
    receiver = model.graph_of(data).receiver
    e, c, h = ask(x)
    kept = _usable(e, c, data)
    other = torch.randperm(x.shape[0] * x.shape[1], generator=torch.Generator().manual_seed(seed))
    exchanged = x.flatten(0, 1)[other].unflatten(0, x.shape[:2])
    by_scale, by_offset = {}, {}
    for name, part in columns.parts.items():
        if x[..., part].numel() == 0 or bool((x[..., part] == x[:1, :1, part]).all()):
            continue
        own = x.clone()
        own[..., part] = exchanged[..., part]
        e1, c1, h1 = ask(own)
        both = kept & _usable(e1, c1, data)
        ratio = (_size(e1) / _size(c1)).log() - (_size(e) / _size(c)).log()
        before, after = x[:, receiver, columns.mass], own[:, receiver, columns.mass]
        positive = (before > 0) & (after > 0)
        ratio = ratio - torch.where(positive, after / before, torch.ones_like(before)).log()  # c = F / m_i
        by_scale[name] = float(ratio[both].abs().median()) if both.any() else float("nan")
        by_offset[name] = float(((h1 - h)[both] ** 2).mean().sqrt() / 2**0.5)
    graph = torch.arange(len(x))[:, None].expand(kept.shape)[kept].numpy()
    if isinstance(data, Receivers):
        graph = receiver[kept[0]].numpy()
    slopes = [s[kept].double().cpu().numpy() for s in (message_slope, pullback_slope)]
    return NetworkGauge(slopes[0], slopes[1], graph, by_scale, by_offset)


def _mass_slopes(ask: _Receivers) -> tuple[Tensor, Tensor]:
    """Slopes [B, E] of log|e − h| and log|c| against log m_i, by least squares over five masses."""
    x, place = ask.data.features, ask.data.columns.mass
    masses = torch.quantile(x[..., place].flatten().double(), torch.tensor(MASS_QUANTILES).double())
    log = masses.clamp(min=1e-30).log()
    weight = (log - log.mean()) / ((log - log.mean()) ** 2).sum()
    of_messages, of_pullback = torch.zeros(()), torch.zeros(())
    for mass, w in zip(masses, weight.tolist(), strict=True):
        own = x.clone()
        own[..., place] = mass.to(x.dtype)
        e, c, _ = ask(own)
        of_messages = of_messages + w * _size(e).log()
        of_pullback = of_pullback + w * _size(c).log()
    return of_messages, of_pullback


def _size(vectors: Tensor) -> Tensor:
    return vectors.norm(dim=-1).clamp(min=1e-30)


def _usable(e: Tensor, c: Tensor, data: Subset | Receivers) -> Tensor:
    """Edges [B, E] that exist and whose force is not among the tenth of the smallest."""
    size = c.norm(dim=-1)
    exists = torch.ones_like(size, dtype=torch.bool) if data.edge_mask is None else data.edge_mask
    known = size[exists][:1_000_000].float()
    least = torch.quantile(known, 0.1) if len(known) else size.new_zeros(())
    return exists & (size > least) & (e.norm(dim=-1) > 0)


@dataclass(frozen=True)
class Pairs:
    """Both ends of edges, and what all messages to the receiver sum to.

    Attributes:
        one: receivers' features, shape [S, F].
        two: senders' features, shape [S, F].
        total: summed messages of the receiver, shape [S, M].
        columns: where the features stand.
    """

    one: Tensor
    two: Tensor
    total: Tensor
    columns: Columns

    def edges(self) -> Edges:
        """What symbolic regression reads of them; the true force is left out."""
        alone = torch.zeros(1, dtype=torch.long)
        return edge_features(torch.stack([self.one, self.two], 1), (alone, alone + 1), self.columns)


def pairs_of(
    model: ParticleGNN, graphs: Subset | Receivers, edges: npt.NDArray[np.int64], at_once: int = EDGES_AT_ONCE
) -> Pairs:
    """The ends of some edges of `graphs`, numbered as in a recording: existing edges, graph by graph.

    Messages are summed for as many graphs at a time as have `at_once` edges.
    """
    if isinstance(graphs, Receivers):
        return _pairs_of_receivers(model, graphs, edges)
    receiver, sender = model.graph_of(graphs)[:2]
    slots = torch.from_numpy(edges)
    if graphs.edge_mask is not None:
        slots = torch.nonzero(graphs.edge_mask.reshape(-1))[:, 0][slots]
    graph, edge = slots // len(receiver), slots % len(receiver)
    needed, back = torch.unique(graph, return_inverse=True)
    part, one, two = graphs[needed], receiver[edge], sender[edge]
    with torch.no_grad():
        chunks = part.chunks(max(1, at_once // max(1, len(receiver))))
        totals = [model.graph_of(c).total(model.on(c)[1].mean) for c in chunks]
    x = part.features
    return Pairs(x[back, one], x[back, two], torch.cat(totals)[back, one], graphs.columns)


def _pairs_of_receivers(model: ParticleGNN, data: Receivers, edges: npt.NDArray[np.int64]) -> Pairs:
    """The same where receivers stand one by one."""
    ends = np.cumsum(data.degree.cpu().numpy())
    needed, back = np.unique(np.searchsorted(ends, edges, side="right"), return_inverse=True)
    part = data[torch.from_numpy(needed)]
    degree = part.degree.cpu().numpy()
    before = np.concatenate([[0], ends])[needed] - (np.cumsum(degree) - degree)
    here, (x, graph) = torch.from_numpy(edges - before[back]), (part.features[0], part.graph)
    with torch.no_grad():
        total = graph.total(model.on(part)[1].mean)[0]
    one, two = graph.receiver[here], graph.sender[here]
    return Pairs(x[one], x[two], total[one], data.columns)


@torch.no_grad()
def messages_at(model: ParticleGNN, pairs: Pairs, components: tuple[int, ...]) -> Array:
    """Messages [S, K] of chosen dimensions."""
    return model.edge_update(pairs.one, pairs.two).mean[..., list(components)].double().numpy()


def gauge_fixed(model: ParticleGNN, pairs: Pairs, components: tuple[int, ...], slope: float) -> Array:
    """Messages with the network's free factor and offset taken out, read off φe itself; no law is needed.

    Args:
        model: a trained network, in evaluation mode.
        pairs: where to read messages.
        components: the message dimensions.
        slope: power of the receiver's mass that messages carry, as `NetworkGauge.mass_slope` has it.
            Whatever power of that mass the force itself has is in it, too.

    Returns:
        (e − h) m1^(−slope), shape [S, K].
    """
    h = offsets(model, pairs.one, pairs.two)[..., list(components)].double().numpy()
    mass = pairs.one[:, pairs.columns.mass].double().numpy()
    return (messages_at(model, pairs, components) - h) * mass[:, None] ** -slope


def designed(pairs: Pairs, count: int, rng: np.random.Generator) -> Pairs:
    """States inside the range of the data, with distances uniform in the logarithm and random directions.

    Receivers are real ones; senders have the velocity, charge, mass and further features of other real
    senders, at places of our choice.
    """
    who, whom = (torch.from_numpy(rng.integers(len(pairs.one), size=count)) for _ in range(2))
    one, two, position = pairs.one[who], pairs.two[whom].clone(), pairs.columns.position
    apart = pairs.columns.separation(pairs.one, pairs.two)
    low, high = np.quantile(apart.double().norm(dim=1).numpy(), RANGE)
    length = np.exp(rng.uniform(np.log(max(low, SOFTENING / 10)), np.log(high), count))
    direction, axes = np.zeros((count, apart.shape[1])), moving(apart)
    direction[:, axes] = rng.normal(size=(count, len(axes)))
    direction /= np.linalg.norm(direction, axis=1, keepdims=True)
    two[:, position] = one[:, position] - torch.from_numpy(length[:, None] * direction).to(one.dtype)
    return Pairs(one, two, pairs.total[who], pairs.columns)


def pulled_back(model: ParticleGNN, pairs: Pairs) -> Array:
    """Contributions [S, D] to the acceleration of the receivers: J·½ (e(Δ) − e(−Δ)), J = ∂φv/∂ē.

    Messages that are pair vectors, basis `isotropic`, are taken whole.
    """
    with torch.no_grad():
        sent = model.edge_update(pairs.one, pairs.two).mean
        if model.frame is None:
            sent = 0.5 * (sent - reflected(model, pairs.one, pairs.two))
    _, slope = jacobian(model, pairs.one[None], pairs.total[None])
    return torch.einsum("sdm,sm->sd", slope[0].double(), sent.double()).numpy()
