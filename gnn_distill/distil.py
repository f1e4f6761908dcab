"""From recorded messages to equations, verdicts and one law."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import joblib
import numpy as np
import torch

from gnn_distill.analysis import uncentred
from gnn_distill.build import Experiment
from gnn_distill.data import Subset
from gnn_distill.messages import Edges, edge_features
from gnn_distill.symbolic.closed_form import Law, Nodes, compare, fit_one_body, from_messages, refit
from gnn_distill.symbolic.front import Front
from gnn_distill.symbolic.verdict import Verdict, data_ranges, judge

VALIDATION_GRAPHS = 2000

Verdicts = Sequence[Verdict] | None


def search(experiment: Experiment) -> list[Front]:
    """One front per component of the symbolic target, on random test edges.

    Inputs that do not vary (masses all equal, charges absent) are left out.
    """
    settings, seed = experiment.config["symbolic"], experiment.config["seed"]
    recording = experiment.recording
    target = recording.pullback if settings["target"] == "pullback" else recording.selected
    edges = np.random.default_rng([seed, 2]).permutation(recording.sample)[: settings["points"]]
    edges.sort()
    x, y = recording.edges.variables[edges], target[edges]
    varies = np.ptp(x, axis=0) > 0
    names = [name for name, used in zip(recording.edges.names, varies, strict=True) if used]
    fit = joblib.delayed(experiment.engine.fit)
    jobs = (fit(x[:, varies], y[:, k], names, seed=seed + k) for k in range(y.shape[1]))
    return list(joblib.Parallel(n_jobs=min(settings["jobs"], y.shape[1]))(jobs))


def judged(experiment: Experiment, fronts: Sequence[Front]) -> Verdicts:
    """A verdict per component; None where the true law is unknown."""
    law, edges = experiment.source.law, experiment.recording.edges
    if law is None:
        return None
    ranges = data_ranges(edges.variables, edges.names)
    target = experiment.config["symbolic"]["target"]
    return judge(fronts, law, edges.names, dim=experiment.source.dim, target=target, ranges=ranges)


def equations(experiment: Experiment, fronts: Sequence[Front], verdicts: Verdicts) -> dict[str, Any]:
    """The content of `equations.json`."""
    recording, target = experiment.recording, experiment.config["symbolic"]["target"]
    labels = recording.edges.names if target == "pullback" else recording.components
    components = []
    for k, front in enumerate(fronts):
        verdict = None if verdicts is None else verdicts[k].to_dict()
        picks = {"score_pick": front.score_pick, "choice": front.choice}
        components.append(
            {"dim": labels[k], "front": front.to_dict()["equations"], **picks, "verdict": verdict}
        )
    names = recording.edges.names
    return {"engine": experiment.engine.name, "target": target, "variables": names, "components": components}


def closed_form(experiment: Experiment, fronts: Sequence[Front], verdicts: Verdicts) -> dict[str, Any] | None:
    """The content of `law.json`: recovered equations, or the fronts' choices, with refitted constants.

    None where raw message components cannot be turned into accelerations: the force is unknown, or they do
    not span it.
    """
    recording = experiment.recording
    recovered = [None] * len(fronts) if verdicts is None else [v.equation for v in verdicts]
    picked = [f.choice if k is None else k for f, k in zip(fronts, recovered, strict=True)]
    expressions = [f.equations[k].expression for f, k in zip(fronts, picked, strict=True)]
    law: Law | None = Law(tuple(expressions))
    if experiment.config["symbolic"]["target"] == "components":
        known = recording.edges.force is not None
        law = from_messages(expressions, uncentred(recording)) if known else None
    if law is None:
        return None
    validation = experiment.datamodule.validation
    generator = torch.Generator().manual_seed(experiment.config["seed"])
    some = validation[torch.randperm(len(validation), generator=generator)[:VALIDATION_GRAPHS]]
    edges, nodes = edges_of(experiment, some), nodes_of(some)
    if recording.pullback_kind == "odd":
        law = fit_one_body(law, edges, nodes)
    law = refit(law, edges, nodes)
    if recording.pullback_kind == "odd":
        law = fit_one_body(law, edges, nodes)
    compared = compare(law, recording.edges, nodes_of(experiment.datamodule.test), recording.mae)
    return {"equations": picked, **compared}


def edges_of(experiment: Experiment, graphs: Subset) -> Edges:
    """The edges of some graphs, without the true force."""
    graph = experiment.module.model.edges(graphs.features.shape[1])
    edges = edge_features(graphs.features, graph, experiment.source.dim, None)
    return edges if graphs.edge_mask is None else edges.where(graphs.edge_mask.numpy().reshape(-1))


def nodes_of(graphs: Subset) -> Nodes:
    """All nodes of some graphs."""
    x, a = (part.flatten(0, 1).double().numpy() for part in (graphs.features, graphs.accelerations))
    dim = a.shape[1]
    return Nodes(x[:, dim : 2 * dim], x[:, 2 * dim + 1], a)
