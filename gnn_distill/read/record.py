"""Recording: run a trained network over the test set, chunk by chunk.

Its error is that on the whole set. Of graphs drawn at random, the recorded ones, the D selected components
and the pulled-back contribution of every edge are kept, and of some of them the messages of all M dims.
Shapes: G recorded graphs, n particles per graph, E their edges sorted by receiver, M message dims, D space
dims.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from gnn_distill.arrays import Array, spread
from gnn_distill.data.graphs import Subset
from gnn_distill.data.receivers import Receivers
from gnn_distill.errors import check_choice
from gnn_distill.model.moments import degrees, graphs_at_once, moments
from gnn_distill.model.network import ParticleGNN
from gnn_distill.physics.laws import ForceLaw
from gnn_distill.read.field import field
from gnn_distill.read.importance import KINDS, rank, trimmed_std
from gnn_distill.read.pairs import pair_functions
from gnn_distill.read.probe import network_gauge, offsets
from gnn_distill.read.pullback import contributions, odd_contributions, pair_contributions
from gnn_distill.read.recording import Recording, Sample, edge_features

PULLBACKS = ("share", "odd", "path", "pair")
PROBED_EDGES = 3_000
"""Edges of the sample that are asked for the gauge."""
FEWEST_GRAPHS = 50
"""Graphs that are recorded at least, however large they are: some are held out, and intervals draw them."""


@dataclass(frozen=True)
class Reading:
    """How a network is read.

    Args:
        pullback: `share`, `odd`, `path` for the share with the path-averaged Jacobian, or `pair`.
        importance: what ranks message dimensions: `auto`, `std`, `kl` or `trimmed_std`.
        seed: of the sample.
        edges: about so many edges are recorded, in whole graphs, `FEWEST_GRAPHS` at least. More make no
            comparison surer: what scatters are trajectories.
        sample_edges: edges of which all M dims are kept, in whole graphs.
        path_points: quadrature points of the path-averaged pull-back.
    """

    pullback: str = "share"
    importance: str = "auto"
    seed: int = 0
    edges: int = 100_000
    sample_edges: int = 18_000
    path_points: int = 5

    def __post_init__(self) -> None:
        check_choice("pullback", self.pullback, PULLBACKS)
        check_choice("importance", self.importance, KINDS)


def record(
    model: ParticleGNN, data: Subset | Receivers, law: ForceLaw | None, how: Reading | None = None
) -> Recording:
    """Run the network over the test set and keep what analysis and distillation need.

    Args:
        model: trained network; it is put into evaluation mode.
        data: the test set.
        law: the true law, or None.
        how: what is kept and how it is ranked.
    """
    how = Reading() if how is None else how
    model.eval()
    (mae, distances), graphs = _whole(model, data), len(data)
    recorded = _recorded(degrees(model, data), how)
    data = data[torch.from_numpy(recorded)]
    graph, exists, degree = model.graph_of(data), existing(model, data), degrees(model, data)
    drawn = _draw(degree, graphs_at_once(model, data, how.sample_edges), how.seed)
    some = data[torch.from_numpy(drawn)]
    sent, turned, bent = _sample(model, some, how.path_points)

    found, mask = moments(model, data), model.mask.cpu().numpy() > 0
    measures = {"std": found.std, "trimmed_std": trimmed_std(sent.astype(np.float64)) * mask}
    if found.kl is not None:
        measures["kl"] = found.kl
    ranking = rank(measures, mask, model.dim, how.importance)

    chosen, pulled, recorded_mae = _pass(model, data, ranking.components, how)
    mean, scale, dims = chosen.mean(0), spread(chosen), list(ranking.components)
    of_graph = recorded if data.trajectory is None else data.trajectory.cpu().numpy()
    return Recording(
        recorded=recorded,
        edges=edge_features(data.features, graph[:2], data.columns, law).where(exists.reshape(-1)),
        trajectory=np.repeat(of_graph, degree),
        ranking=ranking,
        spectrum=np.maximum(np.linalg.eigvalsh(found.covariance)[::-1], 0.0),
        selected=(chosen - mean) / scale,
        pullback=pulled,
        pullback_kind=how.pullback,
        path_difference=float(np.median(bent)) if len(bent) else 0.0,
        sample=Sample(_numbers(degree, drawn), sent, (turned[:, dims] - mean) / scale),
        network=network_gauge(
            model, some[: graphs_at_once(model, data, PROBED_EDGES)], dims, scale, how.seed
        ),
        field=field(model, some, dims, scale),
        mae=mae,
        recorded_mae=recorded_mae,
        distances=distances,
        parts={} if model.frame is None else _parts(model, some),
        graphs=graphs,
        n=1 if isinstance(data, Receivers) else data.features.shape[1],
    )


def pulled_apart(model: ParticleGNN, data: Subset | Receivers, kind: str) -> tuple[Array, Array | None]:
    """Contributions [E, D] of the edges of all graphs, and what is left for single particles [N, D].

    Args:
        model: a trained network, in evaluation mode.
        data: the graphs.
        kind: of `PULLBACKS`; the shares of `share` and `path` leave nothing.
    """
    pulled, own = [], []
    for part in data.chunks(graphs_at_once(model, data)):
        x, graph = part.features, model.graph_of(part)
        with torch.no_grad():
            e = model.on(part)[1].mean
        c, predicted = contributions(model, x, e, part.edge_mask, graph=graph)
        if kind == "odd":
            c = odd_contributions(model, x, e, part.edge_mask, graph)
        own.append((predicted - graph.total(c)).flatten(0, 1).double().cpu())
        pulled.append(c[torch.from_numpy(existing(model, part))].double().cpu())
    return torch.cat(pulled).numpy(), torch.cat(own).numpy() if kind == "odd" else None


def _parts(model: ParticleGNN, some: Subset | Receivers) -> dict[str, Array]:
    """What pairs and single particles do in some graphs; see `Recording.parts`."""
    found, nodes = pair_functions(model, some), model.graph_of(some).nodes
    x = some.features[:, :nodes].flatten(0, 1).double().cpu().numpy()
    own = {"own_x": x[:, some.columns.position], "own_v": x[:, some.columns.velocity], "own_h": found.own}
    own |= {f"own_{name}": values for name, values in some.columns.properties(x, 1).items()}
    own |= {"own_individual": x[:, some.columns.individual]} if some.columns.identity else {}
    return {f"function_{name}": f for name, f in found.functions.items()} | own


def existing(model: ParticleGNN, data: Subset | Receivers) -> npt.NDArray[np.bool_]:
    """Which of the common edges each graph has, shape [G, E of one graph]."""
    if data.edge_mask is not None:
        return data.edge_mask.cpu().numpy()
    return np.ones((len(data.features), len(model.graph_of(data).receiver)), dtype=bool)


def _recorded(degree: npt.NDArray[np.int64], how: Reading) -> npt.NDArray[np.int64]:
    """Numbers of the graphs that are recorded, ascending: drawn at random."""
    order = np.random.default_rng([how.seed, 1]).permutation(len(degree))
    within = np.cumsum(degree[order]) <= how.edges
    return np.sort(order[: max(FEWEST_GRAPHS, np.count_nonzero(within))])


def _draw(degree: npt.NDArray[np.int64], count: int, seed: int) -> npt.NDArray[np.int64]:
    """Numbers of at most `count` graphs that have edges, drawn at random, ascending."""
    order = np.random.default_rng(seed).permutation(len(degree))
    return np.sort(order[degree[order] > 0][:count])


def _numbers(degree: npt.NDArray[np.int64], drawn: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Numbers of the edges of some graphs among those of all that exist."""
    count, ends = degree[drawn], np.cumsum(degree)
    return np.arange(count.sum()) + np.repeat(ends[drawn] - np.cumsum(count), count)


def _sample(
    model: ParticleGNN, some: Subset | Receivers, path_points: int
) -> tuple[npt.NDArray[np.float32], Array, Array]:
    """Messages [E', M], offsets [E', M], and how much path averaging changes c [E'], of some graphs."""
    parts: list[tuple[Tensor, Tensor, Tensor]] = []
    for part in some.chunks(graphs_at_once(model, some)):
        x, graph = part.features, model.graph_of(part)
        with torch.no_grad():
            e = model.on(part)[1].mean
        c, _ = contributions(model, x, e, part.edge_mask, graph=graph)
        along, _ = contributions(model, x, e, part.edge_mask, path_points, graph)
        apart = (along - c).norm(dim=-1) / c.norm(dim=-1).clamp(min=1e-30)
        h, here = offsets(model, *graph.ends(x)), existing(model, part)
        parts.append((e[here], h[here], apart[here]))
    e, h, apart = (torch.cat(column).cpu() for column in zip(*parts, strict=True))
    return e.float().numpy(), h.double().numpy(), apart.double().numpy()


@torch.no_grad()
def _whole(model: ParticleGNN, data: Subset | Receivers) -> tuple[float, tuple[float, float]]:
    """Mean absolute error of all predictions; least distance of a pair that is not zero, and the largest."""
    error, least, largest = 0.0, np.inf, 0.0
    for part in data.chunks(graphs_at_once(model, data)):
        error += float((model.on(part)[0] - part.accelerations).abs().double().sum())
        one, two = model.graph_of(part).ends(part.features)
        d = part.columns.separation(one, two).norm(dim=-1)[torch.from_numpy(existing(model, part))]
        d = d[d > 0]
        if len(d):
            least, largest = min(least, float(d.min())), max(largest, float(d.max()))
    return error / data.accelerations.numel(), (least, largest)


def _pass(
    model: ParticleGNN, data: Subset | Receivers, components: tuple[int, ...], how: Reading
) -> tuple[Array, Array, float]:
    """Selected messages [E, K] and contributions [E, D] of all edges, and the mean absolute error."""
    chosen, pulled, error = [], [], 0.0
    for part in data.chunks(graphs_at_once(model, data)):
        x, here, graph = part.features, torch.from_numpy(existing(model, part)), model.graph_of(part)
        with torch.no_grad():
            e = model.on(part)[1].mean
        points = how.path_points if how.pullback == "path" else 0
        c, predicted = contributions(model, x, e, part.edge_mask, points, graph)
        if how.pullback == "odd":
            c = odd_contributions(model, x, e, part.edge_mask, graph)
        elif how.pullback == "pair":
            c = pair_contributions(model, x, e, graph)
        pulled.append(c[here].double().cpu())
        chosen.append(e[here][:, list(components)].double().cpu())
        error += float((predicted - part.accelerations).abs().double().sum())
    return torch.cat(chosen).numpy(), torch.cat(pulled).numpy(), error / data.accelerations.numel()
