"""Labels of first order that are steps over their time: means of velocities along the way.

To first order in a step Δt such a label is v + Δt/2 L v with L v = (v·∇)v + D ∇²v, all particles moving (Itô
and Taylor; P. E. Kloeden and E. Platen 1992, *Numerical solution of stochastic differential equations*).

Shapes: R rows, N nodes, D space dims.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from gnn_distill.arrays import Array
from gnn_distill.distil.motion.fit import Fit, Form, settled
from gnn_distill.distil.motion.samples import Motion
from gnn_distill.distil.motion.trust import percent
from gnn_distill.distil.problem import Evidence
from gnn_distill.physics.variables import AXES

TIMES = 2
"""Further fits, each with what the one before says of a step."""
SLOW = 0.05
"""Share by which a step may change a law, to first order, before that is said."""


@dataclass(frozen=True)
class Step:
    """What a law is averaged over in a label.

    With v = −2 x, Δt = 0.1 and no noise the mean over a step is −1.8 x, so `change` is 0.2 x.

    Attributes:
        time: Δt.
        diffusion: D, in length²/time.
        late: whether places are of the frame before, as they are where localisation noise was seen; then a
            label is v + 3Δt/2 L v.
    """

    time: float
    diffusion: float = 0.0
    late: bool = False

    @classmethod
    def of(cls, evidence: Evidence) -> Step | None:
        """The step of a run's labels; None where they are no steps."""
        if "localisation_noise" not in evidence.estimates or evidence.step is None:
            return None
        late = evidence.estimates["localisation_noise"][1] > 0
        return cls(evidence.step, max(0.0, evidence.estimates["diffusion"][0]), late)

    @property
    def middle(self) -> float:
        """Time from a row's place to the middle of its label, in steps."""
        return 1.5 if self.late else 0.5

    def change(self, found: Fit, motion: Motion) -> Array:
        """What a law's mean over a label is beside its value at the place of the row, shape [R, D].

        Others are held as far as their forces are unknown: where receivers were drawn one by one.

        Args:
            found: the law.
            motion: rows with labels of their own instant.
        """
        v, sender = found.predicted(motion), motion.edges.sender
        drift = np.zeros((max(len(v), 0 if sender is None else 1 + int(sender.max(initial=0))), v.shape[1]))
        drift[: len(v)] = self.time * v * motion.size
        # two mirrored kicks: what is odd in them, by far the most, cancels
        kick = np.random.default_rng(0).normal(0.0, (2 * self.diffusion * self.time) ** 0.5, drift.shape)
        after = sum(found.predicted(moved(motion, drift + part)) for part in (kick, -kick)) / 2
        with np.errstate(invalid="ignore"):  # a form may have no value there
            off = self.middle * (after - v)
        # a kick may end next to another particle, where forces are what no label has seen
        most = np.abs(v) + np.abs(v).mean()
        return np.where(np.isfinite(off), np.clip(off, -most, most), 0.0)

    def told(self, found: Fit, motion: Motion, allowed: bool = True) -> list[str]:
        """A doubt where a law changes much in one step, which constants are `allowed` for or not."""
        v = found.predicted(motion)
        off = float(np.abs(self.change(found, motion)).sum() / max(np.abs(v).sum(), 1e-300))
        if not off > SLOW:
            return []
        done = f"allow for about {percent(off)}, which that is to first order, and are off by the rest"
        return [
            f"A step is long for these forces: they change by {percent(off / self.middle)} along the way of "
            "the particles in one of them, and labels are averages over it. Constants "
            f"{done if allowed else f'are off by about {percent(off)}'}; localisation noise may "
            "be seen that is not there: record more frames in the same time"
        ]


def averaged(motion: Motion, form: Form, step: Step | None) -> tuple[Fit, Motion]:
    """The fit of a form to labels that are averages over a step, and the rows with labels at their places."""
    found, there = settled(motion, form), motion
    if step is None:
        return found, there
    for _ in range(TIMES):
        there = motion.relabelled(motion.labels - step.change(found, motion))
        found = settled(there, form, start=found.constants.tolist())
    return found, there


def moved(motion: Motion, way: Array) -> Motion:
    """The rows with particles, then further senders, moved by `way`, shape [N or more, D]."""
    place = motion.nodes.named
    nodes = {a: place[a] + way[: len(motion.nodes), k] for k, a in enumerate(AXES[: way.shape[1]])}
    delta = motion.edges.delta + way[motion.edges.receiver]
    if motion.edges.sender is not None:
        delta -= way[motion.edges.sender]
    r = np.linalg.norm(delta, axis=1) + motion.edges.columns.softening
    return replace(
        motion,
        edges=replace(motion.edges, delta=delta, r=r),
        nodes=replace(motion.nodes, named=place | nodes),
    )
