"""The force field that one sender makes around one receiver, as the network has it.

Shapes: S grid points, K selected message dims, D space dims.
"""

from __future__ import annotations

import torch
from torch import Tensor

from gnn_distill.arrays import Array
from gnn_distill.data.graphs import Subset
from gnn_distill.data.receivers import Receivers
from gnn_distill.model.moments import graphs_at_once
from gnn_distill.model.network import ParticleGNN
from gnn_distill.physics.variables import Columns
from gnn_distill.read.probe import moving
from gnn_distill.read.pullback import jacobian, reflected
from gnn_distill.read.recording import Field

FIELD_CELLS = 13
FIELD_GRAPHS, FIELD_EDGES = 64, 200_000
FIELD_REACH, FIELD_CORE = 0.6, 0.05  # quantiles of |Δ| that bound the grid of senders


@torch.no_grad()
def typical(x: Tensor, columns: Columns) -> Tensor:
    """A typical particle's features [F]: at rest, medians elsewhere.

    The charge is the upper quartile, since charges of both signs have a median of nothing.
    """
    own = x.flatten(0, 1).median(0).values
    own[columns.velocity] = 0.0
    charges = x[..., columns.charge].flatten()[:1_000_000]
    own[columns.charge] = torch.quantile(charges, 0.75, interpolation="nearest")
    return own


def field(
    model: ParticleGNN,
    data: Subset | Receivers,
    components: list[int],
    scale: Array,
    edges: int = FIELD_EDGES,
) -> Field:
    """Put one sender on a grid around one receiver, in the plane of the first two axes of any motion.

    φv's Jacobian is averaged over the surroundings that receivers of some test graphs have; the odd part
    in Δ is taken, so offsets drop out.

    Args:
        model: the network, in evaluation mode.
        data: graphs with the ranges of the training data.
        components: selected message dimensions.
        scale: the standard deviation [K] of each, one where it is zero.
        edges: how many to look at, where one graph has no more.
    """
    dim = model.dim
    some = data[: max(1, min(FIELD_GRAPHS, graphs_at_once(model, data, edges)))]
    x, exists, graph = some.features, some.edge_mask, model.graph_of(some)
    receiver, sender = graph.receiver, graph.sender
    distance = data.columns.separation(x[:, receiver], x[:, sender]).norm(dim=-1)
    distance = distance.flatten() if exists is None or not exists.any() else distance[exists]
    core, reach = (float(torch.quantile(distance, q)) for q in (FIELD_CORE, FIELD_REACH))
    line = torch.linspace(-reach, reach, FIELD_CELLS)
    grid = torch.zeros(FIELD_CELLS**2, dim)
    me = typical(data.features, data.columns)
    axes = moving(data.features[..., :dim] - data.features[:1, :1, :dim])
    axes = sorted([*axes, *(k for k in range(dim) if k not in axes)][:2])
    grid[:, axes] = torch.cartesian_prod(line, line)
    delta = grid[grid.norm(dim=-1) > max(core, 0.25 * reach)].to(x)
    own = me.expand_as(x).clone()
    own[..., :dim] = x[..., :dim]
    with torch.no_grad():
        around = model.edge_update(own[:, receiver], x[:, sender]).mean
        if exists is not None:
            around = around * exists[..., None]
        one, two = (me.expand(len(delta), -1).clone() for _ in range(2))
        two[:, :dim] = me[:dim] - delta
        e = 0.5 * (model.edge_update(one, two).mean - reflected(model, one, two))
    _, slope = jacobian(model, own[:, : graph.nodes], graph.total(around))
    c = torch.einsum("dm,sm->sd", slope.flatten(0, 1).mean(0), e)
    arrays = [part.double().cpu().numpy() for part in (delta, c, e[:, components])]
    q, m = (float(me[k]) for k in (data.columns.charge, data.columns.mass))
    return Field(arrays[0], arrays[1], arrays[2] / scale, m1=m, m2=m, q1=q, q2=q)
