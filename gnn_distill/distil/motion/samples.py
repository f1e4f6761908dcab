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
from scipy import sparse
from scipy.ndimage import maximum_filter1d

from gnn_distill.arrays import Array
from gnn_distill.data.graphs import Subset
from gnn_distill.data.receivers import Receivers
from gnn_distill.distil.expressions.evaluate import at
from gnn_distill.distil.law.closed_form import Nodes, summed
from gnn_distill.physics.variables import AXES
from gnn_distill.read.recording import Edges

Index = npt.NDArray[np.int64]

BENT = 3.0
"""Medians of the labels' second differences from which on rows count less."""
SINGLE = 2.0**-24
"""Relative error of a number in single precision."""
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
        count: numbers that rows are a digest of, each with an error of one; 0 where rows are labels.
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
    count: int = 0

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

    @functools.cached_property
    def alone(self) -> dict[str, Array]:
        """What terms of single particles read, each of shape [N]; `s1` and `t1` where strengths are known."""
        if self.strengths is None or self.individuals is None:
            return dict(self.nodes.named)
        s, t = (part[self.individuals] for part in (self.strengths.source, self.strengths.response))
        return {**self.nodes.named, "s1": s, "t1": t}

    @property
    def brought(self) -> list[sympy.Expr]:
        """What a force on one particle may be in proportion to, where strengths of individuals are known.

        The response, as of a charge over its mass in a field; with sources that differ, too, the response
        over the source, as 1/m of charges with a drag.
        """
        known = self.strengths
        if known is None or np.ptp(known.response) == 0:
            return []
        s, t = sympy.symbols("s1 t1")
        if np.array_equal(known.source, known.response):
            return [s]
        return [t, t / s] if np.ptp(known.source) > 0 and np.all(known.source) else [t]

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

    def relabelled(self, labels: Array) -> Motion:
        """The same rows with other labels [R, D]."""
        found = self._as(replace(self))
        found.__dict__["labels"] = labels
        return found

    @functools.cached_property
    def rounded(self) -> Motion:
        """The same rows with distances longer by two errors that positions in single precision make."""
        found = self._as(replace(self))
        axes = np.stack([self.nodes.named[name] for name in AXES[: self.edges.columns.dim]])
        off = 2 * SINGLE * np.sqrt(2 * (axes**2).mean())
        found.__dict__["named"] = self.named | {name: self.named[name] + off for name in ("d", "r")}
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
