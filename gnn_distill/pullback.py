"""Pull-back: what edge j→i contributes to the acceleration of i, read through φv.

With J_i = ∂φv/∂ē at (v_i, ē_i), the contribution is

    c_ij = J_i·e_ij + (φv(v_i, ē_i) − J_i·ē_i) / (n − 1),

a vector of Cartesian components. Any rotation, width, receiver-dependent map or offset of the messages
drops out, and Σ_j c_ij is exactly the predicted acceleration. On other than complete graphs n − 1 is
the number of edges that arrive at i. It is compared with F_ij / m_i on the
line y = x: no fit, no gauge, no choice of components. Source: PROTOCOL §6.

Shapes: B graphs, n particles, M message dims, D space dims, F features.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from gnn_distill.model import ParticleGNN


def contributions(
    model: ParticleGNN,
    x: Tensor,
    messages: Tensor,
    edge_mask: Tensor | None = None,
    path_points: int = 0,
) -> tuple[Tensor, Tensor]:
    """Contributions of every edge, and the predicted accelerations.

    Args:
        model: a trained network, in evaluation mode.
        x: features of graphs, shape [B, n, F].
        messages: their messages by receiver, shape [B, E, M].
        edge_mask: which edges exist, shape [B, E]; all if None. A receiver's rest is shared by those.
        path_points: 0 takes J at ē, exact where φv is affine in ē; k > 0 averages J along the straight
            path from 0 to ē by k-point Gauss–Legendre quadrature (integrated gradients).

    Returns:
        c of shape [B, E, D], and accelerations of shape [B, n, D].
    """
    n, e = x.shape[1], messages.detach()
    receiver, _ = model.edges(n)
    total = model.total(e, n)
    with torch.no_grad():
        acceleration = model.node(x, total)
    if path_points == 0:
        jacobian = _jacobian(model, x, total)
    else:
        nodes, weights = np.polynomial.legendre.leggauss(path_points)
        steps = zip(0.5 * (nodes + 1), 0.5 * weights, strict=True)
        jacobian = sum((w * _jacobian(model, x, s * total) for s, w in steps), torch.zeros(()))
    pulled = torch.einsum("bedm,bem->bed", jacobian[:, receiver], e)
    exists = e.new_ones(e.shape[:2]) if edge_mask is None else edge_mask.to(e.dtype)
    incoming = model.total(exists[..., None], n)
    rest = (acceleration - model.total(pulled, n)) / incoming.clamp(min=1)
    return pulled + rest[:, receiver] * exists[..., None], acceleration


def _jacobian(model: ParticleGNN, x: Tensor, total: Tensor) -> Tensor:
    """∂φv/∂ē, shape [B, n, D, M]: one backward pass per space dimension, since nodes are independent."""
    total = total.detach().requires_grad_()
    out = model.node(x, total)
    rows = [torch.autograd.grad(out[..., d].sum(), total, retain_graph=True)[0] for d in range(out.shape[-1])]
    return torch.stack(rows, dim=-2)
