"""The functions f_u, f_w, f_t and the one-body part h of a network of basis `isotropic`, in the data's units.

Shapes: E edges of all graphs, N nodes of all graphs, D space dims.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

import numpy as np
import torch
from torch import Tensor

from gnn_distill.arrays import Array
from gnn_distill.data.graphs import Subset
from gnn_distill.data.receivers import Receivers
from gnn_distill.errors import InputError
from gnn_distill.model.isotropic import PairFrame, PairNode
from gnn_distill.model.moments import graphs_at_once
from gnn_distill.model.network import ParticleGNN


@dataclass(frozen=True)
class PairFunctions:
    """What pairs and single particles contribute to accelerations, Σ_j (f_u u + f_w w + f_t u⊥) + h.

    Attributes:
        functions: `u`, `w` and `t` as far as the network has them, each [E], for the edges that exist, by
            graph and receiver, as in a recording. The receiver's power of the mass is in them.
        own: h of each node, shape [N, D].
    """

    functions: dict[str, Array]
    own: Array


@torch.no_grad()
def pair_functions(model: ParticleGNN, data: Subset | Receivers) -> PairFunctions:
    """Read the two parts off a network.

    ```python
    found = pair_functions(run.model, run.graphs())
    found.functions["u"]  # along Δ, beside the distances of the same edges
    ```

    Args:
        model: a network of basis `isotropic`; it is put into evaluation mode.
        data: graphs.

    Raises:
        InputError: the network has another basis.
    """
    if model.frame is None:
        raise InputError("model.basis", model.basis, "its messages are no pair vectors: take model=isotropic")
    model.eval()
    along, own = [], []
    for part in data.chunks(graphs_at_once(model, data)):
        x, graph = part.features, model.graph_of(part)
        functions = _in_units(model, *graph.ends(x))
        x = x[:, : graph.nodes]
        exists = slice(None) if part.edge_mask is None else part.edge_mask.flatten()
        along.append(functions.flatten(0, 1)[exists].double().cpu().numpy())
        nothing = x.new_zeros(*x.shape[:2], model.dim)
        own.append(model.node(x, nothing).flatten(0, 1).double().cpu().numpy())
    columns = np.concatenate(along).T
    return PairFunctions(dict(zip(model.frame.names, columns, strict=True)), np.concatenate(own))


@torch.no_grad()
def functions_at(model: ParticleGNN, one: Tensor, two: Tensor) -> dict[str, Array]:
    """The functions of pairs of our choice, each [E]: receivers' features and senders', each [E, F]."""
    columns = _in_units(model, one, two).double().cpu().numpy().T
    return dict(zip(cast(PairFrame, model.frame).names, columns, strict=True))


def _in_units(model: ParticleGNN, one: Tensor, two: Tensor) -> Tensor:
    """Functions [..., K] in the data's units, the receiver's power of the mass in them."""
    frame = cast(PairFrame, model.frame)
    per_mass = model.output_scale * cast(PairNode, model.node_net).share(frame.inertia(one))
    return per_mass * model.gain(one) * model.pair_functions(one, two)[0] / frame.scales
