"""Recorded messages of a trained network on the test set, beside the truth.

Shapes: G graphs, n particles per graph, E edges of all graphs sorted by receiver, M message dims,
D space dims. Index 1 is the receiver, 2 the sender, Δ = x_receiver − x_sender.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import numpy.typing as npt
from torch import Tensor

from gnn_distill.arrays import Array
from gnn_distill.physics.equation import as_equation
from gnn_distill.physics.laws import ForceLaw
from gnn_distill.physics.variables import DELTAS, PROPERTIES, RELATIVE, Columns
from gnn_distill.read.importance import Ranking


@dataclass(frozen=True)
class Edges:
    """What is known of each edge.

    Attributes:
        columns: of the features that the edges were read from.
        delta: Δ, shape [E, D]; `relative` velocities w = v₁ − v₂ likewise.
        r: softened distance d + ε, shape [E].
        properties: masses `m1` and `m2`, charges `q1` and `q2`, and the two values of each further column,
            by the names they have in equations, each [E].
        receiver: number of the receiving node, shape [E], ascending.
        force: exact force on the receiver, shape [E, D], or None where the law is unknown.
        individuals: numbers of receivers and of senders, each [E]; None where they are not told apart.
        sender: number of the sending node, shape [E]; None where it is unknown.
    """

    columns: Columns
    delta: Array
    relative: Array
    r: Array
    properties: dict[str, Array]
    receiver: npt.NDArray[np.int64]
    force: Array | None
    individuals: tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]] | None = None
    sender: npt.NDArray[np.int64] | None = None

    @property
    def m1(self) -> Array:
        """Masses of the receivers, shape [E]."""
        return self.properties["m1"]

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the columns of `variables`."""
        return self.columns.pair_names

    @property
    def variables(self) -> Array:
        """What symbolic regression reads: Δ, r and all properties, shape [E, D + 5 + 2 K]."""
        known = (self.properties[name] for name in self.names if name in self.properties)
        return np.column_stack([self.delta, self.r, *known])

    @property
    def named(self) -> dict[str, Array]:
        """All that a law of pairs may read, by name, each of shape [E]."""
        d, dim = np.linalg.norm(self.delta, axis=1), self.columns.dim
        known = dict(zip((*DELTAS[:dim], *RELATIVE[:dim]), (*self.delta.T, *self.relative.T), strict=True))
        drawing_apart = (self.delta * self.relative).sum(axis=1) / np.where(d > 0, d, 1.0)
        speed = np.linalg.norm(self.relative, axis=1)
        return known | {"r": self.r, "d": d, "w": speed, "uw": drawing_apart} | self.properties

    def where(self, chosen: npt.NDArray[np.bool_]) -> Edges:
        """The edges for which `chosen` [E] holds."""
        kept = {name: values[chosen] for name, values in self.properties.items()}
        force = None if self.force is None else self.force[chosen]
        delta, relative = self.delta[chosen], self.relative[chosen]
        both = None
        if self.individuals is not None:
            both = self.individuals[0][chosen], self.individuals[1][chosen]
        receiver, sender = self.receiver[chosen], None if self.sender is None else self.sender[chosen]
        return Edges(self.columns, delta, relative, self.r[chosen], kept, receiver, force, both, sender)

    @property
    def acceleration(self) -> Array | None:
        """Exact contribution of the edge to its receiver's acceleration, F / m1, shape [E, D]."""
        return None if self.force is None else self.force / self.m1[:, None]


@dataclass(frozen=True)
class NetworkGauge:
    """The gauge as the network itself shows it.

    Attributes:
        message_slope: d log|e − h| / d log m_i of each probed edge, shape [E']; NaN where masses are alike.
        pullback_slope: the same of its contribution to the acceleration, shape [E'].
        graph: number of the graph of each probed edge, shape [E'].
        scale: per feature of the receiver, by how much the scale of A changes with it: median
            |Δ log(|e − h| / |m_i c|)| when the feature is that of another receiver.
        offset: per feature, the root mean square change of h / √2, in standard deviations of the messages.
    """

    message_slope: Array
    pullback_slope: Array
    graph: npt.NDArray[np.int64]
    scale: dict[str, float]
    offset: dict[str, float]

    @property
    def mass_slope(self) -> float:
        """Median of `message_slope`; zero where masses are alike."""
        known = self.message_slope[np.isfinite(self.message_slope)]
        return float(np.median(known)) if len(known) else 0.0

    @property
    def powers(self) -> Array:
        """The power p of each probed edge, shape [E']."""
        return 1.0 + self.pullback_slope - self.message_slope


@dataclass(frozen=True)
class Field:
    """What one typical sender does to one typical receiver, over a plane of positions.

    Attributes:
        delta: Δ = x_receiver − x_sender, shape [S, D].
        pullback: learned contribution to the receiver's acceleration, shape [S, D].
        messages: selected message components in their standard deviations, offset removed, shape [S, K].
        m1: mass of the receiver; `m2` of the sender; `q1`, `q2` the charges: medians of the data.
    """

    delta: Array
    pullback: Array
    messages: Array
    m1: float
    m2: float
    q1: float
    q2: float


@dataclass(frozen=True)
class Sample:
    """Edges of a random sample of whole graphs, with all that they send.

    Attributes:
        edges: their numbers among all edges, shape [E'].
        messages: as the network sends them, all dims, shape [E', M].
        offset: h(v_i) of the selected messages in their standardised units: their mean over rotations of Δ,
            shape [E', D].
    """

    edges: npt.NDArray[np.int64]
    messages: npt.NDArray[np.float32]
    offset: Array


@dataclass(frozen=True)
class Recording:
    """What a trained network does on the test set.

    Attributes:
        recorded: numbers of the test graphs that the edges are of, ascending, shape [G].
        edges: features of all E edges.
        trajectory: number of the trajectory of each edge, shape [E].
        ranking: the importance of message dimensions, and the D that were selected.
        spectrum: eigenvalues of the messages' covariance, largest first, shape [M].
        selected: messages of the selected dimensions, standardised over all edges, shape [E, D].
        pullback: contributions c_ij of each edge to the acceleration, shape [E, D].
        pullback_kind: `share` of the whole prediction, `path` with a path-averaged Jacobian, `odd` part
            in Δ, or `pair` vectors alone; see `gnn_distill.read.pullback`.
        path_difference: median |c − c'| / |c| with c' the share whose Jacobian is averaged along the path;
            zero where φv is affine in the summed message; on the sample.
        sample: some edges with all their messages.
        network: the gauge as φe and φv show it, without a law.
        field: the force field of one typical particle around another.
        parts: further arrays of the sample, of a network that says what pairs and single particles do:
            `function_u`, `function_w`, `function_t`, each [E'], and positions, velocities and one-body
            contributions of its particles, `own_x`, `own_v`, `own_h`, each [N', D], beside their properties.
        mae: mean absolute error over nodes and components of the whole test set; `mae_per_graph` n·D times
            larger. `recorded_mae` is that of the recorded graphs, on which laws are compared with it.
        distances: least distance of a pair in the whole test set that is not zero, and the largest; ∞ and 0
            if there is none.
        graphs: number of test graphs.
        n: particles per graph.
    """

    recorded: npt.NDArray[np.int64]
    edges: Edges
    trajectory: npt.NDArray[np.int64]
    ranking: Ranking
    spectrum: Array
    selected: Array
    pullback: Array
    pullback_kind: str
    path_difference: float
    sample: Sample
    network: NetworkGauge
    field: Field
    mae: float
    recorded_mae: float
    distances: tuple[float, float]
    graphs: int
    n: int
    parts: Mapping[str, Array] = dataclasses.field(default_factory=dict)

    def arrays(self) -> dict[str, npt.NDArray[Any]]:
        """The arrays of `messages.npz`: the random sample of edges with everything known of them."""
        e, here = self.edges, self.sample.edges
        columns = {"delta": e.delta[here], "r": e.r[here], "receiver": e.receiver[here]}
        columns |= {"d": np.linalg.norm(e.delta[here], axis=1), **self.parts}
        columns |= {name: values[here] for name, values in e.properties.items()}
        if e.individuals is not None:
            columns |= {f"individual{k}": who[here] for k, who in enumerate(e.individuals, 1)}
        if e.force is not None:
            columns["force"] = e.force[here]
        return columns | {
            "variables": np.array(e.names),
            "messages": self.sample.messages,
            "selected": self.selected[here],
            "pullback": self.pullback[here],
            "offset": self.sample.offset,
            "trajectory": self.trajectory[here],
            "components": np.array(self.ranking.components),
            "importance": self.ranking.importance,
            "std": self.ranking.measures["std"],
            "mask": self.ranking.mask,
            **{f"field_{f.name}": np.asarray(getattr(self.field, f.name)) for f in fields(self.field)},
        }

    @property
    def mae_per_graph(self) -> float:
        """Sum of absolute errors over a graph's nodes and components, averaged over graphs."""
        return self.mae * self.n * self.pullback.shape[1]


def edge_features(
    x: Tensor, graph: tuple[Tensor, Tensor], columns: Columns, law: ForceLaw | None = None
) -> Edges:
    """All edges of graphs that share their receivers and senders.

    Args:
        x: features, shape [G, n, F].
        graph: receivers and senders of one graph, each [E'].
        columns: where the features stand.
        law: the true law, for the force; None where it is unknown.
    """
    graphs, n = x.shape[:2]
    features = x.double().cpu().numpy()
    receiver, sender = (part.cpu().numpy() for part in graph)
    one, two = (features[:, side].reshape(graphs * len(side), -1) for side in (receiver, sender))
    delta = columns.separation(one, two)
    relative = one[:, columns.velocity] - two[:, columns.velocity]
    known = columns.properties(one, 1) | columns.properties(two, 2) | columns.between(one, two)
    first = np.arange(graphs)[:, None] * n
    numbers = [(first + side).reshape(-1) for side in (receiver, sender)]
    properties = (known[name] for name in PROPERTIES)
    force = None if law is None else as_equation(law).force(delta, relative, *properties)
    softened = np.linalg.norm(delta, axis=1) + columns.softening
    both = None
    if columns.identity:
        both = one[:, columns.individual].astype(np.int64), two[:, columns.individual].astype(np.int64)
    return Edges(columns, delta, relative, softened, known, numbers[0], force, both, numbers[1])
