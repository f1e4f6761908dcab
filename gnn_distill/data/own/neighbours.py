"""Who can interact with whom: adjacency [receiver, sender], without self-loops.

Shape letters: G graphs, n particles, D space dims, E edges.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from gnn_distill.arrays import Array
from gnn_distill.data.graphs import chain
from gnn_distill.data.own.box import Box, shortest
from gnn_distill.data.own.tracks import Observed, bad
from gnn_distill.errors import InputError, check_int

GRAPHS = ("complete", "chain", "nearest", "cutoff", "file")
CHUNK = 4_000_000
"""Distances held in memory at a time."""

Adjacency = npt.NDArray[np.bool_]


def adjacency(
    kind: str | None,
    seen: Observed,
    positions: Array,
    neighbours: int | None,
    radius: float | None,
    box: Box | None = None,
    chunk: int = CHUNK,
) -> Adjacency | None:
    """Adjacency of all graphs.

    Args:
        kind: one of `GRAPHS`; None takes the file's `edge_index` if it has one, else `complete`.
        seen: the file that the positions came from.
        positions: positions of the graphs, shape [G, n, D].
        neighbours: senders per receiver, for `nearest`.
        radius: largest distance, for `cutoff`.
        box: edges of the periodic box.
        chunk: distances that are held in memory at a time.

    Returns:
        None for the complete graph, bool [n, n] for one graph, [G, n, n] where it changes in time.
    """
    n = positions.shape[1]
    if kind == "file" or (kind is None and (seen.edge_index is not None or seen.edges is not None)):
        return _from_file(seen, n, len(positions))
    if kind == "chain":
        return chain(n)
    if kind == "nearest" and neighbours is not None:
        check_int("dataset.neighbours", neighbours, 1, n - 1)
        return _by_chunk(positions, box, chunk, lambda d: _nearest(d, neighbours))
    if kind == "cutoff" and radius is not None:
        found = _by_chunk(positions, box, chunk, lambda d: d < radius)
        if not found.any():
            fix = "no two particles ever come so close: use a larger one"
            raise InputError("dataset.radius", radius, fix)
        return found
    return None


def _from_file(seen: Observed, n: int, graphs: int) -> Adjacency:
    if seen.edges is not None:
        joined = seen.edges != 0
        return joined[0] if (joined == joined[0]).all() else np.repeat(joined, graphs // len(joined), axis=0)
    if seen.edge_index is None:
        fix = "add edge_index [2, E] or edges [n, n] to a file of arrays, or choose another dataset.graph"
        raise bad(seen.path, "there is no edge_index, which dataset.graph=file needs", fix)
    joined = np.zeros((n, n), dtype=bool)
    sender, receiver = seen.edge_index
    joined[receiver, sender] = True
    return joined


def _by_chunk(positions: Array, box: Box | None, chunk: int, rule: Callable[[Array], Adjacency]) -> Adjacency:
    """Apply `rule` to distances [g, n, n], self-distance infinite, for a chunk of graphs at a time."""
    graphs, n, _ = positions.shape
    joined = np.empty((graphs, n, n), dtype=bool)
    step = max(1, chunk // (n * n))
    for start in range(0, graphs, step):
        x = positions[start : start + step]
        distance = np.linalg.norm(shortest(x[:, :, None] - x[:, None, :], box), axis=-1)
        distance[:, range(n), range(n)] = np.inf
        joined[start : start + step] = rule(distance)
    return joined


def _nearest(distance: Array, k: int) -> Adjacency:
    chosen = np.argsort(distance, axis=-1, kind="stable")[..., :k]
    joined = np.zeros(distance.shape, dtype=bool)
    np.put_along_axis(joined, chosen, True, axis=-1)
    return joined
