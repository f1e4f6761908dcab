"""Random forces beside a law: what a kick does to a velocity and to the label of the same frames.

A kick shows in the label and, since all are read off the same frames, in the velocity, a little in the
position. In a steady state the two cancel the friction whole, ⟨a v⟩ = 0. The part of a velocity that the past
and the present position do not tell, its innovation, and that of the position hold all kicks of these frames,
in proportions that the labels' kernel fixes. With their sum as a further column, what is left tells the
friction (control function; R. Blundell and J. Powell 2004, Rev. Econ. Stud. 71, 655). Without the position's
part the friction comes out a twentieth too small.

Shapes: R rows, D space dims, X columns.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from gnn_distill.arrays import Array
from gnn_distill.distil.motion.fit import NOTHING, Fit, fit
from gnn_distill.distil.motion.samples import Motion
from gnn_distill.physics.variables import AXES, VELOCITIES


def innovations(motion: Motion, known: Array) -> Array:
    """The parts of each row's velocity and position that earlier rows and `known` do not tell, [R D, 1].

    No columns where nothing kicks the particles. Rows without an earlier one have a zero; their trust is 0.

    Args:
        motion: the rows.
        known: what else acts at the same instants, such as the pair force, shape [R D, X].
    """
    rows, dim = motion.labels.shape
    if motion.lag == 0:
        return np.zeros((rows * dim, 0))
    named = motion.nodes.named

    def averaged(names: tuple[str, ...]) -> Array:
        return motion.averaged(np.stack([named[name] for name in names[:dim]], axis=1))

    place, speed = averaged(AXES), averaged(VELOCITIES)
    forces = np.moveaxis(known.reshape(rows, dim, -1), 2, 0)
    late, early = motion.lagged
    past = np.concatenate(
        [*(part[early] for part in (speed, place, *forces)), np.ones((len(late), 1))], axis=1
    )
    moved = place[late] - past @ np.linalg.lstsq(past, place[late], rcond=None)[0]
    told = np.concatenate([past, *(f[late] for f in forces), place[late]], axis=1)
    slopes = np.linalg.lstsq(told, speed[late], rcond=None)[0]
    new = speed[late] - told @ slopes
    reach, pull = _reach(motion, place, speed), float(np.trace(slopes[-dim:])) / dim
    share = reach * new.var() / max(moved.var() * (1.0 - pull * reach), 1e-300)
    found = np.zeros_like(speed)
    found[late] = new + share * moved
    return found.reshape(-1, 1)


def _reach(motion: Motion, place: Array, speed: Array) -> float:
    """For how long kicks of a label's frames have moved their mean position, beside their mean velocity."""
    next_to = np.arange(len(place)).reshape(-1, motion.frames - len(motion.kernel) + 1, motion.n)
    step = place[next_to[:, 1:].ravel()] - place[next_to[:, :-1].ravel()]
    mean = (speed[next_to[:, 1:].ravel()] + speed[next_to[:, :-1].ravel()]) / 2
    frame = np.arange(len(motion.kernel))
    apart = float(motion.kernel @ np.abs(frame[:, None] - frame) @ motion.kernel)
    return apart * float((step * mean).sum()) / max(float((mean**2).sum()), 1e-300)


def kicked(motion: Motion, known: Fit) -> Array:
    """`innovations` beside the terms of a law that do not read velocities."""
    still = [k for k, term in enumerate(known.form.terms) if not term.moving]
    return innovations(motion, known.form.columns(motion, known.constants)[:, still])


def slowed(motion: Motion, plain: Fit, kicks: Array) -> Fit:
    """A fit without a care for kicks, with the factors of terms that read velocities as they are beside them.

    Kicks hide friction and next to nothing else. Forces of places are better left as the plain fit has them:
    what it and its errors know of the past makes them too weak beside innovations.

    Args:
        motion: the rows.
        plain: of a form to them.
        kicks: `innovations`, shape [R D, X].
    """
    moving = np.array([term.moving for term in plain.form.terms], dtype=bool)
    if not kicks.shape[1] or not moving.any():
        return plain
    columns = plain.form.columns(motion, plain.constants)
    rest = motion.labels - (columns[:, ~moving] @ plain.factors[~moving]).reshape(motion.labels.shape)
    beside = np.concatenate([columns[:, moving], kicks], axis=1)
    factors = plain.factors.copy()
    factors[moving] = fit(motion.relabelled(rest), NOTHING, beside).extra[: moving.sum()]
    return replace(plain, factors=factors)


def unkicked(errors: Array, kicks: Array, motion: Motion) -> Array:
    """Errors [R, D] of a law less what its `innovations` [R D, X] explain of them."""
    weight = np.repeat(np.sqrt(motion.trust[:, 0]), errors.shape[1])[:, None]
    part = np.linalg.lstsq(kicks * weight, errors.reshape(-1, 1) * weight, rcond=None)[0]
    return errors - (kicks @ part).reshape(errors.shape)


def hearsay(design: Array, weight: Array, kicks: Array, factors: Array, known: slice) -> Array:
    """What each row pulls at the numbers of a law since innovations are themselves estimates, shape [R D, P].

    All rows together pull nowhere. But what innovations explain of labels counts as noise all the same, as in
    two-stage least squares.

    Args:
        design: change of the prediction with each number, shape [R D, P].
        weight: of the rows, shape [R D].
        kicks: `innovations`, shape [R D, X].
        factors: of theirs, shape [X].
        known: the numbers whose columns helped to tell what innovations are.
    """
    if not kicks.shape[1]:
        return np.zeros_like(design)
    weighted = kicks * weight[:, None]
    alike = np.linalg.lstsq(weighted.T @ kicks, weighted.T @ design, rcond=None)[0]
    apart = design - kicks @ alike
    basis = apart[:, known] * weight[:, None]
    apart = apart[:, known] @ np.linalg.lstsq(basis.T @ apart[:, known], basis.T @ apart, rcond=1e-12)[0]
    return np.asarray(apart * (weight * (kicks @ factors))[:, None])
