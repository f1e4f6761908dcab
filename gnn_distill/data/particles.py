"""What particles did, as arrays: states and accelerations of every frame.

Shapes: G graphs (frames of all trajectories), n particles, F features, D space dims. No torch here: a process
that only simulates can spare the second that it takes to load.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from gnn_distill.data.sightings import Sightings
from gnn_distill.physics.simulate import Trajectories
from gnn_distill.physics.variables import SOFTENING, Bonds, Columns


@dataclass(frozen=True)
class ParticleData:
    """Graphs of particles with their accelerations.

    Attributes:
        features: float32, shape [G, n, F].
        accelerations: float32, shape [G, n, D].
        frames: frames per trajectory; graph g belongs to trajectory g // frames.
        replaced: trajectories that could not be integrated and were drawn anew.
        adjacency: which sender reaches which receiver, [receiver, sender]: bool [n, n] for all graphs or
            [G, n, n] for each; None for the complete graph. No self-loops.
        spacing: time between frames; None where it is unknown or not always the same.
        blocks: pieces of time that each trajectory of a file was cut into; they count as trajectories.
        notes: how the data were made from a file, in sentences for the report.
        doubts: what keeps a law from being found in them, in sentences for the report.
        further: names of the features after charge and mass, one each.
        order: of the equation of motion; where it is 1, `accelerations` holds velocities.
        box: edges of the periodic box, None along an open axis, 0 where features hold each particle's cell;
            None where nothing is periodic.
        softening: ε of r = d + ε, see `Columns`.
        sightings: where particles come and go, or interact within a distance, the flat table that the data
            are: one row of features [1, N, F] for each sighting, labels [1, N, D] NaN where there are none.
        radius: largest distance of particles that may act on each other; None where there is none.
        kernel: K [W] where labels were derived from a window of W frames: they are Σ_k K_k a(t + k dt), the
            true accelerations averaged so; empty where they are those of their own instant.
        noise: error (RMS) of a component of the labels that scatter makes; 0 where they are as exact as the
            file.
        estimates: what the data alone tell, such as the diffusion constant: value, low, high by name.
        units: of length, time, mass and charge in words, as far as they are known.
        individuals: names of the individuals whose numbers the last feature holds; empty where it does not.
        hidden: properties that each individual may have beside those of the file.
        known: what the user knows of individuals, by their names: `{earth: {mass: 3.0e-6}}`.
        optional: whether the data are to say if individuals have hidden properties at all.
        bonds: numbers of edges that features hold; None where they do not.
    """

    features: npt.NDArray[np.float32]
    accelerations: npt.NDArray[np.float32]
    frames: int
    replaced: int = 0
    adjacency: npt.NDArray[np.bool_] | None = None
    spacing: float | None = None
    blocks: int = 1
    notes: tuple[str, ...] = ()
    doubts: tuple[str, ...] = ()
    further: tuple[str, ...] = ()
    order: int = 2
    box: tuple[float | None, ...] | None = None
    softening: float = SOFTENING
    sightings: Sightings | None = None
    radius: float | None = None
    kernel: tuple[float, ...] = ()
    noise: float = 0.0
    estimates: Mapping[str, tuple[float, float, float]] = field(default_factory=dict)
    units: Mapping[str, str] = field(default_factory=dict)
    individuals: tuple[str, ...] = ()
    hidden: int = 0
    known: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    optional: bool = False
    bonds: Bonds | None = None

    @property
    def columns(self) -> Columns:
        """Where the features stand."""
        space = self.further, self.box, self.softening, bool(self.individuals), self.bonds
        return columns_of(self.features, self.accelerations, *space)

    def anonymous(self) -> ParticleData:
        """The same graphs without the numbers of individuals and of edges."""
        if not self.individuals and self.bonds is None:
            return self
        x = self.features[..., : self.columns.rest.stop]
        return replace(self, features=x, individuals=(), hidden=0, known={}, bonds=None)


def chain(n: int) -> npt.NDArray[np.bool_]:
    """Adjacency [n, n] of particles that interact with their neighbours along a chain."""
    return np.eye(n, k=1, dtype=bool) | np.eye(n, k=-1, dtype=bool)


def to_graphs(t: Trajectories, adjacency: npt.NDArray[np.bool_] | None = None) -> ParticleData:
    """Frames as graphs with features in the order position, velocity, charge, mass."""
    sims, frames, n, dim = t.positions.shape
    constant = np.broadcast_to(np.stack([t.charges, t.masses], -1)[:, None], (sims, frames, n, 2))
    x = np.concatenate([t.positions, t.velocities, constant], -1, dtype=np.float32)
    a = t.accelerations.astype(np.float32)
    return ParticleData(x.reshape(-1, *x.shape[2:]), a.reshape(-1, n, dim), frames, t.replaced, adjacency)


def columns_of(
    features: Any,
    accelerations: Any,
    further: tuple[str, ...],
    box: tuple[float | None, ...] | None,
    softening: float,
    identity: bool,
    bonds: Bonds | None,
) -> Columns:
    """Where features [..., F] stand, beside labels [..., D]; the rest as in `Columns`."""
    dim = accelerations.shape[-1]
    rest = Columns(dim, box=box, identity=identity, bonds=bonds).count - Columns(dim).count
    columns = Columns(dim, further) if further else Columns.of(dim, features.shape[-1] - rest)
    return replace(columns, box=box, softening=softening, identity=identity, bonds=bonds)
