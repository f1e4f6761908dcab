"""Random forces beside a law: what a kick does to a velocity and to the label of the same frames.

A kick shows in the label and, since both are read off the same frames, in the velocity. In a steady state the
two cancel the friction whole, ⟨a v⟩ = 0. The part of a velocity that the past does not tell, its innovation,
is all that holds kicks of these frames. With it as a further column, what is left tells the friction (control
function; R. Blundell and J. Powell 2004, Rev. Econ. Stud. 71, 655).

Shapes: R rows, D space dims, X columns.
"""

from __future__ import annotations

import numpy as np

from gnn_distill.arrays import Array
from gnn_distill.distil.motion.fit import Fit, Form, fit
from gnn_distill.distil.motion.samples import Motion
from gnn_distill.physics.variables import AXES, VELOCITIES


def innovations(motion: Motion, known: Array) -> Array:
    """The part of each row's velocity that earlier rows and `known` do not tell, shape [R D, 1].

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
    past = [part[early] for part in (speed, place, *forces)]
    told = np.concatenate([*past, place[late], *(f[late] for f in forces), np.ones((len(late), 1))], axis=1)
    found = np.zeros_like(speed)
    found[late] = speed[late] - told @ np.linalg.lstsq(told, speed[late], rcond=None)[0]
    return found.reshape(-1, 1)


def kicked(motion: Motion, known: Fit) -> Array:
    """`innovations` beside the terms of a law that do not read velocities."""
    still = [k for k, term in enumerate(known.form.terms) if not term.moving]
    return innovations(motion, known.form.columns(motion, known.constants)[:, still])


def fitted(seen: Motion, form: Form) -> tuple[Fit, Array]:
    """The form fitted to all rows, and what kicks do to their velocities, [R D, X]."""
    last = fit(seen, form)
    kicks = kicked(seen, last)
    return (fit(seen, form, kicks, last.constants.tolist()) if kicks.shape[1] else last), kicks


def unkicked(errors: Array, kicks: Array, motion: Motion) -> Array:
    """Errors [R, D] of a law less what its `innovations` [R D, X] explain of them."""
    weight = np.repeat(np.sqrt(motion.trust[:, 0]), errors.shape[1])[:, None]
    part = np.linalg.lstsq(kicks * weight, errors.reshape(-1, 1) * weight, rcond=None)[0]
    return errors - (kicks @ part).reshape(errors.shape)
