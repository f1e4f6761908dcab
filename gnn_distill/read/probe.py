"""Questions put to a trained network by changing its inputs: the gauge without a law, and force fields.

A message may carry e_ij = A(v_i)·F_ij + h(v_i), because φv knows the receiver's own features v_i. Turning
the sender about the receiver averages a central force away and leaves h. Changing the receiver's mass at
fixed geometry shows how A depends on it: φe gives the slope of log|e − h|, the pull-back that of the
same edge's contribution to the acceleration, F/m_i by definition; with A ∝ m_i^(−p),

    p = 1 + d log|c| / d log m_i − d log|e − h| / d log m_i,

whatever the force's own dependence on m_i. No law is needed.

Shapes: B graphs, n particles, E edges of a graph, F features, M message dims, K of them selected, D space
dims, R rotations, S grid points.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from gnn_distill.arrays import Array
from gnn_distill.data.graphs import Subset
from gnn_distill.model.network import ParticleGNN
from gnn_distill.read.pullback import jacobian
from gnn_distill.read.recording import NetworkGauge

MASS_QUANTILES = (0.2, 0.35, 0.5, 0.65, 0.8)


def moving(delta: Tensor) -> list[int]:
    """The axes along which particles are ever apart, from Δ [..., D]; all axes if there are none.

    Where motion is planar, the network knows nothing of places beyond the plane.
    """
    dim = delta.shape[-1]
    found = [k for k in range(dim) if bool((delta[..., k] != 0).any())]
    return found or list(range(dim))


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
class _Probe:
    """Edges of some graphs whose receivers' own features may be changed, the geometry kept."""

    model: ParticleGNN
    data: Subset
    components: list[int]
    spread: Tensor

    def __call__(self, own: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Offset-free messages [B, E, K], their contributions [B, E, D] and offsets [B, E, K].

        Args:
            own: features [B, n, F] that the nodes have as receivers; senders move along with them.
        """
        model, x = self.model, self.data.features
        receiver, sender = model.edges(x.shape[1])
        one, two = own[:, receiver], x[:, sender].clone()
        two[..., : model.dim] += (own - x)[:, receiver, : model.dim]
        exists = torch.ones(()) if self.data.edge_mask is None else self.data.edge_mask[..., None]
        with torch.no_grad():
            e = model.edge_update(one, two).mean * exists
        h = offsets(model, one, two) * exists
        _, slope = jacobian(model, own, model.total(e, x.shape[1]))
        c = torch.einsum("bedm,bem->bed", slope[:, receiver], e - h)
        return (e - h)[..., self.components] / self.spread, c, h[..., self.components] / self.spread


def network_gauge(
    model: ParticleGNN, data: Subset, components: list[int], spread: Array, seed: int = 0
) -> NetworkGauge:
    """Read the gauge of the selected messages off φe and φv.

    Args:
        model: the network, in evaluation mode.
        data: some graphs.
        components: selected message dimensions.
        spread: the standard deviation [K] of each.
        seed: of the exchange of features between receivers.
    """
    x, dim = data.features, model.dim
    scale = torch.from_numpy(np.where(spread > 0, spread, 1.0)).to(x)
    probe = _Probe(model, data, components, scale)
    message_slope, pullback_slope = _mass_slopes(probe)
    receiver = model.edges(x.shape[1])[0]
    e, c, h = probe(x)
    kept = _usable(e, c, data)
    other = torch.randperm(x.shape[0] * x.shape[1], generator=torch.Generator().manual_seed(seed))
    exchanged = x.flatten(0, 1)[other].unflatten(0, x.shape[:2])
    parts = {"x1": slice(0, dim), "v1": slice(dim, 2 * dim), "q1": slice(2 * dim, 2 * dim + 1)}
    parts |= {"m1": slice(2 * dim + 1, 2 * dim + 2), "f1": slice(2 * dim + 2, None)}
    by_scale, by_offset = {}, {}
    for name, part in parts.items():
        if x[..., part].numel() == 0 or bool((x[..., part] == x[:1, :1, part]).all()):
            continue
        own = x.clone()
        own[..., part] = exchanged[..., part]
        e1, c1, h1 = probe(own)
        both = kept & _usable(e1, c1, data)
        ratio = (_size(e1) / _size(c1)).log() - (_size(e) / _size(c)).log()
        ratio = ratio - _log_mass_change(x[:, receiver, 2 * dim + 1], own[:, receiver, 2 * dim + 1])
        by_scale[name] = float(ratio[both].abs().median()) if both.any() else float("nan")
        by_offset[name] = float(((h1 - h)[both] ** 2).mean().sqrt() / 2**0.5)
    graph = torch.arange(len(x))[:, None].expand(kept.shape)[kept].numpy()
    slopes = [s[kept].double().cpu().numpy() for s in (message_slope, pullback_slope)]
    return NetworkGauge(slopes[0], slopes[1], graph, by_scale, by_offset)


def _mass_slopes(probe: _Probe) -> tuple[Tensor, Tensor]:
    """Slopes [B, E] of log|e − h| and log|c| against log m_i, by least squares over five masses."""
    x, place = probe.data.features, 2 * probe.model.dim + 1
    masses = torch.quantile(x[..., place].flatten().double(), torch.tensor(MASS_QUANTILES).double())
    log = masses.clamp(min=1e-30).log()
    weight = (log - log.mean()) / ((log - log.mean()) ** 2).sum()
    shape = x.shape[0], len(probe.model.edges(x.shape[1])[0])
    found = [torch.zeros(shape), torch.zeros(shape)]
    for mass, w in zip(masses, weight, strict=True):
        own = x.clone()
        own[..., place] = mass.to(x.dtype)
        e, c, _ = probe(own)
        found = [s + float(w) * _size(v).log() for s, v in zip(found, (e, c), strict=True)]
    return found[0], found[1]


def _log_mass_change(before: Tensor, after: Tensor) -> Tensor:
    """Change of log m_i, for c = F / m_i; zero where a mass is not positive."""
    usable = (before > 0) & (after > 0)
    return torch.where(usable, after / before, torch.ones_like(before)).log()


def _size(vectors: Tensor) -> Tensor:
    return vectors.norm(dim=-1).clamp(min=1e-30)


def _usable(e: Tensor, c: Tensor, data: Subset) -> Tensor:
    """Edges [B, E] that exist and whose force is not among the tenth of the smallest."""
    size = c.norm(dim=-1)
    exists = torch.ones_like(size, dtype=torch.bool) if data.edge_mask is None else data.edge_mask
    known = size[exists][:1_000_000].float()
    least = torch.quantile(known, 0.1) if len(known) else size.new_zeros(())
    return exists & (size > least) & (e.norm(dim=-1) > 0)
