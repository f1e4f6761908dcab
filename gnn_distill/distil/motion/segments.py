"""Samples of graphs as what laws are fitted to: segments of frames that follow each other.

Shapes: S segments of T frames, n particles, E edges, K individuals.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch

from gnn_distill.arrays import Array
from gnn_distill.data.graphs import Subset, View
from gnn_distill.data.receivers import Receivers
from gnn_distill.distil.law.closed_form import Nodes
from gnn_distill.distil.motion.samples import STRETCH, Index, Motion
from gnn_distill.read.recording import edge_features

UNITS = 30
"""Pieces of time that count as independent, where there are fewer runs than `FEW`."""
FEW = 12
LONG = (7.0, 5.0, 3.0, 2.0, 1.0, 0.5, 0.25)
"""Rows of a segment, in widths of the kernel, where tracks have gaps, the first two where random forces act:
the most that keep …"""
KEPT = 0.6
"""… this share of the rows."""


def motion(
    graphs: Subset | View | Receivers,
    graph: tuple[torch.Tensor, torch.Tensor] | None = None,
    kernel: tuple[float, ...] = (),
    edges: int = 120_000,
    seed: int = 0,
    kicked: bool = False,
    usual: Array | None = None,
    whole_runs: bool = False,
) -> Motion:
    """A sample of the graphs with at most about so many edges.

    Args:
        graphs: of some runs; whole ones, frames in order, where there is a kernel.
        graph: receivers and senders of one graph, each [E of one graph]; None where `graphs` are receivers.
        kernel: of the labels.
        edges: that the sample should not exceed.
        seed: of the draw.
        kicked: whether random forces act: segments are then longer, so that rows have earlier ones.
        usual: typical label of each individual in units of that of all, shape [K].
        whole_runs: whether segments are runs from end to end, as far as these are equally long.
    """
    if isinstance(graphs, Receivers):
        return _of_receivers(graphs, kernel, edges, seed, kicked, usual)
    if graph is None:
        raise TypeError("whole graphs need their edges")
    whole, index = (graphs.whole, graphs.index) if isinstance(graphs, View) else (graphs, slice(None))
    count, n = len(graphs), whole.features.shape[1]
    of = np.arange(count) if whole.trajectory is None else whole.trajectory[index].cpu().numpy()
    order = np.argsort(of, kind="stable")
    runs, sizes = np.unique(of, return_counts=True)
    averaged = len(kernel) > 1 and len(set(sizes)) == 1 and sizes[0] >= len(kernel)
    weights = np.array(kernel if averaged else (1.0,))
    length = min(int(sizes[0]), (STRETCH if kicked else 4) * len(weights)) if averaged else 1
    if whole_runs and len(set(sizes)) == 1:
        length = int(sizes[0])
    per_run = sizes[0] // length if averaged or length > 1 else 0
    starts = (
        (np.arange(len(runs))[:, None] * sizes[0] + np.arange(per_run) * length).reshape(-1)
        if per_run
        else np.arange(count)
    )
    per_graph = max(1, len(graph[0]))
    wanted = max(1, edges // (per_graph * length))
    drawn = np.sort(np.random.default_rng([seed, 5]).permutation(len(starts))[:wanted])
    picked = order[(starts[drawn][:, None] + np.arange(length)).reshape(-1)]
    some = graphs[torch.from_numpy(picked)]
    rows = length - len(weights) + 1
    unit = _units(starts[drawn], of[order], runs)
    found = edge_features(some.features, graph, some.columns)
    if some.edge_mask is not None:
        found = found.where(some.edge_mask.cpu().numpy().reshape(-1))
    x, a = (part.flatten(0, 1).double().cpu().numpy() for part in (some.features, some.accelerations))
    nodes = Nodes(some.columns.own(x), a)
    lag = 2 * len(weights) - 1 if kicked and averaged else 0
    told = x[:, some.columns.individual].astype(np.int64) if some.columns.identity else None
    units, usual = np.repeat(unit, rows * n), None if told is None else usual
    if len(np.unique(unit)) < FEW:  # then particles count as independent, too
        units = units * n + np.tile(np.arange(n), len(units) // n)
    return Motion(found, nodes, length, n, weights, some, units, lag if lag < rows else 0, told, usual)


def _of_receivers(
    graphs: Receivers,
    kernel: tuple[float, ...],
    edges: int,
    seed: int,
    kicked: bool,
    usual: Array | None,
) -> Motion:
    """A sample of receivers, in stretches of their tracks.

    A segment is as long as the kernel is wide and some more. Its rows are those whose window lies in one
    piece of a track; what lies around them need not have labels. Each node is a frame of its own, n = 1.
    """
    table, rows = graphs.table, graphs.index.cpu().numpy()
    piece, unit, frame = (part.cpu().numpy() for part in (table.piece, table.unit, table.frame))
    weights, half = np.array(kernel if len(kernel) > 1 else (1.0,)), len(kernel) // 2
    ends = np.clip(rows - half, 0, None), np.clip(rows + half, None, len(piece) - 1)
    inside = (rows >= half) & (rows + half < len(piece))
    inside &= (piece[ends[0]] == piece[rows]) & (piece[ends[1]] == piece[rows])
    if not inside.any():
        weights, half, inside = np.ones(1), 0, np.ones_like(inside)
    rows = rows[inside]
    begin = np.flatnonzero(np.diff(rows, prepend=-2) - 1 | np.diff(piece[rows], prepend=-2))
    size = np.diff(begin, append=len(rows))
    many = [max(1, int(part * len(weights))) for part in LONG[0 if kicked else 2 :]] if half else [1]
    many = [m for m in many if (size // m * m).sum() >= KEPT * len(rows)] or [1]
    long, count = many[0], size // many[0]
    starts = np.repeat(begin, count) + long * (
        np.arange(count.sum()) - np.repeat(np.cumsum(count) - count, count)
    )
    per_node = max(1.0, float(graphs.degree.double().mean()))
    wanted = max(1, int(edges / (per_node * (long + 2 * half))))
    drawn = np.sort(np.random.default_rng([seed, 5]).permutation(len(starts))[:wanted])
    first = rows[starts[drawn]]
    picked = (first[:, None] + np.arange(-half, long + half)).reshape(-1)
    some = replace(graphs, index=torch.from_numpy(picked).to(graphs.device))
    found = edge_features(some.features, some.graph[:2], some.columns)
    nodes_x = some.features[0, : len(picked)]
    x, a = (part.double().cpu().numpy() for part in (nodes_x, some.accelerations[0]))
    of = _parts_of_units(unit[first], frame[first], piece[first])
    nodes = Nodes(some.columns.own(x), a)
    lag = 2 * len(weights) - 1 if kicked and half else 0
    told = x[:, some.columns.individual].astype(np.int64) if some.columns.identity else None
    units, usual = np.repeat(of, long), None if told is None else usual
    lag = lag if lag < long else 0
    return Motion(found, nodes, long + 2 * half, 1, weights, some, units, lag, told, usual)


def _parts_of_units(unit: Index, frame: Index, piece: Index) -> Index:
    """What segments belong to: their unit of the split, or parts of it where there are few.

    Parts are pieces of time and, as far as segments are of one time, groups of particles.
    """
    numbers, of, sizes = np.unique(unit, return_inverse=True, return_counts=True)
    if len(numbers) >= FEW:
        return np.asarray(of)
    parts, order = -(-UNITS // len(numbers)), np.lexsort((piece, frame, of))
    place = np.empty_like(order)
    place[order] = np.arange(len(order))
    place -= (np.cumsum(sizes) - sizes)[of]
    return np.asarray(of * parts + place * parts // sizes[of])


def _units(starts: Index, of: Index, runs: Index) -> Index:
    """The unit of each segment, by its first graph's place among all graphs, which are sorted by run."""
    if len(runs) >= FEW:
        return np.asarray(np.searchsorted(runs, of[starts]))
    pieces = -(-UNITS // len(runs))
    first = np.searchsorted(of, runs)
    size = np.diff([*first, len(of)])
    run = np.searchsorted(runs, of[starts])
    return run * pieces + (starts - first[run]) * pieces // size[run]
