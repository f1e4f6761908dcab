"""Pull-back: what edge j→i contributes to the acceleration of i, read through φv.

With J_i = ∂φv/∂ē at (v_i, ē_i), the contribution is

    c_ij = J_i·e_ij + (φv(v_i, ē_i) − J_i·ē_i) / (n − 1),

a vector of Cartesian components. Any rotation, width, receiver-dependent map or offset of the messages
drops out, and Σ_j c_ij is exactly the predicted acceleration. On other than complete graphs n − 1 is
the number of edges that arrive at i. It is compared with F_ij / m_i on the
line y = x: no fit, no gauge, no choice of components.

Shapes: B graphs, n particles, M message dims, D space dims, F features.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.func import vjp, vmap

from gnn_distill.data.graphs import Graph
from gnn_distill.model.network import ParticleGNN


def contributions(
    model: ParticleGNN,
    x: Tensor,
    messages: Tensor,
    edge_mask: Tensor | None = None,
    path_points: int = 0,
    graph: Graph | None = None,
) -> tuple[Tensor, Tensor]:
    """Contributions of every edge, and the predicted accelerations.

    Args:
        model: a trained network, in evaluation mode.
        x: features of graphs, shape [B, n, F].
        messages: their messages by receiver, shape [B, E, M].
        edge_mask: which edges exist, shape [B, E]; all if None. A receiver's rest is shared by those.
        path_points: 0 takes J at ē, exact where φv is affine in ē; k > 0 averages J along the straight
            path from 0 to ē by k-point Gauss–Legendre quadrature (integrated gradients).
        graph: the edges, see `ParticleGNN.forward`; those of the model if None.

    Returns:
        c of shape [B, E, D], and accelerations of the receivers, of shape [B, n, D].
    """
    graph, e = model.graph(x.shape[1]) if graph is None else graph, messages.detach()
    x, total = x[:, : graph.nodes], graph.total(e)
    acceleration, slope = jacobian(model, x, total)
    if path_points > 0:
        nodes, weights = np.polynomial.legendre.leggauss(path_points)
        steps = zip(0.5 * (nodes + 1), 0.5 * weights, strict=True)
        slope = sum((w * jacobian(model, x, s * total)[1] for s, w in steps), torch.zeros(()))
    pulled = torch.einsum("bedm,bem->bed", slope[:, graph.receiver], e)
    exists = e.new_ones(e.shape[:2]) if edge_mask is None else edge_mask.to(e.dtype)
    incoming = graph.total(exists[..., None])
    rest = (acceleration - graph.total(pulled)) / incoming.clamp(min=1)
    return pulled + rest[:, graph.receiver] * exists[..., None], acceleration


def odd_contributions(
    model: ParticleGNN,
    x: Tensor,
    messages: Tensor,
    edge_mask: Tensor | None = None,
    graph: Graph | None = None,
) -> Tensor:
    """Contributions of pairs alone, where particles are also accelerated by drag or an outer field.

    What acts on one particle may hide in the messages (offset h) or in φv, so the rest of the pull-back
    cannot be shared out among the edges. A central force is odd in Δ at fixed other features; so is

        c_ij = J_i·½ (e_ij(Δ) − e_ij(−Δ)),

    with the sender mirrored at the receiver, while offsets are even and drop out.

    Args:
        model: a trained network, in evaluation mode.
        x: features of graphs, shape [B, n, F].
        messages: their messages by receiver, shape [B, E, M].
        edge_mask: which edges exist, shape [B, E]; all if None.
        graph: the edges; those of the model if None.

    Returns:
        c of shape [B, E, D].
    """
    graph = model.graph(x.shape[1]) if graph is None else graph
    odd = 0.5 * (messages.detach() - reflected(model, *graph.ends(x)))
    if edge_mask is not None:
        odd = odd * edge_mask[..., None].to(x.dtype)
    _, slope = jacobian(model, x[:, : graph.nodes], graph.total(messages.detach()))
    return torch.einsum("bedm,bem->bed", slope[:, graph.receiver], odd)


def pair_contributions(model: ParticleGNN, x: Tensor, messages: Tensor, graph: Graph | None = None) -> Tensor:
    """Contributions of pairs where messages are pair vectors, basis `isotropic`: J_i·e_ij, without h.

    Args:
        model: a trained network, in evaluation mode.
        x: features of graphs, shape [B, n, F].
        messages: their messages by receiver, shape [B, E, D].
        graph: the edges; those of the model if None.

    Returns:
        c of shape [B, E, D].
    """
    graph = model.graph(x.shape[1]) if graph is None else graph
    _, slope = jacobian(model, x[:, : graph.nodes], graph.total(messages.detach()))
    return torch.einsum("bedm,bem->bed", slope[:, graph.receiver], messages.detach())


@torch.no_grad()
def reflected(model: ParticleGNN, one: Tensor, two: Tensor) -> Tensor:
    """e(−Δ): messages [..., M] with the senders mirrored at the receivers.

    Args:
        model: a trained network, in evaluation mode.
        one: receivers' features, shape [..., F].
        two: senders' features, shape [..., F].
    """
    mirrored, dim = two.clone(), model.dim
    mirrored[..., :dim] = 2 * one[..., :dim] - two[..., :dim]
    return model.edge_update(one, mirrored).mean


def jacobian(model: ParticleGNN, x: Tensor, total: Tensor) -> tuple[Tensor, Tensor]:
    """φv and its Jacobian with respect to the summed messages.

    Nodes are independent, so one vector-Jacobian product per space dimension gives it for all of them.

    Args:
        model: the network.
        x: features of the receivers, shape [B, n, F].
        total: their summed messages, shape [B, n, M].

    Returns:
        Accelerations [B, n, D] and ∂φv/∂ē [B, n, D, M].
    """
    found: Any = vjp(lambda t: model.node(x, t), total.detach())
    acceleration, pull = found
    axes = torch.eye(model.dim, dtype=total.dtype, device=total.device)
    rows = vmap(lambda axis: pull(axis.expand_as(acceleration))[0])(axes)
    return acceleration.detach(), rows.detach().movedim(0, -2)
