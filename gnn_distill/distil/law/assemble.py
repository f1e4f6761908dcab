"""The distilled law in one closed form, in the place of the network."""

from __future__ import annotations

from typing import Any

import torch

from gnn_distill.analyse.gauge import fit_gauge
from gnn_distill.data.graphs import Subset
from gnn_distill.data.receivers import Receivers
from gnn_distill.distil.engines.engine import Engine
from gnn_distill.distil.engines.given import GivenEngine
from gnn_distill.distil.law.closed_form import Law, Nodes, compare, fit_one_body, from_messages
from gnn_distill.distil.law.constants import FIT_NODES, intervals, refit_law
from gnn_distill.distil.problem import Evidence
from gnn_distill.distil.solve import Found
from gnn_distill.model.network import ParticleGNN
from gnn_distill.read.recording import Edges, Recording, edge_features

VALIDATION_GRAPHS, FEWEST_GRAPHS = 2000, 50


def distilled_law(evidence: Evidence, engine: Engine, found: Found) -> tuple[Law, dict[str, Any]] | None:
    """The law of recovered equations, or of those that extrapolate, and the content of `law.json`.

    Constants are refitted on accelerations of the validation set. None where message components cannot be
    turned into accelerations: they do not span the force.
    """
    recording, validation = evidence.recording, evidence.validation
    law = assembled(engine, recording, found)
    if law is None:
        return None
    one_body = recording.pullback_kind in ("odd", "pair")
    generator = torch.Generator().manual_seed(evidence.seed)
    some = validation[torch.randperm(len(validation), generator=generator)[: refit_graphs(recording.n)]]
    edges, nodes = edges_of(evidence.model, some), nodes_of(some)
    law = law.with_signs([q for q in ("q1", "q2") if is_sign(q, recording.edges, edges)])
    if one_body:
        law = fit_one_body(law, edges, nodes)
    law = refit_law(law, edges, nodes)
    if one_body:
        law = fit_one_body(law, edges, nodes)
    bounds = intervals(law, edges, nodes, recording.n, evidence.seed)
    compared = compare(law, recording.edges, nodes_of(evidence.recorded), recording.recorded_mae)
    columns = recording.edges.columns
    space = {"further": list(columns.further), "box": columns.box, "softening": columns.softening}
    return law, {"equations": found.picks, "intervals": bounds, **space, **compared}


def assembled(engine: Engine, recording: Recording, found: Found) -> Law | None:
    """The picked equations as one law, constants as they were found."""
    problem, picks = found.problem, found.picks
    if found.joint is not None:
        front, parents = found.joint.front, [p[k] for p, k in zip(found.joint.parents, picks, strict=True)]
        right = [v.recovered for v in found.verdicts] if found.verdicts else [False] * len(parents)
        recovered = [k for k, known in zip(parents, right, strict=True) if known]
        # of the components' picks the first that is the law, else the first that is no trivial equation
        index = next((k for k in [*recovered, *parents] if k is not None), front.choice)
        if isinstance(engine, GivenEngine):
            index = len(front.equations) - 1  # what the user asked for, believed or not
        softening = recording.edges.columns.softening
        return Law.along(front.equations[index].expression, len(picks), softening)
    expressions = [f.equations[k].expression for f, k in zip(found.fronts, picks, strict=True)]
    if problem.target == "pullback":
        return Law(tuple(expressions))
    edges, here = recording.edges, problem.edges
    truth = edges.force if edges.force is not None else recording.pullback * edges.m1[:, None]
    values = problem.values[: len(here)]
    gauge = fit_gauge(values, truth[here], edges.m1[here], edges.receiver[here], centred=False)
    return from_messages(expressions, gauge)


def refit_graphs(n: int) -> int:
    """Graphs of n particles that constants are refitted on: few where a graph has many edges."""
    return min(VALIDATION_GRAPHS, max(FEWEST_GRAPHS, -(-FIT_NODES // n)))


def is_sign(name: str, *sets: Edges) -> bool:
    """Whether a charge, `q1` or `q2`, is ±1 on all edges of all sets."""
    charges = [edges.properties[name] for edges in sets]
    return all(len(q) > 0 and bool((abs(q) == 1).all()) for q in charges)


def edges_of(model: ParticleGNN, graphs: Subset | Receivers) -> Edges:
    """The edges of some graphs, without the true force."""
    edges = edge_features(graphs.features, model.graph_of(graphs)[:2], graphs.columns)
    return edges if graphs.edge_mask is None else edges.where(graphs.edge_mask.numpy().reshape(-1))


def nodes_of(graphs: Subset | Receivers) -> Nodes:
    """All nodes of some graphs that receive."""
    labels = graphs.accelerations
    receivers = graphs.features[:, : labels.shape[1]]
    x, a = (part.flatten(0, 1).double().numpy() for part in (receivers, labels))
    return Nodes(graphs.columns.own(x), a)
