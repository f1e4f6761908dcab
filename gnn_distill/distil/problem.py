"""What symbolic regression sees: edges of the test set, their inputs, and what is to be explained.

Shapes: S edges, U held-out edges, K inputs, D components of the target.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from gnn_distill.arrays import Array
from gnn_distill.distil.engines.engine import MIN_POINTS
from gnn_distill.distil.expressions.points import Points, draw, weights
from gnn_distill.errors import InputError
from gnn_distill.physics.variables import SPACE
from gnn_distill.read.probes import designed, gauge_fixed, messages_at, pairs_of, pulled_back

if TYPE_CHECKING:
    from gnn_distill.pipeline.build import Experiment

Index = npt.NDArray[np.int64]

__all__ = ["TARGETS", "Problem", "problem", "wanted"]

HELD_OUT = 0.3
"""Share of the test trajectories that no search sees."""
UNSEEN = 3000
"""Most edges of those."""


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
        parts = ((self.X, self.values), (self.unseen, self.unseen_values))
        seen, unseen = (Points(x, y[:, k], np.ones(len(x)), self.names) for x, y in parts)
        return seen, unseen


def wanted(setting: str | Sequence[str]) -> tuple[str, ...]:
    """The targets of `symbolic.target`, one or several; the first makes the law."""
    return (setting,) if isinstance(setting, str) else tuple(setting)


def problem(experiment: Experiment, target: str) -> Problem:
    """The points of a target.

    Inputs that do not vary (masses all equal, charges absent) are left out.

    Raises:
        InputError: the messages are not finite, or the test set has too few edges.
    """
    settings, recording = experiment.config["symbolic"], experiment.recording
    rng = np.random.default_rng([experiment.config["seed"], 2])
    seen, unseen = _drawn(experiment, rng)
    edges = recording.edges
    x, dim = edges.variables, edges.delta.shape[1]
    labels: tuple[str | int, ...] = SPACE[:dim] if target == "pullback" else recording.components
    if not labels:
        raise InputError("symbolic.target", target, "no message dimension is left: use target=pullback")
    every = np.concatenate([seen, unseen])
    values, slope = _values(experiment, target, every)
    if bad := int(np.count_nonzero(~np.isfinite(values))):
        fix = "the network has diverged: lower profile.learning_rate and train again"
        raise InputError("messages", f"{bad} values NaN or infinite", fix)
    inputs, first = x[seen], values[: len(seen)]
    if settings["probes"]:
        extra_inputs, extra = _probed(experiment, target, every, rng)
        inputs, first = np.concatenate([inputs, extra_inputs]), np.concatenate([first, extra])
    varies = (np.ptp(inputs, axis=0) > 0) | np.isin(edges.names, SPACE)  # an axis stays, even an empty one
    names = tuple(name for name, used in zip(edges.names, varies, strict=True) if used)
    counts = weights(inputs[:, edges.names.index("r")], settings["weights"])
    held, rest = x[unseen][:, varies], values[len(seen) :]
    return Problem(target, labels, names, inputs[:, varies], first, counts, held, rest, seen, slope)


def _drawn(experiment: Experiment, rng: np.random.Generator) -> tuple[Index, Index]:
    """Edges to search on, and edges of other trajectories (of other graphs where those are shared)."""
    settings, recording = experiment.config["symbolic"], experiment.recording
    unit = recording.n * (experiment.data.frames if experiment.config["split"] == "trajectories" else 1)
    of = recording.edges.receiver // unit
    units = np.unique(of)
    if len(units) < 2:
        unit, of = recording.n, recording.edges.receiver // recording.n
        units = np.unique(of)
    held = rng.permutation(units)[: max(1, round(HELD_OUT * len(units)))]
    hidden = np.isin(of, held)
    r, how = recording.edges.r, settings["sample"]
    seen = np.flatnonzero(~hidden)
    if len(seen) < MIN_POINTS:
        raise InputError(
            "symbolic.points", len(seen), f"the test set has fewer than {MIN_POINTS} edges to fit"
        )
    unseen = np.flatnonzero(hidden)
    return seen[draw(r[seen], settings["points"], how, rng)], unseen[draw(r[unseen], UNSEEN, how, rng)]


def _values(experiment: Experiment, target: str, edges: Index) -> tuple[Array, float | None]:
    recording, model = experiment.recording, experiment.module.model
    if target == "pullback":
        return recording.pullback[edges], None
    if target == "components_raw":
        return recording.selected[edges], None
    fixed, slope = gauge_fixed(
        model, pairs_of(model, experiment.datamodule.test, edges), recording.components
    )
    return fixed / _spread(fixed), slope


def _probed(
    experiment: Experiment, target: str, edges: Index, rng: np.random.Generator
) -> tuple[Array, Array]:
    """Inputs and values at designed states inside the range of the data, in the units of `edges`."""
    recording, model = experiment.recording, experiment.module.model
    real = pairs_of(model, experiment.datamodule.test, edges)
    pairs = designed(real, model.dim, experiment.config["symbolic"]["probes"], rng)
    x = pairs.edges(model.dim).variables
    if target == "pullback":
        return x, pulled_back(model, pairs)
    if target == "components":
        known, slope = gauge_fixed(model, real, recording.components)
        return x, gauge_fixed(model, pairs, recording.components, slope)[0] / _spread(known)
    known, made = (messages_at(model, p.one, p.two, recording.components).numpy() for p in (real, pairs))
    standard = recording.selected[edges]
    scale = standard.std(axis=0) / _spread(known)
    return x, (made - known.mean(axis=0)) * scale + standard.mean(axis=0)


def _spread(values: Array) -> Array:
    """Standard deviation of each column, one where a column is constant."""
    spread = values.std(axis=0)
    return np.where(spread > 0, spread, 1.0)


TARGETS = ("pullback", "components", "components_raw")
