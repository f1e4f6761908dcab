"""Trajectories of the network and of the distilled law from the same initial states, against the truth.

Shapes: S trajectories, T frames, n particles, D space dims.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import torch
from scipy.integrate import solve_ivp
from torch import Tensor

from gnn_distill.arrays import Array
from gnn_distill.data.graphs import Subset
from gnn_distill.data.particles import chain
from gnn_distill.data.receivers import Receivers
from gnn_distill.distil.law.closed_form import Law
from gnn_distill.distil.law.energy import Conserved
from gnn_distill.distil.law.module import LawModule
from gnn_distill.distil.problem import Evidence
from gnn_distill.physics.energy import Pairs, conserves_energy, drift, energy
from gnn_distill.physics.laws import ForceLaw

Accelerations = Callable[[Array, Array], Array]
"""(positions [S, n, D], velocities [S, n, D]) → accelerations [S, n, D], in first order velocities."""

Drift = Callable[[Array, Array], Array]
"""(positions, velocities), each [S, T, n, D] → relative change of the energy [S, T]."""

TOLERANCE = 1e-6
EVALUATIONS = 24_000
"""Accelerations that a rollout may ask for, six a step; one that needs more ends where it is."""
ENOUGH = 5_000
"""What a good law of twelve trajectories needs, twice over."""
STEPS = 10
"""Random steps between two frames."""
EDGES = 10_000_000
"""Edges of all those evaluations together: what bounds the time where there are many particles."""


@dataclass(frozen=True)
class Tracks:
    """True trajectories.

    Attributes:
        times: of the frames, shape [T].
        positions: shape [S, T, n, D], in a periodic box without jumps at its edges; `velocities` likewise.
        masses: shape [S, n]; `charges` likewise.
        pairs: which particles interact, for energies.
        order: of the equation of motion; in one of first order velocities count for nothing.
    """

    times: Array
    positions: Array
    velocities: Array
    masses: Array
    charges: Array
    pairs: Pairs
    order: int = 2

    def drift(self, law: ForceLaw, positions: Array, velocities: Array) -> Array:
        """Relative change of the energy along a rollout of these trajectories, shape [S, T]."""
        found = energy(law, positions, velocities, self.masses[:, None], self.charges[:, None], self.pairs)
        return drift(found, found[:, :1])


class Course(NamedTuple):
    """Where a rollout led.

    Attributes:
        positions: at the frames, shape [S, T, n, D], NaN from where it ended; `velocities` likewise, all NaN
            in first order.
        ended: why it ended before the last frame; None where it did not.
    """

    positions: Array
    velocities: Array
    ended: str | None


def trajectories(edges: int) -> int:
    """How many trajectories of so many edges each may have `ENOUGH` evaluations together, at least one."""
    return max(1, EDGES // (ENOUGH * max(1, edges)))


def evaluations(edges: int) -> int:
    """How many accelerations a rollout may ask for if each takes so many edges."""
    return min(EVALUATIONS, EDGES // max(1, edges))


def let_run(accelerations: Accelerations, tracks: Tracks, limit: int = EVALUATIONS) -> Course:
    """Integrate from the first frame of `tracks` with an adaptive Runge–Kutta pair.

    It ends at the last frame, where a step fails since accelerations are not finite or too steep, or
    where `limit` accelerations have been asked for, rejected steps and the first one's size included.
    """
    states = np.stack([tracks.positions[:, 0], tracks.velocities[:, 0]])[: tracks.order]
    asked, times, shape = 0, tracks.times, states.shape

    def derivative(_: float, y: Array) -> Array:
        nonlocal asked
        asked += 1
        if asked > limit:
            return np.full_like(y, np.nan)  # a step of NaN fails, and the solver returns what it has reached
        x, *v = y.reshape(shape)
        changes = accelerations(x, v[0] if v else np.zeros_like(x))
        return np.concatenate([part.ravel() for part in (*v, changes)])

    found = np.full((len(times), states.size), np.nan)
    found[0] = states.ravel()
    ended: str | None = "a step failed"
    with np.errstate(all="ignore"):
        # from a derivative that is not finite the solver would look for a first step for ever
        if np.isfinite(derivative(times[0], found[0])).all():
            span = float(times[0]), float(times[-1])
            solved = solve_ivp(derivative, span, found[0], t_eval=times, rtol=TOLERANCE, atol=TOLERANCE)
            if len(solved.t):  # not even one frame where the first step fails
                found[: len(solved.t)] = solved.y.T
            ended = None if solved.success else ended
    if asked > limit:
        ended = f"{limit} evaluations were spent"
    x, *v = found.reshape(len(times), *shape).swapaxes(0, 1).swapaxes(1, 2)
    return Course(x, v[0] if v else np.full_like(x, np.nan), ended)


@dataclass(frozen=True)
class Diffusion:
    """Random steps of particles whose motion is of first order.

    Attributes:
        constant: D; a component's steps have the variance 2 D dt.
        seed: of the steps.
    """

    constant: float
    seed: int = 0

    def let_run(self, velocities: Accelerations, tracks: Tracks, limit: int = EVALUATIONS) -> Course:
        """Steps of Euler and Maruyama from the first frame of `tracks`, some to a frame, within the limit."""
        frames = len(tracks.times)
        each = min(STEPS, max(1, limit // max(1, frames - 1)))
        found, rng = np.full_like(tracks.positions, np.nan), np.random.default_rng([self.seed, 4])
        x = found[:, 0] = tracks.positions[:, 0]
        still, reached = np.zeros_like(x), min(frames, limit // each + 1)
        for frame in range(1, reached):
            dt = (tracks.times[frame] - tracks.times[frame - 1]) / each
            for _ in range(each):
                kicks = np.sqrt(2 * self.constant * dt) * rng.standard_normal(x.shape)
                x = x + velocities(x, still) * dt + kicks
            found[:, frame] = x
        ended = None if reached == frames else f"{limit} evaluations were spent"
        if not np.isfinite(found[:, :reached]).all():
            ended = "a step failed"
        return Course(found, np.full_like(found, np.nan), ended)


def spread(positions: Array) -> Array:
    """Root mean square displacement of the particles since the first frame, shape [S, T]."""
    moved = ((positions - positions[:, :1]) ** 2).sum(axis=-1)
    return np.asarray(np.sqrt(moved.mean(axis=-1)), dtype=np.float64)


def position_error(positions: Array, tracks: Tracks) -> Array:
    """Root mean square distance of the particles from where they really are, shape [S, T]."""
    apart = ((positions - tracks.positions) ** 2).sum(axis=-1)
    return np.asarray(np.sqrt(apart.mean(axis=-1)), dtype=np.float64)


def drift_under(law: ForceLaw, tracks: Tracks) -> Drift | None:
    """Drift of the energy under a known law; None where that does not conserve it."""
    return functools.partial(tracks.drift, law) if conserves_energy(law) else None


def compare_rollouts(
    movers: dict[str, Accelerations],
    tracks: Tracks,
    drift: Drift | None,
    limit: int = EVALUATIONS,
    diffusion: Diffusion | None = None,
) -> tuple[dict[str, Array], dict[str, Any]]:
    """Roll out each of `movers` and compare it with the truth.

    Args:
        movers: by name, such as `network` and `law`.
        tracks: the truth.
        drift: of the energy, which is left out where it is unknown or not conserved.
        limit: accelerations that each rollout may ask for.
        diffusion: random steps beside what the movers say, if there are any. No path is foretold then, and
            what is compared is how far particles get.

    Returns:
        Arrays for `rollout.npz`: times, and for each name positions, error and drift, or spread; and a
        summary: medians over trajectories at the last frame that was reached, its time, and why it was the
        last. `spread` is the root mean square displacement over all frames as a share of the true one.
    """
    arrays: dict[str, Array] = {"times": tracks.times, "true_positions": tracks.positions}
    if drift is not None:
        arrays["true_drift"] = drift(tracks.positions, tracks.velocities)
    summary: dict[str, Any] = {"trajectories": len(tracks.positions), "time": float(np.ptp(tracks.times))}
    for name, accelerations in movers.items():
        x, v, ended = (diffusion.let_run if diffusion else let_run)(accelerations, tracks, limit)
        error = position_error(x, tracks)
        arrays |= {f"{name}_positions": x, f"{name}_error": error}
        last = int(np.flatnonzero(np.isfinite(error).any(axis=0))[-1])
        until = float(tracks.times[last] - tracks.times[0])
        summary[name] = {"position_error": _median(error[:, last]), "until": until, "ended": ended}
        if diffusion is not None:
            found, true = (spread(positions[:, : last + 1]) for positions in (x, tracks.positions))
            arrays |= {f"{name}_spread": spread(x), "true_spread": spread(tracks.positions)}
            share = np.sqrt((found**2).mean(axis=1) / (true**2).mean(axis=1))
            summary[name] |= {"position_error": None, "spread": _median(share)}
        if drift is not None:
            arrays[f"{name}_drift"] = drift(x, v)
            summary[name]["energy_drift"] = _median(arrays[f"{name}_drift"][:, last])
    return arrays, summary


def _median(values: Array) -> float:
    known = values[np.isfinite(values)]
    return float(np.median(known)) if len(known) else float("nan")


def roll_out(
    evidence: Evidence,
    law: dict[str, Any],
    count: int,
    say: Callable[[str], None] = lambda line: None,
    limit: Callable[[int], int] = evaluations,
) -> tuple[dict[str, Array], dict[str, Any]] | None:
    """Let network and law go from the first frames of test trajectories.

    All trajectories are integrated together, fewer where there are many particles, for a bounded number of
    evaluations; a rollout that spends them ends early, which the summary and a line of text say.

    Args:
        evidence: the network and its test set.
        law: the content of `law.json`.
        count: trajectories wanted.
        say: prints one line of text.
        limit: accelerations that a rollout of so many edges may ask for.

    Returns:
        Arrays of `rollout.npz` and a summary for `law.json`; None where there is no trajectory to follow:
        single frames, an unknown time between them, or edges, masses, charges or further columns that change
        with time.
    """
    truth = _truth(evidence, count)
    if isinstance(evidence.test, Receivers):
        say("  no rollouts: particles come and go, or their neighbours are searched anew in each frame")
    if truth is None or isinstance(evidence.test, Receivers):
        return None
    test, model, columns = evidence.test, evidence.model, evidence.test.columns
    frames, count = len(truth.times), len(truth.positions)
    first = test.features[: count * frames : frames].double().numpy()
    n = first.shape[1]

    home = _home(test)

    def mover(predict: Callable[[Tensor], Tensor], kind: torch.dtype) -> Accelerations:
        @torch.no_grad()
        def accelerations(x: Array, v: Array) -> Array:
            state = np.concatenate([home(x), v, first[..., columns.unmoved]], axis=-1)
            return np.asarray(predict(torch.from_numpy(state).to(kind)).double().numpy())

        return accelerations

    model.eval()
    module = LawModule.from_law(law, model.edges(n))
    joined = None if test.edge_mask is None else test.edge_mask[: count * frames : frames]
    movers = {
        "network": mover(lambda x: model(x, edge_mask=joined)[0], torch.float32),
        "law": mover(lambda x: module(x, joined), torch.float64),
    }
    drift, evaluations = _drift(evidence, law, truth, first), limit(count * len(model.edges(n)[0]))
    constant = (law.get("estimates") or {}).get("diffusion", (0.0,))[0] if evidence.order == 1 else 0.0
    diffusion = Diffusion(constant, evidence.seed) if constant > 0 else None
    arrays, summary = compare_rollouts(movers, truth, drift, evaluations, diffusion)
    for name in movers:
        if why := summary[name]["ended"]:
            until = f"{summary[name]['until']:.3g} of {summary['time']:.3g}"
            say(f"  rollout of the {name} ended at a time of {until}: {why}")
    return arrays, summary


def _drift(evidence: Evidence, content: Mapping[str, Any], tracks: Tracks, first: Array) -> Drift | None:
    """Drift of the energy under the true law, or where that is unknown under the distilled one.

    None where it is not conserved, as in first order, or where particles do not interact as the true law
    says, or only one way, or not alike in all runs.
    The true law's is relative to max(1, |E|), the distilled one's to the largest kinetic energy of the truth.

    Args:
        evidence: the network and its test set.
        content: of `law.json`.
        tracks: the truth.
        first: features of its first frames, shape [S, n, F].
    """
    if evidence.order == 1 or evidence.test.edge_mask is not None:
        return None
    n, law, columns = first.shape[1], evidence.law, evidence.test.columns
    joined = np.zeros((n, n), dtype=bool)
    joined[tuple(part.numpy() for part in evidence.model.edges(n))] = True
    if law is not None:
        usual = chain(n) if law.graph == "chain" else ~np.eye(n, dtype=bool)
        return drift_under(law, tracks) if np.array_equal(joined, usual) else None
    conserved = Conserved.of(Law.of(content), columns) if np.array_equal(joined, joined.T) else None
    if conserved is None:
        return None

    def features(x: Array, v: Array) -> Array:
        constant = first[:, None, :, columns.unmoved]
        return np.concatenate([x, v, np.broadcast_to(constant, (*x.shape[:3], constant.shape[-1]))], axis=-1)

    kinetic = conserved.kinetic(features(tracks.positions, tracks.velocities)).max(axis=1, keepdims=True)
    scale = np.maximum(kinetic, np.finfo(float).tiny)
    return lambda x, v: conserved.drift(features(x, v), tracks.pairs) / scale


def _truth(evidence: Evidence, wanted: int) -> Tracks | None:
    """The first test trajectories; None where there are none."""
    test, columns = evidence.test, evidence.test.columns
    if isinstance(test, Receivers) or columns.in_cells:
        return None
    of = test.trajectory
    frames = 1 if of is None else int((of == of[0]).sum())
    followed = evidence.whole and wanted > 0 and frames > 1
    if not followed or evidence.spacing is None:
        return None
    n = test.features.shape[1]
    receiver, sender = (part.numpy() for part in evidence.model.edges(n))
    count = min(wanted, len(test) // frames, trajectories(len(receiver)))
    x: Array = test.features[: count * frames].double().numpy()
    x = x.reshape(count, frames, *x.shape[1:])
    if (x[..., columns.constant] != x[:, :1, :, columns.constant]).any():
        return None
    if test.edge_mask is not None:
        mask = test.edge_mask[: count * frames].unflatten(0, (count, frames))
        if (mask != mask[:, :1]).any():
            return None
    once = receiver < sender
    places = x[..., columns.position]
    for k, edge in enumerate(columns.box or ()):
        if edge is not None:
            places[..., k] = np.unwrap(places[..., k], axis=1, period=edge)
    return Tracks(
        evidence.spacing * np.arange(frames, dtype=np.float64),
        places,
        x[..., columns.velocity],
        x[:, 0, :, columns.mass],
        x[:, 0, :, columns.charge],
        (receiver[once], sender[once]),
        evidence.order,
    )


def _home(graphs: Subset) -> Callable[[Array], Array]:
    """What shifts positions [..., D] by whole edges of the box to where those of the graphs lie.

    Nothing is shifted along an axis on which the graphs' own positions go beyond one box.
    """
    if graphs.box is None:
        return lambda x: x
    x = graphs.features[..., graphs.columns.position].double().flatten(0, 1).numpy()
    low, span, edges = x.min(axis=0), np.ptp(x, axis=0), np.array(graphs.box, dtype=np.float64)
    held = np.isfinite(edges) & (span <= edges)

    def shifted(x: Array) -> Array:
        turns = np.floor((x[..., held] - low[held]) / edges[held])
        moved = x.copy()
        moved[..., held] -= turns * edges[held]
        return moved

    return shifted
