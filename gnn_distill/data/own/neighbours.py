"""Who can interact with whom, without self-loops.

Graphs that are always the same are an adjacency [receiver, sender]. Those that change in time are lists of
senders for each sighting, from trees of each frame's positions; a long list of these is in a file.
Shape letters: n particles, D space dims, E edges; N sightings.
"""

from __future__ import annotations

import itertools
import tempfile
from collections.abc import Iterator
from typing import IO

import numpy as np
import numpy.typing as npt
from scipy.spatial import cKDTree

from gnn_distill.arrays import Array
from gnn_distill.data.own.box import half, inside, rounded_down
from gnn_distill.data.own.faults import bad
from gnn_distill.data.own.tracks import Box, Observed
from gnn_distill.data.particles import chain
from gnn_distill.errors import InputError, check_int
from gnn_distill.physics.variables import nearest_image

GRAPHS = ("complete", "chain", "nearest", "cutoff", "file")
LARGE = 300
"""Particles of a frame from which on only neighbours are looked at, …"""
NEIGHBOURS = 30
"""… within the median distance of that many, …"""
LOOKED_AT = 20
"""… in so many frames."""
PAIRS = 1_000_000
"""Pairs whose distances are looked at together."""
IN_MEMORY = 50_000_000
"""Pairs from which on they lie on disk."""

Adjacency = npt.NDArray[np.bool_]
Index = npt.NDArray[np.int64]
Rows = npt.NDArray[np.int32]


def adjacency(kind: str | None, seen: Observed, n: int, graphs: int) -> Adjacency | None:
    """Adjacency of graphs whose n particles interact in the same way all through a run.

    Args:
        kind: one of `GRAPHS`; None takes the file's edges if it has any, else all pairs.
        seen: the file.
        n: particles of a graph.
        graphs: their number G.

    Returns:
        None for the complete graph, bool [n, n] for one graph, [G, n, n] where runs differ.
    """
    if kind == "file" or (kind is None and (seen.edge_index is not None or seen.edges is not None)):
        return _from_file(seen, n, graphs)
    return chain(n) if kind == "chain" else None


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


Company = tuple[Index, Index, Index | Rows, bool, bool]
"""`first`, `last`, `senders`, `shared` and `mutual` of `gnn_distill.data.sightings.Sightings`."""


def together(frame: Index) -> Company:
    """All sightings of a frame act on each other."""
    order = np.argsort(frame, kind="stable")
    first = np.searchsorted(frame[order], frame)
    return first, np.searchsorted(frame[order], frame, side="right"), order, True, True


def within(
    frame: Index, positions: Array, radius: float, box: Box | None = None, cell: Array | None = None
) -> Company:
    """Sightings of a frame that are closer than a radius act on each other; linear in their number.

    Args:
        frame: number of the frame, shape [N].
        positions: shape [N, D].
        radius: largest distance.
        box: edges of the periodic box, 0 where `cell` says it.
        cell: of each sighting, shape [N, C].

    Raises:
        InputError: no two are ever so close.
    """
    first, last = np.zeros((2, len(frame)), dtype=np.int64)
    senders = _Grown()
    for rows, tree, count in _trees(frame, positions, box, cell, radius):
        pairs = tree.query_pairs(radius, output_type="ndarray")
        one, two = np.concatenate([pairs, pairs[:, ::-1]]).T
        real = one < count  # and no image, which receives nothing
        order, degree = np.argsort(one[real], kind="stable"), np.bincount(one[real], minlength=count)
        first[rows[:count]] = senders.size + np.cumsum(degree) - degree
        last[rows[:count]] = senders.size + np.cumsum(degree)
        senders.add(rows[two[real][order]])
    if not senders.size:
        fix = "no two particles ever come so close: use a larger one"
        raise InputError("dataset.radius", radius, fix)
    return first, last, senders.whole(), False, True


class _Grown:
    """Numbers of rows put one part after another; many of them lie in a nameless file, not in memory."""

    def __init__(self) -> None:
        self.size, self._parts = 0, list[Rows]()
        self._file: IO[bytes] | None = None

    def add(self, part: Index) -> None:
        """A further part."""
        self.size += len(part)
        self._parts.append(part.astype(np.int32))
        if self.size > IN_MEMORY and self._file is None:
            self._file = tempfile.TemporaryFile()
        if self._file is not None:
            for some in self._parts:
                self._file.write(some.data)  # whose errors, as of a full disk, have a number
            self._parts = []

    def whole(self) -> Rows:
        """All of them."""
        if self._file is None:
            return np.concatenate(self._parts)
        self._file.flush()
        return np.memmap(self._file, np.int32, "r+")


def closest(
    frame: Index, positions: Array, count: int, box: Box | None = None, cell: Array | None = None
) -> Company:
    """The nearest so many of a frame act on each sighting; arguments as above."""
    check_int("dataset.neighbours", count, 1, int(np.bincount(frame).max()) - 1)
    found = nearest(frame, positions, count, box, np.arange(len(frame)), cell)
    last = np.cumsum((found >= 0).sum(1))
    return np.append(0, last[:-1]), last, found[found >= 0], False, False


def nearest(
    frame: Index, positions: Array, count: int, box: Box | None, rows: Index, cell: Array | None = None
) -> Index:
    """Numbers [R, count] of the nearest of the same frame, nearest first; −1 where there are no more.

    Args:
        frame: number of the frame, shape [N].
        positions: shape [N, D].
        count: neighbours wanted.
        box: edges of the periodic box, 0 where `cell` says it.
        rows: for which sightings, [R].
        cell: of each sighting, shape [N, C].
    """
    found = np.full((len(rows), count), -1)
    wanted = np.zeros(len(frame), dtype=bool)
    wanted[rows] = True
    place = np.cumsum(wanted) - 1  # as rows ascend
    for here, tree, real in _trees(frame, positions, box, cell, picked=np.unique(frame[rows])):
        mine = np.flatnonzero(wanted[here[:real]])
        many = min(count, real - 1)
        if not many:
            continue
        if len(here) > real and cell is not None:  # images of one particle may be nearer than others
            here = here[:real]
            for some in np.array_split(mine, len(mine) * real // PAIRS + 1):
                delta = positions[here[some], None] - positions[here]
                far = np.linalg.norm(nearest_image(delta, cell[here[some], None]), axis=-1)
                far[np.arange(len(some)), some] = np.inf
                found[place[here[some]], :many] = here[np.argsort(far, axis=1)[:, :many]]
            continue
        near = tree.query(tree.data[mine], many + 1)[1]
        kept = near != mine[:, None]
        kept[kept.all(1), -1] = False  # of many at one place, itself may not be among the nearest
        found[place[here[mine]], :many] = here[near[kept].reshape(len(mine), many)]
    return found


def typical_radius(frame: Index, positions: Array, box: Box | None, cell: Array | None = None) -> float:
    """Median distance of the 30th neighbour; in a box half of its shortest edge at most."""
    some = np.unique(frame)
    picked = some[np.unique(np.linspace(0, len(some) - 1, LOOKED_AT).astype(int))]
    apart = [
        tree.query(tree.data[:count], min(NEIGHBOURS + 1, count))[0][:, -1]
        for _, tree, count in _trees(frame, positions, box, cell, picked=picked)
    ]
    usual, most = float(f"{float(np.median(np.concatenate(apart))):.3g}"), half(box, cell)
    return usual if usual <= most else rounded_down(most)


def _trees(
    frame: Index,
    positions: Array,
    box: Box | None,
    cell: Array | None,
    reach: float = np.inf,
    picked: Index | None = None,
) -> Iterator[tuple[Index, cKDTree, int]]:
    """Rows of each frame, of those `picked`, a tree of their positions, and how many of these are no images.

    Images stand behind the others in cells that are tilted, whose period the tree does not know; only those
    within `reach`, or half of the shortest edge, of the cell.
    """
    order = np.argsort(frame, kind="stable")
    numbers, first = np.unique(frame[order], return_index=True)
    parts = dict(zip(numbers.tolist(), np.split(order, first[1:]), strict=True))
    edges = None if box is None else np.array([edge or 0.0 for edge in box])
    turned = positions if edges is None else _inside(positions, edges)
    for number in numbers if picked is None else picked:
        rows = parts[int(number)]
        if cell is None or not cell.size:
            yield rows, cKDTree(turned[rows], boxsize=edges), len(rows)
            continue
        vectors = np.zeros((positions.shape[1],) * 2)
        vectors[np.tril_indices(len(vectors))] = cell[rows[0]]
        sides = np.diagonal(vectors)
        x = inside(positions[rows], cell[rows])
        if not np.tril(vectors, -1).any():
            yield rows, cKDTree(_inside(x, sides), boxsize=sides), len(rows)
            continue
        of, x = _images(x, vectors, min(reach, sides[sides > 0].min() / 2))
        yield rows[of], cKDTree(x), len(rows)


def _images(x: Array, vectors: Array, reach: float) -> tuple[Index, Array]:
    """Particles and their images in and around a cell [D, D]: numbers [n + I] and positions [n + I, D]."""
    vectors = vectors.copy()
    for k in reversed(range(len(vectors))):
        for j in (j for j in reversed(range(k)) if vectors[j, j] > 0):
            vectors[k] -= np.round(vectors[k, j] / vectors[j, j]) * vectors[j]
    steps = [range(-2, 3), range(-1, 2), range(-1, 2)]  # as tilts are at most half of an edge now
    allowed = (steps[k] if vectors[k, k] > 0 else range(1) for k in range(len(vectors)))
    turns = np.array(sorted(itertools.product(*allowed), key=any))  # that of no turn comes first
    every = (x + (turns @ vectors)[:, None]).reshape(-1, x.shape[1])
    low, high = x.min(0) - reach, x.max(0) + reach
    near = ((every >= low) & (every <= high)).all(1)
    return np.tile(np.arange(len(x)), len(turns))[near], every[near]


def _inside(positions: Array, edges: Array) -> Array:
    """Positions [N, D] in a box that begins at the origin; an edge of zero is an open axis."""
    turned = np.where(edges > 0, np.mod(positions, np.where(edges > 0, edges, 1.0)), positions)
    return np.where((edges > 0) & (turned >= edges), 0.0, turned)  # as rounding may have it


def limited(count: float, radius: float) -> str:
    """What is said where only near pairs of frames of `count` particles are looked at."""
    return (
        f"there are about {count:,.0f} particles in a frame: only pairs closer than {radius:g} are looked "
        f"at, where the nearest {NEIGHBOURS} are. If forces reach farther, or less far, give dataset.radius; "
        "dataset.graph=complete takes all pairs"
    )
