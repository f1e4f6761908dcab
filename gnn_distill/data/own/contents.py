"""How many runs and particles a file holds, how far they are apart, and what may keep a law from being found.

Shape letters: S trajectories, T frames, n particles, K properties.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from gnn_distill.arrays import Array
from gnn_distill.data.own.pieces import Clock, Even
from gnn_distill.data.own.tracks import Observed
from gnn_distill.errors import InputError
from gnn_distill.physics.equation import as_equation
from gnn_distill.physics.laws import SOFTENING, ForceLaw

SMALLEST = 0.1  # distances below which r = d + 0.01 is far from d
STEADY = 1e-6  # share of a mass by which it may change in time


def doubts(seen: Observed, softened: bool) -> list[str]:
    """What may keep a law from being found in a file, beside errors of what is derived."""
    found, size, sims = [], extent(seen), runs(seen, None)[0]
    if softened and 0 < size <= SMALLEST:
        found.append(
            f"Particles are about {size:.2g} apart, and the law reads r = d + {SOFTENING:g}: change units, "
            f"that is divide all lengths in the file by about {size:.1g}"
        )
    first, change = _properties(seen)
    different = len(np.unique(first, axis=0))
    if sims <= 2 and different > 1:
        found.append(
            f"{sims} run{'s' * (sims > 1)} with {different} different particles: any function of mass and "
            "charge that fits these will do. To learn how the force depends on them, add runs with others"
        )
    if (change > STEADY).any():
        found.append(
            "Masses change in time. If that column is the brightness of a spot, which tracking programs call "
            "mass, remove it; masses are then 1"
        )
    return found


def _properties(seen: Observed) -> tuple[Array, Array]:
    """Charge, mass and further features of each track when it begins [tracks, K]; changes of its mass."""
    known = np.stack([seen.charges, seen.masses, *np.moveaxis(seen.features, -1, 0)], -1)
    if seen.sighted is None:
        change = np.ptp(seen.masses, axis=1) / seen.masses.max(axis=1)
        return known[:, 0].reshape(-1, known.shape[-1]), change
    who, mass = seen.sighted, seen.masses[0, :, 0]
    begin = np.flatnonzero((np.diff(who.run, prepend=-1) != 0) | (np.diff(who.particle, prepend=-1) != 0))
    most = np.maximum.reduceat(mass, begin)
    return known[0, begin, 0], (most - np.minimum.reduceat(mass, begin)) / most


def runs(seen: Observed, when: Even | Clock | None) -> tuple[int, int]:
    """Number of runs, and frames of the shortest one."""
    if seen.sighted is None:
        return seen.positions.shape[0], seen.positions.shape[1]
    run = seen.sighted.run
    tick = when.tick if isinstance(when, Clock) else seen.sighted.frame
    ends = np.zeros(int(run.max()) + 1, dtype=int)
    np.maximum.at(ends, run, tick + 1)
    return len(ends), int(ends.min())


def particles(seen: Observed) -> float:
    """Mean number of particles in a frame."""
    if seen.sighted is None:
        return float(seen.positions.shape[2])
    return len(seen.sighted.frame) / len(np.unique(seen.sighted.frame))


def extent(seen: Observed) -> float:
    """RMS distance of the particles from their centre."""
    if seen.sighted is None:
        return float(np.sqrt(seen.positions.var(axis=2).sum(-1).mean()))
    x, frame = seen.positions[0, :, 0], seen.sighted.frame
    count = np.maximum(np.bincount(frame), 1)
    centre = np.stack([np.bincount(frame, axis) / count for axis in x.T], -1)
    return float(np.sqrt(((x - centre[frame]) ** 2).sum(-1).mean()))


def check_charges(law: ForceLaw | None, seen: Observed, file: Path) -> None:
    """Refuse a law of charges for particles that have none: it would be compared with no force at all."""
    base = None if law is None else as_equation(law).base
    if base is None or seen.charges.any():
        return
    r, one, none = np.geomspace(0.1, 10.0, 20), np.ones(20), np.zeros(20)
    charged, bare = (base.magnitude(r, one, one, q, q, base.params) for q in (one, none))
    if np.any(charged) and not np.any(bare):
        fix = f"it acts on charges and {file} has none: add them (column charge, array charges)"
        raise InputError("dataset.law", base.title, fix)
