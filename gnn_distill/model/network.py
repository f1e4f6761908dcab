"""The one message-passing network: φe makes messages, φv turns their sum into accelerations.

Shape letters: B graphs, n particles per graph, N nodes, E edges, M message dims, D space dims,
F node features, in the order of `gnn_distill.physics.variables.Columns`.

Source: Cranmer et al. 2020 (arXiv 2006.11287), and the pruning variant of the 2025 report. Variants differ
in message width, head and regulariser only; none of them is a class of its own.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import cast

import torch
from torch import Tensor, nn
from torch_geometric.nn import MessagePassing

from gnn_distill.data.graphs import Graph, Subset, complete_graph
from gnn_distill.data.receivers import Receivers
from gnn_distill.errors import InputError, check_choice, check_int, check_range
from gnn_distill.model.heads import DeterministicHead, GaussianHead, Messages
from gnn_distill.model.isotropic import CLOSEST, PairFrame, PairNode
from gnn_distill.model.mlp import MLP
from gnn_distill.model.node import NODE_MODELS
from gnn_distill.physics.variables import Bonds, Columns

ISOTROPIC = "isotropic"
APART = 2.0  # RMS distance of particles from their centre in the units of `scale_input`


class ParticleGNN(MessagePassing):
    """Interaction network on particles.

    ```yaml
    model:
      _target_: gnn_distill.model.network.ParticleGNN
      dim: 2
      message_dim: 100
      width: 300
      head: {_target_: gnn_distill.model.heads.DeterministicHead}
    ```

    Args:
        dim: space dimensions D.
        message_dim: message width M.
        width: units of each hidden layer.
        layers: hidden layers of φe and of φv.
        head: `DeterministicHead` or `GaussianHead`.
        basis: what φe reads. `raw`: receiver's then sender's features, as published. `delta`: the same
            inputs after a linear change of basis: Δ, the scaled centroid of the two positions, then
            the other features of both. `polar`: beside those, the direction Δ/d and ln d, so that pairs at
            every distance are told apart. `isotropic`: scalars of the pair alone; the message is then the
            pair vector along u, w and u⊥ itself, M = D, and φv adds h of the receiver alone; see
            `gnn_distill.model.isotropic`.
        position_scale: factor on absolute positions (centroid in φe, position in φv); not in basis `raw`.
        charge_scale: factor on charges wherever the network reads them.
        node: φv. `mlp` as published, `linear` for A(v)·ē + h(v), `power` for m^(−p)·A·ē + h(v).
        node_width: hidden units of φv; `width` if None.
        scale_output: multiply φv's output by the mean |acceleration| of the training set.
        silent_start: all messages, or with `GaussianHead` their means, are zero before the first step, so
            that what they carry is learned, and not left from the random start where φv does not read it.
        extra_features: further node features K that the data bring.
        scale_input: read features in units of the training set's own, see `calibrate`; in basis `isotropic`
            always.
        velocities: whether φe and h read velocities; basis `isotropic` only, like all further ones.
        transverse: whether pairs may act across u, too.
        reciprocal: m_i a_ij = −m_j a_ji by construction, so that momentum is conserved.
        box: edges of the periodic box, None along an open axis, 0 where features hold each particle's cell.
        individuals: number K of them, where a last feature says which one a particle is; basis `isotropic`
            only. Its labels then count relative to their usual size.
        hidden: properties of each individual that are learned.
        bonds: of how many particles features hold the numbers of edges, which pairs then read; 0 for none.
            Basis `isotropic` only.
    """

    mask: Tensor
    output_scale: Tensor
    input_scale: Tensor
    unit: Tensor
    receiver: Tensor | None
    sender: Tensor | None

    def __init__(
        self,
        dim: int,
        message_dim: int,
        width: int = 300,
        layers: int = 3,
        head: nn.Module | None = None,
        basis: str = "raw",
        position_scale: float = 0.1,
        charge_scale: float = 1.0,
        node: str = "mlp",
        node_width: int | None = None,
        scale_output: bool = False,
        silent_start: bool = False,
        extra_features: int = 0,
        scale_input: bool = False,
        velocities: bool = True,
        transverse: bool = False,
        reciprocal: bool = False,
        box: Sequence[float | None] | None = None,
        individuals: int = 0,
        hidden: int = 0,
        bonds: int = 0,
    ) -> None:
        super().__init__(aggr="add")
        remove_generated(type(self))
        check_int("model.dim", dim, 2, 3)
        check_int("model.extra_features", extra_features, 0)
        for key, count in {"message_dim": message_dim, "width": width, "layers": layers}.items():
            check_int(f"model.{key}", count, 1)
        for key, scale in {"position_scale": position_scale, "charge_scale": charge_scale}.items():
            check_range(f"model.{key}", scale, 0.0, open_low=True)
        check_choice("model.basis", basis, ("raw", "delta", "polar", ISOTROPIC))
        check_choice("model.node", node, NODE_MODELS)
        self.dim, self.message_dim, self.basis = dim, message_dim, basis
        self.scale_input, self.scale_output = scale_input and basis != ISOTROPIC, scale_output
        self.head = DeterministicHead() if head is None else head
        if not isinstance(self.head, DeterministicHead | GaussianHead):
            fix = "give DeterministicHead or GaussianHead of gnn_distill.model.heads"
            raise InputError("model.head", head, fix)
        columns = Columns.of(dim, Columns(dim).count + extra_features)
        edges = None if box is None else tuple(box)
        linked = Bonds(bonds) if bonds else None
        self.columns = replace(columns, box=edges, identity=individuals > 0, bonds=linked)
        self.frame, self.reciprocal = None, reciprocal
        features = self.columns.count
        if basis == ISOTROPIC:
            self.frame = self._isotropic(velocities, transverse, individuals, hidden)
            self.edge_net = MLP(self.frame.scalars, len(self.frame.names), width, layers, activation=nn.SiLU)
        else:
            inputs = 2 * features + (dim + 1 if basis == "polar" else 0)
            self.edge_net = MLP(inputs, self.head.outputs_per_dim * message_dim, width, layers)
        if silent_start:
            for start in self.edge_net[-1].parameters():
                nn.init.zeros_(start)
        size = node_width or width, layers
        self.node_net = (
            NODE_MODELS[node](features, message_dim, dim, *size)
            if self.frame is None
            else PairNode(self.frame.own_inputs, dim, *size, learn_power=not reciprocal)
        )
        self.register_buffer("mask", torch.ones(message_dim))
        self.register_buffer("output_scale", torch.ones(()))
        scales = torch.ones(features)
        scales[:dim] = 1.0 if basis == "raw" else position_scale
        scales[self.columns.charge] = charge_scale
        self.register_buffer("input_scale", scales, persistent=False)
        self.register_buffer("unit", torch.ones(features), persistent=self.scale_input)
        self.register_buffer("receiver", None, persistent=False)
        self.register_buffer("sender", None, persistent=False)

    @property
    def active_dims(self) -> int:
        """Number of message dimensions that the pruning mask leaves open."""
        return int(self.mask.sum())

    @property
    def length(self) -> Tensor | None:
        """The unit of length in which positions are read; None for that of the data."""
        return 1.0 / self.unit[0] if self.scale_input else None

    def calibrate(self, features: Tensor, accelerations: Tensor, graph: Graph | None = None) -> None:
        """Set units and output scale from the training set, if the model asks for them.

        Positions are read in units in which particles of features [B, n, F] are `APART` from their centre
        (RMS), other features in units of their RMS. Accelerations [B, n, D] stay as they are. `graph` as in
        `forward`.
        """
        if self.scale_output:
            self.output_scale.fill_(float(accelerations.abs().mean()))
        if self.frame is not None:
            graph = self.graph(features.shape[1]) if graph is None else graph
            self.frame.calibrate(features, accelerations, graph)
            if self.scale_output:
                relative = accelerations / self.frame.loud(features[:, : graph.nodes])
                self.output_scale.fill_(float(relative.abs().mean()))
        if self.scale_input:
            x = features.double()
            size = x.square().mean((0, 1)).sqrt()
            apart = x[..., : self.dim] - x[..., : self.dim].mean(1, keepdim=True)
            size[: self.dim] = apart.square().sum(-1).mean().sqrt() / APART
            self.unit.copy_(torch.where(size > 0, 1.0 / size, 1.0))

    def connect(self, receiver: Tensor, sender: Tensor) -> None:
        """Use this graph, the same for all inputs [B, n, F], in place of the complete one.

        Args:
            receiver: receiving node of each edge, shape [E], ascending.
            sender: sending node of each edge, shape [E].
        """
        self.receiver, self.sender = receiver, sender

    @property
    def mutual(self) -> bool:
        """Whether both messages of a pair are opposite whatever the weights, so that one need be known.

        Numbers of edges may differ for the two directions.
        """
        if self.frame is None or self.columns.bonds is not None:
            return False
        return self.reciprocal or self.frame.mutual

    def edges(self, n: int) -> tuple[Tensor, Tensor]:
        """Receivers and senders, each [E], of one graph of n particles."""
        if self.receiver is not None and self.sender is not None:
            return self.receiver, self.sender
        return complete_graph(n, self.mask.device)

    def graph(self, n: int) -> Graph:
        """The same with the number of receivers."""
        return Graph(*self.edges(n), n, self.receiver is None)

    def graph_of(self, data: Subset | Receivers) -> Graph:
        """Who acts on whom in these graphs."""
        return self.graph(data.features.shape[1]) if data.graph is None else data.graph

    def on(self, data: Subset | Receivers) -> tuple[Tensor, Messages]:
        """`forward` on graphs of a dataset."""
        return cast(
            tuple[Tensor, Messages], self(data.features, edge_mask=data.edge_mask, graph=self.graph_of(data))
        )

    def forward(
        self,
        x: Tensor,
        edge_index: Tensor | None = None,
        edge_mask: Tensor | None = None,
        graph: Graph | None = None,
    ) -> tuple[Tensor, Messages]:
        """Accelerations and messages.

        Args:
            x: features of graphs that share their edges (complete, unless `connect` said otherwise),
                shape [B, n, F]; or of any graph [N, F], with `edge_index`.
            edge_index: shape [2, E], row 0 the sender, row 1 the receiver of each edge.
            edge_mask: 1 where an edge exists in its graph, 0 where not, shape [B, E]; all exist if None.
            graph: edges of features [B, n, F], in the place of those above, where the first of the nodes
                alone receive.

        Returns:
            Accelerations of the receivers, [B, n, D] or [N, D], and messages [B, E, M] or [E, M] in the order
            of the edges; in training those of complete graphs may have that of `Graph.paired`.
        """
        if edge_index is None:
            return self._dense(x, edge_mask, self.graph(x.shape[1]) if graph is None else graph)
        messages = self.edge_updater(edge_index, x=x)
        total = self.propagate(edge_index, size=(x.shape[0], x.shape[0]), messages=messages.value)
        return self.node(x, total), messages

    def edge_update(self, x_i: Tensor, x_j: Tensor) -> Messages:
        """φe on receivers' features `x_i` [..., F] and senders' `x_j` [..., F]: masked messages."""
        if self.frame is not None:
            functions, directions = self.pair_functions(x_i, x_j)
            value = (functions[..., None] * directions).sum(-2) * self.mask
            return Messages(value, value, None)
        sent = self.head(self.edge_net(self._edge_inputs(x_i, x_j)))
        value = sent.value * self.mask
        return Messages(value, value if sent.mean is sent.value else sent.mean * self.mask, sent.log_variance)

    def pair_functions(self, x_i: Tensor, x_j: Tensor) -> tuple[Tensor, Tensor]:
        """The functions f [..., K] of basis `isotropic`, and the directions [..., K, D] they belong to.

        Both are in the network's units: without `output_scale`, the receiver's mass, and `frame.scales`.
        """
        frame = cast(PairFrame, self.frame)
        scalars, one, two, directions = frame.pair(x_i, x_j)
        functions = self.edge_net(torch.cat([scalars, one, two], -1))
        if self.reciprocal:
            exchanged = self.edge_net(torch.cat([scalars, two, one], -1))
            functions = 0.5 * (functions + frame.parity * exchanged)
        return functions, directions

    def message(self, messages: Tensor) -> Tensor:
        """Messages [E, M] as they are summed."""
        return messages

    def node(self, x: Tensor, total: Tensor) -> Tensor:
        """φv on features [..., F] and summed messages [..., M]: accelerations [..., D]."""
        if self.frame is not None:
            pulled = self.node_net(self.frame.own(x), self.frame.inertia(x), total) * self.gain(x)
        else:
            pulled = self.node_net(self._scaled(self._in_units(x)), total)
        return self.output_scale * pulled

    def gain(self, x: Tensor) -> Tensor | float:
        """What a receiver's functions count in its label, [..., 1]; nothing reciprocal if it were not 1."""
        return 1.0 if self.frame is None or self.reciprocal else self.frame.loud(x)

    def total(self, messages: Tensor, n: int) -> Tensor:
        """Messages [B, E, M] summed over the edges of each receiver, shape [B, n, M]."""
        return self.graph(n).total(messages)

    def _dense(self, x: Tensor, edge_mask: Tensor | None, graph: Graph) -> tuple[Tensor, Messages]:
        if self.mutual and graph.complete and self.training:
            graph = graph.paired()  # in evaluation messages stay sorted
        messages = self.edge_update(*graph.ends(x, opposites=not self.mutual))
        if self.mutual and graph.opposites:
            value = torch.cat([messages.value, -messages.value[:, : graph.opposites]], 1)
            messages = Messages(value, value, None)
        if edge_mask is not None:
            exists = edge_mask[..., None].to(x.dtype)
            value, mean, s, _ = messages
            messages = Messages(value * exists, mean * exists, None if s is None else s * exists, exists)
        return self.node(x[:, : graph.nodes], graph.total(messages.value)), messages

    def _isotropic(self, velocities: bool, transverse: bool, individuals: int, hidden: int) -> PairFrame:
        """The frame of pairs; refuses what does not fit the basis."""
        for key, switch in {"transverse": transverse, "reciprocal": self.reciprocal}.items():
            if not isinstance(switch, bool):
                raise InputError(f"model.{key}", switch, "give true or false")
        if self.message_dim != self.dim:
            raise InputError(
                "model.message_dim", self.message_dim, f"a pair vector has {self.dim} components"
            )
        if not isinstance(self.head, DeterministicHead):
            raise InputError(
                "model.head", type(self.head).__name__, "take DeterministicHead: forces are certain"
            )
        if transverse and self.dim == 3 and not velocities:
            fix = "without velocities there is no direction across Δ in three dimensions: give false"
            raise InputError("model.transverse", transverse, fix)
        return PairFrame(self.columns, velocities, transverse, individuals, hidden)

    def _in_units(self, x: Tensor) -> Tensor:
        return x * self.unit.to(x.dtype) if self.scale_input else x

    def _scaled(self, x: Tensor) -> Tensor:
        return x * self.input_scale.to(x.dtype)

    def _edge_inputs(self, x_i: Tensor, x_j: Tensor) -> Tensor:
        x_i, x_j = self._in_units(x_i), self._in_units(x_j)
        if self.basis == "raw":
            return torch.cat([self._scaled(x_i), self._scaled(x_j)], dim=-1)
        delta = x_i[..., : self.dim] - x_j[..., : self.dim]
        x_i, x_j = self._scaled(x_i), self._scaled(x_j)
        centroid = 0.5 * (x_i[..., : self.dim] + x_j[..., : self.dim])
        known = [delta, centroid, x_i[..., self.dim :], x_j[..., self.dim :]]
        if self.basis == "polar":
            d = torch.linalg.vector_norm(delta, dim=-1, keepdim=True).clamp(min=CLOSEST)
            known += [delta / d, d.log()]
        return torch.cat(known, dim=-1)


def remove_generated(kind: type[MessagePassing]) -> None:
    """Remove the temporary files from which PyG has imported the methods that it generates for a class."""
    for name in ("propagate", "edge_updater"):
        module = sys.modules.get(f"{kind.__module__}_{kind.__name__}_{name}")
        file = Path(getattr(module, "__file__", None) or "none")
        if file.parent == Path(tempfile.gettempdir()):
            file.unlink(missing_ok=True)
