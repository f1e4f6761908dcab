"""Simulated particles as a camera would see them: labels derived from noisy positions, as of recordings.

Shapes: S trajectories, T frames, n particles, D space dims; L frames that have labels.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from gnn_distill.data.own.dynamics import is_smooth
from gnn_distill.data.own.motion import Fitting, first_order, second_order
from gnn_distill.data.own.pieces import Even
from gnn_distill.data.own.tracks import Observed
from gnn_distill.data.particles import ParticleData
from gnn_distill.physics.simulate import Simulation, Trajectories

ORDER = 4
"""Degree of the polynomials that derivatives are fitted with, the one for files."""
WIDEST = 4
"""Windows that a trajectory must hold."""


def as_seen(spec: Simulation, t: Trajectories) -> ParticleData:
    """Graphs of what is seen of simulated particles: positions alone, from which all else is derived.

    Args:
        spec: what was simulated.
        t: its trajectories, with noise.
    """
    sims, frames, n, _ = t.positions.shape
    m, q = (np.broadcast_to(part[:, None], (sims, frames, n)) for part in (t.masses, t.charges))
    none = np.zeros((sims, frames, n, 0))
    path = Path("simulated tracks")
    seen = Observed(path, t.positions, None, None, m, q, none, (), None, False, None, ())
    over = Even(np.full(sims, spec.frame_spacing), frames)
    fitting = Fitting(None, ORDER, frames // WIDEST, True)
    if spec.order == 1:
        motion = first_order(seen, t.positions, over, fitting, noisy=not is_smooth(t.positions))
    else:
        motion = second_order(seen, t.positions, over, fitting)
    length = motion.positions.shape[1]
    constant = np.stack([q, m], axis=-1)[:, :length]
    x = np.concatenate([motion.positions, motion.velocities, constant], axis=-1, dtype=np.float32)
    labels = motion.labels.astype(np.float32)
    added = {"localisation noise": spec.noise, "diffusion constant": spec.diffusion}
    told = " and ".join(f"{name} {value:g}" for name, value in added.items() if value)
    return ParticleData(
        x.reshape(-1, *x.shape[2:]),
        labels.reshape(-1, *labels.shape[2:]),
        frames=length,
        replaced=t.replaced,
        spacing=spec.frame_spacing,
        notes=(f"simulated with {told}; positions are all that is seen", *motion.notes),
        doubts=motion.doubts,
        order=motion.order,
        softening=spec.softening,
        kernel=motion.kernel,
        noise=motion.noise,
        estimates=motion.estimates,
    )
