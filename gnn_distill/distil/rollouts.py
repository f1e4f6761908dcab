"""Network and law, let go from the first frame of test trajectories."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from gnn_distill.build import Experiment
from gnn_distill.data import chain
from gnn_distill.forces import ForceLaw
from gnn_distill.simulate import Simulation
from gnn_distill.symbolic.module import LawModule
from gnn_distill.symbolic.rollout import Accelerations, Tracks, compare_rollouts, evaluations, trajectories

Array = npt.NDArray[np.float64]


def roll_out(experiment: Experiment, law: dict[str, Any]) -> tuple[dict[str, Array], dict[str, Any]] | None:
    """Arrays of `rollout.npz` and a summary for `law.json`.

    All trajectories are integrated together, fewer where there are many particles, for a bounded number of
    evaluations; a rollout that spends them ends early, which the summary and a line of text say.
    None where there is no trajectory to follow: single frames, an unknown time between them, edges that
    change with time, or further features that may do so.

    Args:
        experiment: with a trained network.
        law: the content of `law.json`.
    """
    tracks = _tracks(experiment)
    if tracks is None:
        return None
    frames, count = len(tracks.times), len(tracks.positions)
    first = experiment.datamodule.test.features[: count * frames : frames].double().numpy()
    dim, model = experiment.source.dim, experiment.module.model
    n = first.shape[1]
    module = LawModule.from_law(law, model.edges(n))

    def mover(predict: torch.nn.Module | Any, kind: torch.dtype) -> Accelerations:
        @torch.no_grad()
        def accelerations(x: Array, v: Array) -> Array:
            state = np.concatenate([x, v, first[..., 2 * dim :]], axis=-1)
            return np.asarray(predict(torch.from_numpy(state).to(kind)).double().numpy())

        return accelerations

    def network(x: Tensor) -> Tensor:
        return model(x)[0]

    model.eval()
    movers = {"network": mover(network, torch.float32), "law": mover(module, torch.float64)}
    limit = evaluations(count * len(model.edges(n)[0]))
    arrays, summary = compare_rollouts(movers, tracks, _law_of_energy(experiment, n), limit)
    for name in movers:
        if why := summary[name]["ended"]:
            until = f"{summary[name]['until']:.3g} of {summary['time']:.3g}"
            experiment.report.line(f"  rollout of the {name} ended at a time of {until}: {why}")
    return arrays, summary


def _law_of_energy(experiment: Experiment, n: int) -> ForceLaw | None:
    """The true law if particles interact as it says, all or along a chain; energies are summed like that."""
    law, joined = experiment.source.law, experiment.data.adjacency
    if law is None or joined is None:
        return law if law is None or law.graph == "complete" else None
    usual = chain(n) if law.graph == "chain" else ~np.eye(n, dtype=bool)
    return law if np.array_equal(joined, usual) else None


def _tracks(experiment: Experiment) -> Tracks | None:
    """The first test trajectories; None where there are none."""
    source, test, frames = experiment.source, experiment.datamodule.test, experiment.data.frames
    spacing = source.frame_spacing if isinstance(source, Simulation) else experiment.data.spacing
    dim = source.dim
    none = experiment.config["symbolic"]["rollouts"] == 0 or frames < 2 or len(test) < frames
    apart = experiment.config["split"] != "trajectories" or test.edge_mask is not None
    if none or apart or spacing is None or test.features.shape[-1] > 2 * dim + 2:
        return None
    edges = len(experiment.module.model.edges(test.features.shape[1])[0])
    count = min(experiment.config["symbolic"]["rollouts"], len(test) // frames, trajectories(edges))
    x: Array = test.features[: count * frames].double().numpy()
    x = x.reshape(count, frames, *x.shape[1:])
    times = float(spacing) * np.arange(frames)
    positions, velocities = x[..., :dim], x[..., dim : 2 * dim]
    return Tracks(
        np.asarray(times, dtype=np.float64),
        positions,
        velocities,
        x[:, 0, :, 2 * dim + 1],
        x[:, 0, :, 2 * dim],
    )
