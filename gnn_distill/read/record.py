"""Recording: run a trained network over the whole test set, chunk by chunk.

Messages of all M dims are kept for a random sample of graphs only; of every edge, the D selected
components and the pulled-back contribution. Shapes: G graphs, n particles per graph, E edges of all
graphs sorted by receiver, M message dims, D space dims.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from gnn_distill.arrays import Array
from gnn_distill.data.graphs import Subset
from gnn_distill.model.network import ParticleGNN, graphs_at_once, statistics
from gnn_distill.physics.laws import ForceLaw
from gnn_distill.read.field import field
from gnn_distill.read.probe import network_gauge, offsets
from gnn_distill.read.pullback import contributions, odd_contributions
from gnn_distill.read.recording import Recording, edge_features

PROBED_EDGES = 3_000
TRIMMED = 0.10  # fraction of edges left out of the trimmed standard deviation
KINDS = ("auto", "std", "kl", "trimmed_std")
PULLBACKS = ("share", "odd", "path")
MEANING = {
    "std": "standard deviation over all edges",
    "kl": "mean KL divergence from N(0, 1) over all edges",
    "trimmed_std": "standard deviation of the 90 % of a dimension's messages that lie closest together",
}


def trimmed_std(values: Array, trim: float = TRIMMED) -> Array:
    """Standard deviation of the (1 − trim) share of each column of [E, M] that has the smallest one.

    It is the least trimmed squares of a constant, exact, because the points kept are neighbours.
    """
    keep = max(1, round((1 - trim) * len(values)))
    v = np.sort(values - np.median(values, axis=0), axis=0).astype(np.float64)
    zero = np.zeros((1, v.shape[1]))
    sums, squares = (np.concatenate([zero, np.cumsum(v**power, axis=0)]) for power in (1, 2))
    first, second = (c[keep:] - c[:-keep] for c in (sums, squares))
    return np.sqrt(np.maximum((second - first**2 / keep).min(0) / keep, 0.0))


def choose(measures: dict[str, Array], mask: npt.NDArray[np.bool_], dim: int, how: str) -> tuple[str, str]:
    """The measure that ranks message dimensions, and why.

    Args:
        measures: importance [M] by name.
        mask: True where not pruned.
        dim: components to select.
        how: `auto` takes `kl` where there is one and `std` elsewhere, as published; or a name.
    """
    kind = how if how != "auto" else "kl" if "kl" in measures else "std"
    why = (
        "as asked"
        if how != "auto"
        else f"published for a {'Gaussian' if kind == 'kl' else 'deterministic'} head"
    )
    active = int(mask.sum())
    found = f"{min(dim, active)} of {active} unpruned dimensions"
    reason = f"{found}, ranked by {MEANING[kind]} ({why})"
    others = [
        k
        for k in measures
        if k != kind and set(top(measures[k], mask, dim)) != set(top(measures[kind], mask, dim))
    ]
    if others:
        names = ", ".join(f"{k} {list(top(measures[k], mask, dim))}" for k in others)
        reason += f"; others would select {names}"
    return kind, reason


def top(importance: Array, mask: npt.NDArray[np.bool_], dim: int) -> tuple[int, ...]:
    """The `dim` most important unpruned dimensions, most important first."""
    ranked = np.argsort(-np.where(mask, importance, -np.inf), kind="stable")
    return tuple(int(k) for k in ranked[: min(dim, int(mask.sum()))])


def record(
    model: ParticleGNN,
    data: Subset,
    law: ForceLaw | None,
    sample_edges: int = 18_000,
    path_points: int = 5,
    seed: int = 0,
    pullback: str = "share",
    importance: str = "auto",
) -> Recording:
    """Run the network over the test set, in chunks, and keep what the analysis needs.

    Args:
        model: trained network; it is put into evaluation mode.
        data: the test set.
        law: the true law, or None.
        sample_edges: edges of which all M dims are kept, in whole graphs drawn at random of those with edges.
        path_points: quadrature points of the path-averaged pull-back.
        seed: of that draw.
        pullback: `share`, `odd`, or `path` for the share with the path-averaged Jacobian.
        importance: `auto`, `std`, `kl` or `trimmed_std`.
    """
    model.eval()
    n, dim = data.features.shape[1], model.dim
    graph = model.edges(n)
    per_graph = len(graph[0])
    mask = model.mask.cpu().numpy() > 0
    found = statistics(model, data)

    exists = np.ones((len(data), per_graph), dtype=bool)
    if data.edge_mask is not None:
        exists = data.edge_mask.cpu().numpy()
    order = np.random.default_rng(seed).permutation(len(data))
    drawn = order[exists[order].any(axis=1)][: max(1, sample_edges // max(1, per_graph))]
    drawn.sort()
    some = data[torch.from_numpy(drawn)]
    here = exists[drawn].reshape(-1)
    sampled, offset, difference = _sampled(model, some, path_points)
    sampled, offset, difference = sampled[here], offset[here], difference[here]

    measures = {"std": found.std, "trimmed_std": trimmed_std(sampled.astype(np.float64)) * mask}
    if found.kl is not None:
        measures["kl"] = found.kl
    kind, reason = choose(measures, mask, dim, importance)
    components = top(measures[kind], mask, dim)
    chosen, pulled, mae = _everywhere(model, data, components, pullback, path_points)
    chosen, pulled = chosen[exists.reshape(-1)], pulled[exists.reshape(-1)]
    mean, spread = chosen.mean(0), chosen.std(0)
    scale = np.where(spread > 0, spread, 1.0)
    probed = some[: max(1, PROBED_EDGES // max(1, per_graph))]
    slots = (drawn[:, None] * per_graph + np.arange(per_graph)).reshape(-1)
    of_graph = np.arange(len(data)) if data.trajectory is None else data.trajectory.cpu().numpy()
    return Recording(
        edges=edge_features(data.features, graph, data.columns, law).where(exists.reshape(-1)),
        components=components,
        selected=(chosen - mean) / scale,
        pullback=pulled,
        pullback_kind=pullback,
        path_difference=float(np.median(difference)) if len(difference) else 0.0,
        importance=measures[kind],
        measures=measures,
        reason=reason,
        std=found.std,
        spectrum=np.maximum(np.linalg.eigvalsh(found.covariance)[::-1], 0.0),
        mask=mask,
        importance_kind=kind,
        sample=(np.cumsum(exists.reshape(-1)) - 1)[slots[here]],
        sample_messages=sampled,
        offset=(offset[:, list(components)] - mean) / scale,
        trajectory=np.broadcast_to(of_graph[:, None], exists.shape)[exists],
        network=network_gauge(model, probed, list(components), spread, seed),
        field=field(model, some, list(components), spread),
        mae=mae,
        graphs=len(data),
        n=n,
    )


def _everywhere(
    model: ParticleGNN, data: Subset, components: tuple[int, ...], pullback: str, path_points: int
) -> tuple[Array, Array, float]:
    """Selected messages [E, K] and contributions [E, D] of all edges, and the mean absolute error."""
    chosen, pulled, error = [], [], 0.0
    for part in data.chunks(graphs_at_once(model, data)):
        with torch.no_grad():
            e = model(part.features, edge_mask=part.edge_mask)[1].mean
        c, predicted = contributions(
            model, part.features, e, part.edge_mask, path_points if pullback == "path" else 0
        )
        if pullback == "odd":
            c = odd_contributions(model, part.features, e, part.edge_mask)
        pulled.append(c.flatten(0, 1).double().cpu())
        chosen.append(e[..., list(components)].flatten(0, 1).double().cpu())
        error += float((predicted - part.accelerations).abs().double().sum())
    return torch.cat(chosen).numpy(), torch.cat(pulled).numpy(), error / data.accelerations.numel()


def _sampled(
    model: ParticleGNN, some: Subset, path_points: int
) -> tuple[npt.NDArray[np.float32], Array, Array]:
    """Messages [E', M], offsets [E', M], and how much path averaging changes c [E'], of some graphs."""
    receiver, sender = model.edges(some.features.shape[1])
    parts: list[tuple[Tensor, Tensor, Tensor]] = []
    for part in some.chunks(graphs_at_once(model, some)):
        x = part.features
        with torch.no_grad():
            e = model(x, edge_mask=part.edge_mask)[1].mean
        c, _ = contributions(model, x, e, part.edge_mask)
        along, _ = contributions(model, x, e, part.edge_mask, path_points)
        apart = (along - c).norm(dim=-1) / c.norm(dim=-1).clamp(min=1e-30)
        parts.append((e, offsets(model, x[:, receiver], x[:, sender]), apart))
    e, h, apart = (torch.cat(column).flatten(0, 1).cpu() for column in zip(*parts, strict=True))
    return e.float().numpy(), h.double().numpy(), apart.double().numpy()
