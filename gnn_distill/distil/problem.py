"""What symbolic regression sees: recorded edges of the test set, their inputs, and what is to be explained.

Shapes: S edges, U held-out edges, K inputs, D components of the target.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import torch

from gnn_distill.arrays import Array, spread
from gnn_distill.data.graphs import Subset, View
from gnn_distill.data.receivers import Receivers
from gnn_distill.distil.engines.engine import MIN_POINTS
from gnn_distill.distil.expressions.points import SAMPLES, WEIGHTS, Points, draw, weights
from gnn_distill.errors import InputError, check_choice, check_int
from gnn_distill.model.network import ParticleGNN
from gnn_distill.physics.laws import ForceLaw
from gnn_distill.physics.variables import DELTAS
from gnn_distill.read.probe import Pairs, designed, gauge_fixed, messages_at, pairs_of, pulled_back
from gnn_distill.read.recording import Recording

Index = npt.NDArray[np.int64]

TARGETS = ("pullback", "components", "components_raw")
HELD_OUT = 0.3
"""Share of the test trajectories that no search sees."""
UNSEEN = 3000
"""Most edges of those."""


@dataclass(frozen=True)
class Settings:
    """How equations are searched for; the keys of `symbolic` apart from its engine.

    Args:
        target: of `TARGETS` one or several; the first makes the law.
        points: recorded test edges that the engine sees, as many as there are at most.
        sample: `random`, or `stratified` over the decades of r.
        weights: `equal`, or `decades` of r weigh the same.
        probes: further points, at designed states inside the range of the data.
        joint: one equation along Δ that all components of the pull-back share.
        rollouts: test trajectories on which network and law are let run.
        jobs: components searched side by side, a thread each.

    Raises:
        InputError: a value that its key cannot have.
    """

    target: str | Sequence[str] = "pullback"
    points: int = 5000
    sample: str = "random"
    weights: str = "equal"
    probes: int = 0
    joint: bool = True
    rollouts: int = 12
    jobs: int = 1

    def __post_init__(self) -> None:
        if not isinstance(self.target, str | list | tuple):
            raise InputError("symbolic.target", self.target, f"name one or several of {', '.join(TARGETS)}")
        for one in self.targets:
            check_choice("symbolic.target", one, TARGETS)
        if not self.targets or len(set(self.targets)) < len(self.targets):
            raise InputError("symbolic.target", self.target, "name each target once")
        check_choice("symbolic.sample", self.sample, SAMPLES)
        check_choice("symbolic.weights", self.weights, WEIGHTS)
        for key, least in {"points": MIN_POINTS, "probes": 0, "rollouts": 0, "jobs": 1}.items():
            check_int(f"symbolic.{key}", getattr(self, key), least)

    @property
    def targets(self) -> tuple[str, ...]:
        """All targets, in order."""
        return (self.target,) if isinstance(self.target, str) else tuple(self.target)


@dataclass(frozen=True)
class Evidence:
    """All that a law may be found from.

    Attributes:
        model: the trained network.
        recording: what it says on the test set.
        test: its graphs; `recorded` those of them that the recording is of.
        validation: graphs on which constants are refitted.
        train: graphs that the network has seen.
        law: the true law, to compare with; None where it is unknown.
        whole: whether each trajectory lies in one part of the split; if not, graphs count one by one.
        spacing: time between two frames of a trajectory; None where it is unknown.
        step: time over which each label is the mean velocity, where labels are steps; else as `spacing`.
        order: of the equation of motion; where it is 1, accelerations are velocities.
        kernel: of the labels, see `gnn_distill.data.particles.ParticleData`; likewise `noise` and
            `estimates`.
        seed: everything random follows from it.
        individuals: their names, where they are told apart, see `gnn_distill.data.particles.ParticleData`;
            `known` and `optional` likewise.
        kinds: number of the kind of each, as far as laws differ between kinds, shape [K].
        reach: distance beyond which pairs do not act; None where none was found.
    """

    model: ParticleGNN
    recording: Recording
    test: Subset | Receivers
    validation: Subset | View | Receivers
    train: Subset | View | Receivers
    law: ForceLaw | None
    whole: bool = True
    spacing: float | None = None
    step: float | None = None
    order: int = 2
    kernel: tuple[float, ...] = ()
    noise: float = 0.0
    estimates: Mapping[str, tuple[float, float, float]] = field(default_factory=dict)
    seed: int = 0
    individuals: tuple[str, ...] = ()
    known: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    optional: bool = True
    kinds: Index | None = None
    reach: float | None = None

    @functools.cached_property
    def recorded(self) -> Subset | Receivers:
        """The test graphs whose edges `recording` has."""
        return self.test[torch.from_numpy(self.recording.recorded)]

    @property
    def kicked(self) -> bool:
        """Whether random forces act on particles that have inertia."""
        return "velocity_diffusion" in self.estimates


@dataclass(frozen=True)
class Problem:
    """A target with its points.

    Attributes:
        target: one of `TARGETS`.
        labels: of the components: axes for `pullback`, message dimensions else.
        names: the inputs.
        X: inputs, shape [S, K]; `unseen` those of held-out edges, shape [U, K].
        values: the components, shape [S, D]; `unseen_values` those of held-out edges, shape [U, D].
        weights: of the points, shape [S], or None.
        edges: numbers of the edges of the first rows of X; further rows are designed probes.
        mass_slope: power of the receiver's mass that was divided out of gauge-fixed components.
    """

    target: str
    labels: tuple[str | int, ...]
    names: tuple[str, ...]
    X: Array
    values: Array
    weights: Array | None
    unseen: Array
    unseen_values: Array
    edges: Index
    mass_slope: float | None = None

    def still(self, k: int) -> bool:
        """Whether component k is that of an axis along which nothing moves."""
        label = str(self.labels[k])
        return label in self.names and not self.X[:, self.names.index(label)].any()

    def points(self, k: int) -> tuple[Points, Points]:
        """Component k on seen and on held-out edges."""
        return (
            Points(self.X, self.values[:, k], np.ones(len(self.X)), self.names),
            Points(self.unseen, self.unseen_values[:, k], np.ones(len(self.unseen)), self.names),
        )


def problem(evidence: Evidence, settings: Settings, target: str) -> Problem:
    """The points of a target.

    Inputs that do not vary (masses all equal, charges absent) are left out.

    Raises:
        InputError: the messages are not finite, or the test set has too few edges.
    """
    recording, rng = evidence.recording, np.random.default_rng([evidence.seed, 2])
    seen, unseen = _drawn(evidence, settings, rng)
    edges = recording.edges
    x, dim = edges.variables, edges.delta.shape[1]
    labels: tuple[str | int, ...] = DELTAS[:dim] if target == "pullback" else recording.ranking.components
    if not labels:
        raise InputError("symbolic.target", target, "no message dimension is left: use target=pullback")
    every = np.concatenate([seen, unseen])
    values = _values(evidence, target, every)
    if bad := int(np.count_nonzero(~np.isfinite(values))):
        fix = "the network has diverged: lower profile.learning_rate and train again"
        raise InputError("messages", f"{bad} values NaN or infinite", fix)
    inputs, first = x[seen], values[: len(seen)]
    if settings.probes:
        extra_inputs, extra = _probed(evidence, settings.probes, target, every, rng)
        inputs, first = np.concatenate([inputs, extra_inputs]), np.concatenate([first, extra])
    varies = (np.ptp(inputs, axis=0) > 0) | np.isin(edges.names, DELTAS)  # an axis stays, even an empty one
    names = tuple(name for name, used in zip(edges.names, varies, strict=True) if used)
    counts = weights(inputs[:, edges.names.index("r")], settings.weights)
    held, rest = x[unseen][:, varies], values[len(seen) :]
    slope = recording.network.mass_slope if target == "components" else None
    return Problem(target, labels, names, inputs[:, varies], first, counts, held, rest, seen, slope)


def _drawn(evidence: Evidence, settings: Settings, rng: np.random.Generator) -> tuple[Index, Index]:
    """Edges to search on, and edges of other trajectories (of other graphs where those are shared)."""
    recording = evidence.recording
    graph = recording.edges.receiver // recording.n
    of = recording.trajectory if evidence.whole else graph
    if of.min(initial=0) == of.max(initial=0):
        of = graph
    units, first, of = np.unique(of, return_index=True, return_inverse=True)
    order = np.argsort(first, kind="stable")  # as they come in the test set, whatever their numbers are
    held = order[rng.permutation(len(units))[: max(1, round(HELD_OUT * len(units)))]]
    hidden = np.isin(of, held)
    r, how = recording.edges.r, settings.sample
    seen, unseen = np.flatnonzero(~hidden), np.flatnonzero(hidden)
    if len(seen) < MIN_POINTS:
        fix = f"the test set has fewer than {MIN_POINTS} edges to fit"
        raise InputError("symbolic.points", len(seen), fix)
    return seen[draw(r[seen], settings.points, how, rng)], unseen[draw(r[unseen], UNSEEN, how, rng)]


def _values(evidence: Evidence, target: str, edges: Index) -> Array:
    """The target on recorded edges, shape [S, D]."""
    recording = evidence.recording
    if target == "pullback":
        return recording.pullback[edges]
    if target == "components_raw":
        return recording.selected[edges]
    fixed = _fixed(evidence, pairs_of(evidence.model, evidence.recorded, edges))
    return fixed / spread(fixed)


def _fixed(evidence: Evidence, pairs: Pairs) -> Array:
    """The selected messages without offset and power of the receiver's mass, shape [S, K]."""
    recording = evidence.recording
    return gauge_fixed(evidence.model, pairs, recording.ranking.components, recording.network.mass_slope)


def _probed(
    evidence: Evidence, count: int, target: str, edges: Index, rng: np.random.Generator
) -> tuple[Array, Array]:
    """Inputs and values at designed states inside the range of the data, in the units of `edges`."""
    recording, model = evidence.recording, evidence.model
    real = pairs_of(model, evidence.recorded, edges)
    made = designed(real, count, rng)
    x = made.edges().variables
    if target == "pullback":
        return x, pulled_back(model, made)
    if target == "components":
        return x, _fixed(evidence, made) / spread(_fixed(evidence, real))
    known, found = (messages_at(model, p, recording.ranking.components) for p in (real, made))
    standard = recording.selected[edges]
    scale = standard.std(axis=0) / spread(known)
    return x, (found - known.mean(axis=0)) * scale + standard.mean(axis=0)
