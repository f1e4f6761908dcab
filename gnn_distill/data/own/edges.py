"""Who acts on whom, as arrays of a file say it.

Shape letters: S trajectories, n particles, E edges.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from gnn_distill.arrays import Array
from gnn_distill.data.own.faults import bad, first_true


def adjacency_of(path: Path, arrays: Mapping[str, Array], index: Any, shape: tuple[int, int]) -> Array | None:
    """Edges as [S, n, n], none from a particle to itself: numbers of pairs, 0 where there is no edge.

    Args:
        path: the file.
        arrays: `edges` [n, n] or [S, n, n], or lists of pairs, [E, 2] or [S, E, 2], as far as they are there,
            and `edge_attr`, numbers of the edges of a list or of `index`.
        index: `edge_index` [2, E], or None.
        shape: S and n.
    """
    (sims, n), edges, attr = shape, arrays.get("edges"), arrays.get("edge_attr")
    if edges is not None and edges.shape in {(n, n), (sims, n, n)}:
        if attr is not None:
            raise bad(path, "edge_attr stands beside a matrix of edges", "save the numbers in the matrix")
        return np.broadcast_to(edges * (1 - np.eye(n)), (sims, n, n))
    if edges is None and index is None:
        if attr is not None:
            raise bad(path, "edge_attr is there without edge_index or edges", "save who acts on whom, too")
        return None
    lists = np.asarray(index).T if edges is None else edges
    fix = f"save who acts on whom, 0 for nobody, as ({n}, {n}) or ({sims}, {n}, {n}), or pairs as (E, 2)"
    if lists.ndim not in (2, 3) or lists.shape[-1] != 2 or lists.shape[:-2] not in {(), (1,), (sims,)}:
        raise bad(path, f"edges has shape {lists.shape}", fix)
    lists = lists.reshape(-1, *lists.shape[-2:])
    if (lists != np.round(lists)).any() or (lists < 0).any() or (lists >= n).any():
        raise bad(path, "edges is a list of pairs of other numbers", f"number the {n} particles 0 to {n - 1}")
    values = np.ones(lists.shape[:2]) if attr is None else attr.reshape(-1, lists.shape[1])
    if len(values) not in (1, len(lists)):
        problem = f"edge_attr has shape {values.shape} for edges of shape {lists.shape}"
        raise bad(path, problem, "save one number for each edge")
    found = np.zeros((len(lists), n, n))
    run, sender, receiver = np.arange(len(lists))[:, None], *np.moveaxis(lists.astype(np.int64), -1, 0)
    found[run, receiver, sender] = values
    if (
        edges is not None and not (found.transpose(0, 2, 1)[found != 0] != 0).any()
    ):  # each pair is named once: it acts both ways
        found = found + found.transpose(0, 2, 1)
    return np.broadcast_to(found * (1 - np.eye(n)), (sims, n, n))


def index_of(path: Path, value: Any, n: int) -> npt.NDArray[np.int64]:
    """`edge_index` [2, E] of a file, checked: senders and receivers among n particles."""
    edges = np.asarray(value)
    if edges.ndim != 2 or edges.shape[0] != 2 or edges.shape[1] == 0 or edges.dtype.kind not in "iu":
        problem = f"edge_index has shape {edges.shape} and type {edges.dtype}"
        raise bad(path, problem, "save whole numbers of shape (2, E): a row of senders, a row of receivers")
    outside = (edges < 0) | (edges >= n)
    if outside.any():
        row, column = first_true(outside)
        problem = f"edge_index holds {edges[row, column]} at [{row}, {column}]"
        raise bad(path, problem, f"number the {n} particles 0 to {n - 1}")
    if (loops := np.flatnonzero(edges[0] == edges[1])).size:
        problem = f"edge_index joins particle {edges[0, loops[0]]} to itself (edge {loops[0]})"
        raise bad(path, problem, "remove self-loops")
    return edges.astype(np.int64)
