"""Recording: the messages of a trained network on the test set, beside the truth.

Shapes: G graphs, n particles per graph, E edges of all graphs sorted by receiver, M message dims,
D space dims. Index 1 is the receiver, 2 the sender, Δ = x_receiver − x_sender.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from gnn_distill.data import Subset
from gnn_distill.forces import SOFTENING, ForceLaw
from gnn_distill.model import GaussianHead, ParticleGNN
from gnn_distill.pullback import contributions, odd_contributions

Array = npt.NDArray[np.float64]

SPACE = ("dx", "dy", "dz")
CHUNK = 1024


@dataclass(frozen=True)
class Edges:
    """What is known of each edge.

    Attributes:
        delta: Δ, shape [E, D].
        r: softened distance d + ε, shape [E].
        m1: mass of the receiver [E]; `m2` of the sender; `q1`, `q2` the charges.
        receiver: number of the receiving node, shape [E], ascending.
        extra1: further features of the receiver, shape [E, K]; `extra2` of the sender.
        force: exact force on the receiver, shape [E, D], or None where the law is unknown.
    """

    delta: Array
    r: Array
    m1: Array
    m2: Array
    q1: Array
    q2: Array
    receiver: npt.NDArray[np.int64]
    extra1: Array
    extra2: Array
    force: Array | None

    @property
    def names(self) -> tuple[str, ...]:
        """Names of `variables`: `dx dy [dz] r m1 m2 q1 q2`, then `f1_1 f1_2 …` for further features."""
        extra = [f"f{k + 1}_{side}" for side in (1, 2) for k in range(self.extra1.shape[1])]
        return (*SPACE[: self.delta.shape[1]], "r", "m1", "m2", "q1", "q2", *extra)

    @property
    def variables(self) -> Array:
        """What symbolic regression reads, shape [E, D + 5 + 2 K]."""
        known = [self.delta, self.r, self.m1, self.m2, self.q1, self.q2]
        return np.column_stack([*known, self.extra1, self.extra2])

    def where(self, chosen: npt.NDArray[np.bool_]) -> Edges:
        """The edges for which `chosen` [E] holds."""
        force = None if self.force is None else self.force[chosen]
        rest = {f.name: getattr(self, f.name)[chosen] for f in fields(self) if f.name != "force"}
        return Edges(**rest, force=force)

    @property
    def acceleration(self) -> Array | None:
        """Exact contribution of the edge to its receiver's acceleration, F / m1, shape [E, D]."""
        return None if self.force is None else self.force / self.m1[:, None]


@dataclass(frozen=True)
class Recording:
    """Messages on the test set.

    Attributes:
        edges: features of all E edges.
        components: the D most important message dimensions, most important first.
        selected: their messages, standardised over all edges, shape [E, D].
        pullback: contributions c_ij of each edge to the acceleration, shape [E, D].
        pullback_kind: `share` of the whole prediction, or `odd` part in Δ; see `gnn_distill.pullback`.
        path_difference: median |c − c'| / |c| with c' the share whose Jacobian is averaged along the path;
            zero where φv is affine in the summed message.
        importance: per message dimension, shape [M]; 0 where pruned.
        std: standard deviation per message dimension, shape [M].
        mask: True where the dimension is not pruned, shape [M].
        importance_kind: `std`, or `kl` for a Gaussian head.
        sample: numbers of the edges of a random sample of whole graphs, shape [E'].
        sample_messages: their messages as the network sends them, all dims, shape [E', M].
        mae: mean absolute error over nodes and components; `mae_per_graph` n·D times larger.
        graphs: number of graphs G.
        n: particles per graph.
    """

    edges: Edges
    components: tuple[int, ...]
    selected: Array
    pullback: Array
    pullback_kind: str
    path_difference: float
    importance: Array
    std: Array
    mask: npt.NDArray[np.bool_]
    importance_kind: str
    sample: npt.NDArray[np.int64]
    sample_messages: npt.NDArray[np.float32]
    mae: float
    graphs: int
    n: int

    def arrays(self) -> dict[str, npt.NDArray[Any]]:
        """The arrays of `messages.npz`: the random sample of edges with everything known of them."""
        e, here = self.edges, self.sample
        columns = {
            name: getattr(e, name)[here] for name in ("delta", "r", "m1", "m2", "q1", "q2", "receiver")
        }
        if e.force is not None:
            columns["force"] = e.force[here]
        return columns | {
            "messages": self.sample_messages,
            "selected": self.selected[here],
            "pullback": self.pullback[here],
            "components": np.array(self.components),
            "importance": self.importance,
            "std": self.std,
            "mask": self.mask,
        }

    @property
    def mae_per_graph(self) -> float:
        """Sum of absolute errors over a graph's nodes and components, averaged over graphs."""
        return self.mae * self.n * self.pullback.shape[1]


def edge_features(x: Tensor, graph: tuple[Tensor, Tensor], dim: int, law: ForceLaw | None) -> Edges:
    """All edges of graphs with features [G, n, F] and common receivers and senders `graph`, each [E']."""
    graphs, n = x.shape[:2]
    features = x.double().cpu().numpy()
    receiver, sender = (part.cpu().numpy() for part in graph)
    one, two = (features[:, side].reshape(graphs * len(side), -1) for side in (receiver, sender))
    delta = one[:, :dim] - two[:, :dim]
    q1, m1, q2, m2 = one[:, 2 * dim], one[:, 2 * dim + 1], two[:, 2 * dim], two[:, 2 * dim + 1]
    number = (np.arange(graphs)[:, None] * n + receiver).reshape(-1)
    force = None if law is None else law.pair_force(delta, m1, m2, q1, q2)
    r = np.linalg.norm(delta, axis=1) + SOFTENING
    extra1, extra2 = one[:, 2 * dim + 2 :], two[:, 2 * dim + 2 :]
    return Edges(delta, r, m1, m2, q1, q2, number, extra1, extra2, force)


@torch.no_grad()
def importance(model: ParticleGNN, data: Subset) -> tuple[Array, Array, str]:
    """Importance and standard deviation per message dimension [M] over all edges.

    Returns:
        The importance: mean KL divergence from N(0, 1) for a Gaussian head, else the standard deviation;
        0 for pruned dimensions. The standard deviation. The name of the measure.
    """
    std = model.message_std(data.features, data.edge_mask, CHUNK).numpy()
    if not isinstance(model.head, GaussianHead):
        return std, std, "std"
    total, edges = torch.zeros(model.message_dim, dtype=torch.float64), 0
    for part in data.chunks(CHUNK):
        _, (_, mean, s) = model(part.features, edge_mask=part.edge_mask)
        kl = 0.5 * (mean**2 + torch.exp(s) - s - 1)
        kl = kl.flatten(0, 1) if part.edge_mask is None else kl[part.edge_mask]
        total += kl.double().sum(0).cpu()
        edges += len(kl)
    return (total / edges * model.mask.cpu()).numpy(), std, "kl"


def record(
    model: ParticleGNN,
    data: Subset,
    law: ForceLaw | None,
    sample_edges: int = 18_000,
    path_points: int = 5,
    seed: int = 0,
    pullback: str = "share",
) -> Recording:
    """Run the network over the test set, in chunks, and keep what the analysis needs.

    Args:
        model: trained network; it is put into evaluation mode.
        data: the test set.
        law: the true law, or None.
        sample_edges: edges of which all M dims are kept, in whole graphs drawn at random.
        path_points: quadrature points of the path-averaged pull-back.
        seed: of that draw.
        pullback: `share` or `odd`.
    """
    model.eval()
    n, dim = data.features.shape[1], model.dim
    graph = model.edges(n)
    per_graph = len(graph[0])
    weight, std, kind = importance(model, data)
    mask = model.mask.cpu().numpy() > 0
    ranked = np.argsort(-np.where(mask, weight, -np.inf), kind="stable")
    components = tuple(int(k) for k in ranked[: min(dim, int(mask.sum()))])

    chosen, pulled, difference = [], [], []
    error = 0.0
    for part in data.chunks(CHUNK):
        with torch.no_grad():
            e = model(part.features, edge_mask=part.edge_mask)[1].mean
        c, predicted = contributions(model, part.features, e, part.edge_mask)
        along = contributions(model, part.features, e, part.edge_mask, path_points)[0]
        difference.append(((along - c).norm(dim=-1) / c.norm(dim=-1).clamp(min=1e-30)).cpu())
        if pullback == "odd":
            c = odd_contributions(model, part.features, e, part.edge_mask)
        pulled.append(c.cpu())
        chosen.append(e[..., list(components)].cpu())
        error += float((predicted - part.accelerations).abs().double().sum())

    exists = np.ones(len(data) * per_graph, dtype=bool)
    if data.edge_mask is not None:
        exists = data.edge_mask.cpu().numpy().reshape(-1)
    flat = [torch.cat(p).flatten(0, 1).double().numpy()[exists] for p in (chosen, pulled)]
    apart = torch.cat(difference).flatten().double().numpy()[exists]
    spread = flat[0].std(0)
    selected = (flat[0] - flat[0].mean(0)) / np.where(spread > 0, spread, 1.0)

    drawn = np.random.default_rng(seed).permutation(len(data))[: max(1, sample_edges // per_graph)]
    drawn.sort()
    some = data[torch.from_numpy(drawn)]
    with torch.no_grad():
        sampled = model(some.features, edge_mask=some.edge_mask)[1].mean.flatten(0, 1)
    slots = (drawn[:, None] * per_graph + np.arange(per_graph)).reshape(-1)
    return Recording(
        edges=edge_features(data.features, graph, dim, law).where(exists),
        components=components,
        selected=selected,
        pullback=flat[1],
        pullback_kind=pullback,
        path_difference=float(np.median(apart)),
        importance=weight,
        std=std,
        mask=mask,
        importance_kind=kind,
        sample=(np.cumsum(exists) - 1)[slots[exists[slots]]],
        sample_messages=sampled.float().cpu().numpy()[exists[slots]],
        mae=error / data.accelerations.numel(),
        graphs=len(data),
        n=n,
    )
