"""What a law is fitted to: labels, and the pairs and particles at the same instants.

Shapes: S segments of T consecutive frames, n particles, N = S T n nodes, E edges, D space dims, W frames of
the labels' kernel, R = S (T − W + 1) n rows.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import sympy
import torch
from scipy import sparse
from scipy.ndimage import maximum_filter1d

from gnn_distill.arrays import Array
from gnn_distill.data.graphs import Subset, View
from gnn_distill.data.receivers import Receivers
from gnn_distill.distil.expressions.evaluate import at
from gnn_distill.distil.law.closed_form import Nodes, summed
from gnn_distill.read.recording import Edges, edge_features

Index = npt.NDArray[np.int64]

UNITS = 30
"""Pieces of time that count as independent, where there are fewer runs than `FEW`."""
BENT = 3.0
"""Medians of the labels' second differences from which on rows count less."""
FEW = 12
LONG = (7.0, 5.0, 3.0, 2.0, 1.0, 0.5, 0.25)
"""Rows of a segment, in widths of the kernel, where tracks have gaps, the first two where random forces act:
the most that keep …"""
KEPT = 0.6
"""… this share of the rows."""
STRETCH = 8
"""Widths of the kernel of a segment where random forces act: pieces of time whose errors are independent."""


@dataclass(frozen=True)
class Strengths:
    """What individuals bring to a law of pairs.

    Attributes:
        source: s, as senders, shape [K].
        response: t, as receivers, shape [K].
    """

    source: Array
    response: Array


@dataclass(frozen=True)
class Motion:
    """Labels beside all that laws read.

    A label that was derived from a window of frames is an average of accelerations over it. So a law's
    accelerations are averaged along each track with the same kernel before they are compared (weak form).

    Where individuals are told apart, everything in rows is relative to what each of them is used to: the pull
    of a planet is a large part of the Sun's acceleration, and next to nothing beside Mercury's.

    Attributes:
        edges: pairs of all frames.
        nodes: particles of all frames, segment by segment, frame by frame.
        frames: T, of a segment.
        n: particles of a frame.
        kernel: of the labels, shape [W]; of one entry where labels are those of their own instant.
        graphs: the frames as graphs, S T of them.
        unit: what each row belongs to: a run, or a piece of time of one, shape [R].
        lag: rows of time from one row to the next that shares no frames with its label; 0 where no random
            forces act and nobody asks.
        individuals: numbers of the nodes' individuals, shape [N]; None where they are not told apart.
        usual: typical label of each individual in units of that of all, shape [K].
        strengths: what multiplies each pair's contribution; nothing if None.
        groups: by name, pairs that may have a law of their own: what is 1 for them and 0 for all others.
        factors: of each pair and frame besides, shape [E]; none if None.
    """

    edges: Edges
    nodes: Nodes
    frames: int
    n: int
    kernel: Array
    graphs: Subset | Receivers
    unit: Index
    lag: int = 0
    individuals: Index | None = None
    usual: Array | None = None
    strengths: Strengths | None = None
    groups: Mapping[str, sympy.Expr] = field(default_factory=dict)
    factors: Array | None = None

    @functools.cached_property
    def labels(self) -> Array:
        """Accelerations (velocities, where the motion is of first order), shape [R, D]."""
        return self.inner(self.nodes.acceleration) / self.size

    @functools.cached_property
    def who(self) -> Index:
        """Numbers of the rows' individuals, shape [R]."""
        if self.individuals is None:
            return np.zeros(len(self.unit), dtype=np.int64)
        return np.asarray(self.inner(self.individuals[:, None])[:, 0])

    @functools.cached_property
    def size(self) -> Array:
        """What values in rows are divided by, shape [R, 1]."""
        return np.ones((len(self.unit), 1)) if self.usual is None else self.usual[self.who][:, None]

    @functools.cached_property
    def strength(self) -> Array:
        """What multiplies the contribution of each pair, shape [E]."""
        own = np.ones(len(self.edges.r)) if self.factors is None else self.factors
        if self.strengths is None or self.edges.individuals is None:
            return own
        one, two = self.edges.individuals
        return own * self.strengths.response[one] * self.strengths.source[two]

    def weighed(self, strengths: Strengths | None, factors: Array | None = None) -> Motion:
        """The same rows with these strengths, and these factors of pairs [E]."""
        return self._as(replace(self, strengths=strengths, factors=factors))

    def grouped(self, groups: Mapping[str, sympy.Expr]) -> Motion:
        """The same rows with these groups of pairs; their directions are called `u:NAME`."""
        return self._as(replace(self, groups=groups))

    def _as(self, found: Motion) -> Motion:
        kept = ("lagged", "labels", "trust", "who", "size", "named", "directions", "averaging")
        for name in kept:  # which neither changes
            found.__dict__[name] = getattr(self, name)
        return found

    def inner(self, values: Any) -> Any:
        """Of values of the nodes [N, C] those whose labels have a whole kernel around them, shape [R, C]."""
        half = len(self.kernel) // 2
        parts = values.reshape(-1, self.frames, self.n, values.shape[1])
        return parts[:, half : self.frames - half].reshape(-1, values.shape[1])

    @functools.cached_property
    def trust(self) -> Array:
        """Weights of the rows, shape [R, 1]: less where labels bend within the kernel's width.

        A kernel averages well what is smooth from frame to frame. In a close encounter it is not. Rows
        without an earlier one, where there is a `lag`, count nothing.
        """
        half, dim = len(self.kernel) // 2, self.labels.shape[1]
        if half == 0:
            return np.ones((len(self.labels), 1))
        a = self.nodes.acceleration
        if self.usual is not None and self.individuals is not None:
            a = a / self.usual[self.individuals][:, None]
        a = a.reshape(-1, self.frames, self.n, dim)
        bend = np.nan_to_num(np.linalg.norm(np.diff(a, 2, axis=1), axis=-1))
        bend = np.pad(bend, ((0, 0), (1, 1), (0, 0)), mode="edge")
        bend = maximum_filter1d(bend, 2 * half + 1, axis=1)[:, half : self.frames - half].reshape(-1)
        usual = max(float(np.median(bend)), 1e-300)
        trust = np.asarray(1.0 / (1.0 + (bend / (BENT * usual)) ** 2))
        if self.lag:
            late = np.zeros(len(trust))
            late[self.lagged[0]] = 1.0
            trust = trust * late
        return trust[:, None]

    @functools.cached_property
    def lagged(self) -> tuple[Index, Index]:
        """Numbers of the rows that have an earlier one in their segment, and of those earlier ones."""
        per_segment = self.frames - len(self.kernel) + 1
        number = np.arange(len(self.labels)).reshape(-1, per_segment, self.n)
        return number[:, self.lag :].reshape(-1), number[:, : per_segment - self.lag].reshape(-1)

    @functools.cached_property
    def pieces(self) -> Index:
        """What rows belong to whose errors are independent, shape [R].

        The unit; where random forces make the errors, which soon forget, stretches of each particle.
        """
        if not self.lag:
            return self.unit
        per_segment, long = self.frames - len(self.kernel) + 1, STRETCH * len(self.kernel)
        place = np.arange(len(self.labels)) // self.n
        stretches = -(-per_segment // long)
        piece = place // per_segment * stretches + place % per_segment // long
        return np.asarray(piece * self.n + np.arange(len(self.labels)) % self.n)

    @functools.cached_property
    def named(self) -> dict[str, Array]:
        """What pair terms read, each of shape [E]."""
        return self.edges.named

    @functools.cached_property
    def directions(self) -> dict[str, Array]:
        """The vectors that pair terms multiply, each of shape [E, D]: `u` = Δ/d, `w`, and `t` across u."""
        d = self.named["d"]
        u = self.edges.delta / np.where(d > 0, d, 1.0)[:, None]
        return {"u": u, "w": self.edges.relative, "t": across(u, self.edges.relative)}

    @functools.cached_property
    def members(self) -> dict[str, Index]:
        """Numbers of the pairs of each group."""
        count = len(self.edges.r)
        return {name: np.flatnonzero(at(where, self.named, count)) for name, where in self.groups.items()}

    def some(self, key: str) -> Index | slice:
        """The pairs that have a direction: all of `u`, those of the group of `u:NAME`."""
        return self.members[key[2:]] if key[1:] else slice(None)

    def vectors(self, values: Array, key: str) -> Array:
        """Values [E'] of the pairs that have a direction, along it: shape [E, D], zero for all others."""
        some, way = self.some(key), self.directions[key[:1]]
        if isinstance(some, slice):
            return np.asarray(values[:, None] * way)
        found = np.zeros_like(way)
        found[some] = values[:, None] * way[some]
        return found

    def pairs(self, values: Array) -> Array:
        """Contributions [E, D] summed for each receiver and averaged as labels are, shape [R, D]."""
        return self.averaged(summed(values, self.edges.receiver, len(self.nodes)))

    def by_sender(self, values: Array, sender: Index, count: int) -> sparse.csr_array:
        """`pairs` for each of so many senders apart: contributions [E, D] as columns [R D, count]."""
        place, shape = (self.edges.receiver, sender), (len(self.nodes), count)
        parts = [self.averaging @ sparse.coo_array((c, place), shape=shape).tocsr() for c in values.T]
        order = np.arange(len(self.unit) * len(parts)).reshape(len(parts), -1).T.reshape(-1)
        return sparse.vstack(parts).tocsr()[order]

    @functools.cached_property
    def averaging(self) -> sparse.csr_array:
        """`averaged` as a matrix, shape [R, N]."""
        rows, width = self.frames - len(self.kernel) + 1, len(self.kernel)
        number = np.arange(len(self.nodes)).reshape(-1, self.frames, self.n)
        nodes = np.concatenate([number[:, k : k + rows].reshape(-1) for k in range(width)])
        count = len(nodes) // width
        kernel = self.kernel if width > 1 else np.ones(1)
        shares = np.repeat(kernel, count) / np.tile(self.size[:, 0], width)
        place = np.tile(np.arange(count), width), nodes
        return sparse.coo_array((shares, place), shape=(count, len(self.nodes))).tocsr()

    def averaged(self, values: Array) -> Array:
        """What the particles have at their own instants [N, D], averaged as labels are, shape [R, D]."""
        if len(self.kernel) == 1:
            return values / self.size
        parts = values.reshape(-1, self.frames, self.n, values.shape[1])
        rows = self.frames - len(self.kernel) + 1
        total = sum(k * parts[:, i : i + rows] for i, k in enumerate(self.kernel))
        return np.asarray(total).reshape(-1, values.shape[1]) / self.size


def across(u: Array, w: Array) -> Array:
    """The direction across u [E, D]: u turned by a right angle in two dimensions, u × w in three."""
    return np.stack([-u[:, 1], u[:, 0]], axis=1) if u.shape[1] == 2 else np.cross(u, w)


def motion(
    graphs: Subset | View | Receivers,
    graph: tuple[torch.Tensor, torch.Tensor] | None = None,
    kernel: tuple[float, ...] = (),
    edges: int = 120_000,
    seed: int = 0,
    kicked: bool = False,
    usual: Array | None = None,
    pool: int = 1,
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
        pool: frames whose mean label stands beside the first of them, where labels have no kernel. Where
            single steps are mostly noise that takes next to nothing from what rows tell, and there are fewer
            of them. (Beside the mean over all these frames it could not stand: later places know the noise.)
        whole_runs: whether segments are runs from end to end, as far as these are equally long.
    """
    if isinstance(graphs, Receivers):
        return _of_receivers(graphs, kernel, edges, seed, kicked, usual, pool)
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
    pool = 1 if averaged else pool
    if pool > 1:
        whole_ones = np.concatenate([np.arange(s // pool) * pool for s in sizes])
        starts = whole_ones + np.repeat(np.cumsum(sizes) - sizes, sizes // pool)
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
    for k in range(1, pool):
        a += (
            graphs[torch.from_numpy(order[starts[drawn] + k])]
            .accelerations.flatten(0, 1)
            .double()
            .cpu()
            .numpy()
        )
    nodes = Nodes(some.columns.own(x), a / pool)
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
    pool: int,
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
    many = [max(1, int(part * len(weights))) for part in LONG[0 if kicked else 2 :]] if half else [pool, 1]
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
    steps = torch.from_numpy(picked.reshape(len(first), -1))
    if not half:  # the mean label of a stretch stands beside its first frame
        picked, long = first, 1
    some = replace(graphs, index=torch.from_numpy(picked).to(graphs.device))
    found = edge_features(some.features, some.graph[:2], some.columns)
    nodes_x = some.features[0, : len(picked)]
    x, a = (part.double().cpu().numpy() for part in (nodes_x, some.accelerations[0]))
    if not half:
        a = table.labels[steps.to(table.labels.device)].double().mean(dim=1).cpu().numpy()
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
