"""Which rows of a run's data a law is screened on, compared on and fitted to.

Shapes: E edges, R rows, D space dims.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import torch

from gnn_distill.data.graphs import Subset, View
from gnn_distill.data.receivers import Receivers
from gnn_distill.distil.expressions.front import Front
from gnn_distill.distil.motion.candidates import MOST
from gnn_distill.distil.motion.fit import Form, fit
from gnn_distill.distil.motion.samples import Motion
from gnn_distill.distil.motion.search import Parts, Rows
from gnn_distill.distil.motion.segments import motion
from gnn_distill.distil.motion.unlabelled import labelled
from gnn_distill.distil.problem import Evidence
from gnn_distill.model.network import ISOTROPIC
from gnn_distill.read.pairs import pair_functions
from gnn_distill.read.record import pulled_apart

Graphs = Subset | View | Receivers

FEW, MANY, ALL = 15_000, 80_000, 500_000
"""Edges on which forms are screened, compared, and at last fitted."""
LOUD, MORE = 0.3, 4
"""Share of noise in typical labels from which on so many times the edges are needed."""
OUTRIGHT = 5e-5
"""Share of exact labels that is next to nothing: sixty times less than forms must differ by to matter."""
TRIED = 3
"""Equations of a front, those of the least loss, that are asked whether they explain labels outright."""
WHOLE, SAMPLED = 5_000_000, 400_000
"""Edges at most of rows that are digested, and of those on which columns are looked at."""


def samples_of(evidence: Evidence) -> tuple[Rows, Rows, Rows]:
    """Rows on which forms are screened, fitted and compared; all there are where labels are noisy or few."""
    train, validation = halves(evidence)
    more = MORE if is_loud(evidence) else 1
    unseen = rows_of(evidence, validation, (1 if validation is evidence.validation else more) * MANY, 3)
    few, seen = (rows_of(evidence, train, more * edges, k) for k, edges in enumerate((FEW, MANY), 1))
    return few, seen, unseen


def halves(evidence: Evidence) -> tuple[Subset | View | Receivers, Subset | View | Receivers]:
    """Graphs that fits see, and graphs that choose."""
    whole = joined_graphs(evidence.train, evidence.validation)
    if is_scarce(evidence) and not isinstance(whole, View) and whole.trajectory is not None:
        # a few runs cannot tell forms apart in noise: every second one of all judges the fits of the others
        half = torch.unique(whole.trajectory, return_inverse=True)[1] % 2 == 0
        return whole[half.nonzero()[:, 0]], whole[(~half).nonzero()[:, 0]]
    return evidence.train, evidence.validation


def digestible(evidence: Evidence) -> tuple[Motion, Motion] | None:
    """All rows and a sample of them, where noise is a good part of the labels; else None."""
    if not is_loud(evidence):
        return None
    graphs = joined_graphs(evidence.train, evidence.validation)
    return every(evidence), motion_of(evidence, graphs, SAMPLED, 9)


def is_loud(evidence: Evidence) -> bool:
    """Whether noise is a good part of the labels."""
    return evidence.noise > LOUD * float(evidence.test.accelerations.abs().median())


def is_exact(evidence: Evidence) -> bool:
    """Whether labels are so exact that a law may leave next to nothing of them."""
    return evidence.noise < OUTRIGHT * float(evidence.test.accelerations.abs().nanmedian())


def leaves_nothing(evidence: Evidence) -> Callable[[Front], bool] | None:
    """Whether an equation of a front, along Δ, explains exact labels outright; None where these are not.

    What explains the motion to 5e-5 cannot be improved on by searching the network's messages further.
    """
    if not is_exact(evidence):
        return None
    motion = motion_of(evidence, evidence.train, FEW, 1)
    size = float(np.abs(motion.labels).mean())

    def enough(front: Front) -> bool:
        best = sorted(front.equations, key=lambda e: e.loss)[:TRIED]
        forms = [Form.of(e.expression, "u", "", e.complexity) for e in best if e.expression.free_symbols]
        fits = (fit(motion, form) for form in forms if form.cost <= MOST)
        rests = (float(np.abs(f.predicted(motion) - motion.labels).mean()) for f in fits)
        return any(rest < OUTRIGHT * size for rest in rests)

    return enough


def is_scarce(evidence: Evidence) -> bool:
    """Whether what was kept for validation is too little to choose by."""
    of = None if isinstance(evidence.validation, View) else evidence.validation.trajectory
    return is_loud(evidence) or (of is not None and len(torch.unique(of)) == 1)


def every(evidence: Evidence, tested: bool = False) -> Motion:
    """All rows that a fit may see, of large data a sample; in noise every row tells something.

    Those of the test, too, if a law has been `tested` on them.
    """
    graphs = joined_graphs(evidence.train, evidence.validation)
    graphs = joined_graphs(graphs, evidence.test) if tested else graphs
    more = ALL
    if is_loud(evidence):
        more = MORE * ALL if evidence.order == 2 or len(evidence.kernel) > 1 else WHOLE
    return motion_of(evidence, graphs, more, 4, evidence.kicked)


def rows_of(evidence: Evidence, graphs: Graphs, edges: int, draw: int, whole: bool = False) -> Rows:
    """A sample of graphs with what the network says of them."""
    all_pairs = replace(evidence, reach=None)
    part = motion_of(all_pairs, graphs, edges, 100 * evidence.seed + draw, whole)
    if evidence.model.basis == ISOTROPIC:
        found = pair_functions(evidence.model, part.graphs)
        rows = Rows(part, Parts(found.functions, found.own).columns(part), found.functions)
        return rows if evidence.reach is None else rows.nearer(evidence.reach)
    c, own = pulled_apart(evidence.model, part.graphs, evidence.recording.pullback_kind)
    return Rows(part, Parts({"u": (c * part.directions["u"]).sum(axis=1)}, own).columns(part))


def motion_of(evidence: Evidence, graphs: Graphs, edges: int, draw: int, whole: bool = False) -> Motion:
    """A sample of graphs, relative to what each individual is used to where they are told apart."""
    frame = evidence.model.frame
    usual = frame.loudness.double().cpu().numpy() if frame is not None and evidence.individuals else None
    more = evidence.kicked, usual, whole
    found = motion(graphs, edges_of(evidence), evidence.kernel, edges, draw, *more)
    if evidence.reach is not None:
        found = replace(found, edges=found.edges.where(found.named["d"] < evidence.reach))
    return found if evidence.kinds is None else labelled(found, evidence.kinds)


def edges_of(evidence: Evidence) -> tuple[torch.Tensor, torch.Tensor] | None:
    """The edges of all graphs; None where receivers have their own."""
    test = evidence.test
    return None if isinstance(test, Receivers) else evidence.model.graph_of(test)[:2]


def joined_graphs(one: Graphs, two: Graphs) -> Graphs:
    """Both parts as one; the first alone where they stay on disk."""
    if isinstance(one, Receivers) and isinstance(two, Receivers):
        return one.joined(two)
    if not isinstance(one, Subset) or not isinstance(two, Subset):
        return one

    def both(name: str) -> torch.Tensor | None:
        parts = getattr(one, name), getattr(two, name)
        return None if any(p is None for p in parts) else torch.cat(parts)

    x, a = torch.cat([one.features, two.features]), torch.cat([one.accelerations, two.accelerations])
    return replace(
        one, features=x, accelerations=a, edge_mask=both("edge_mask"), trajectory=both("trajectory")
    )
