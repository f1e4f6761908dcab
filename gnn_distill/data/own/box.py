"""A periodic box: its edges checked, tracks without jumps, positions brought back.

Shape letters: S trajectories, T frames, n particles, D space dims.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from gnn_distill.arrays import Array
from gnn_distill.data.own.tracks import Box, Observed
from gnn_distill.errors import InputError, check_range
from gnn_distill.physics.variables import nearest_image

ROUNDED = 1e-6  # of an edge: how far positions may stick out

JUMP, ACROSS, CROSSINGS = 0.5, 0.9, 3
"""A step of more than the first share of what positions span is a jump. Tracks were wrapped into a box where
nearly all jumps go across, farther than the second share, and there are so many of them at least."""
FAR = 1000.0  # distances from the origin, in distances between particles


def check_edges(box: Sequence[float | None] | None) -> None:
    """Refuse edges that are no lengths."""
    if box is None:
        return
    if not isinstance(box, list | tuple) or len(box) not in (2, 3) or all(edge is None for edge in box):
        raise InputError("dataset.box", box, "give the edges, null along an open axis: dataset.box=[10,10]")
    for edge in box:
        if edge is not None:
            check_range("dataset.box", edge, 0.0, open_low=True)


def check_box(box: Sequence[float | None] | None, positions: Array) -> None:
    """Refuse a box into which positions [S, T, n, D] do not fit."""
    if box is None:
        return
    if len(box) != positions.shape[-1]:
        fix = f"give {positions.shape[-1]} edges, one for each axis, null where it is open"
        raise InputError("dataset.box", list(box), fix)
    span = np.ptp(positions, axis=(0, 1, 2))
    for axis, edge in enumerate(box):
        if edge and span[axis] > edge * (1 + ROUNDED):
            seen = f"positions span {span[axis]:.6g} along axis {'xyz'[axis]}, and the edge is {edge:.6g}"
            fix = f"{seen}: give the box as the simulation had it, and positions inside of it"
            raise InputError("dataset.box", list(box), fix)


def wrapping(seen: Observed, box: Box | None) -> dict[int, float]:
    """Axes along which tracks jump to and fro across all that they span, and the least edge of a box there.

    Args:
        seen: positions, in no cell.
        box: as far as it is known; its periodic axes are left out.
    """
    if seen.sighted is None:
        steps = np.diff(seen.positions, axis=1).reshape(-1, seen.positions.shape[-1])
    else:
        who = np.stack([seen.sighted.run, seen.sighted.particle], 1)
        next_ = (who[1:] == who[:-1]).all(1) & (np.diff(seen.sighted.frame) == 1)
        steps = np.diff(seen.positions[0, :, 0], axis=0)[next_]
    found, span = {}, np.ptp(seen.positions, axis=(0, 1, 2))
    for axis in (k for k in range(len(span)) if box is None or box[k] is None):
        size = np.abs(steps[:, axis])
        jumps = size[size > JUMP * span[axis]]
        if len(jumps) >= CROSSINGS and (jumps > ACROSS * span[axis]).mean() > ACROSS:
            found[axis] = rounded_up(max(span[axis], float(jumps.max())))
    return found


def check_space(seen: Observed, said: bool) -> None:
    """Refuse a box that positions do not fit, and tracks wrapped into one that nobody has given.

    Where the user has `said` a box, its open axes are open.
    """
    check_box(seen.box, seen.positions)
    if said or seen.cell is not None or not (found := wrapping(seen, seen.box)):
        return
    known = enumerate(seen.box or (None,) * seen.positions.shape[-1])
    edges = ["null" if edge is None else f"{edge:g}" for edge in (found.get(k, e) for k, e in known)]
    along = " and ".join("xyz"[axis] for axis in found)
    sizes = " and ".join(f"{edge:g}" for edge in dict.fromkeys(found.values()))
    fix = f"tracks jump to and fro by about {sizes} along {along}: they were wrapped into a periodic box"
    fix += f"; give its edges as they were, null along an open axis, such as dataset.box=[{','.join(edges)}]"
    raise InputError("dataset.box", seen.box and list(seen.box), fix)


def half(box: Sequence[float | None] | None, cell: Array | None = None) -> float:
    """Half of the shortest edge, beyond which pairs have several images; infinite where space is open.

    Args:
        box: edges.
        cell: where these are 0, the cells [..., D (D + 1)/2].
    """
    edges = [edge for edge in box or () if edge]
    if cell is not None and cell.size:
        sides = _diagonal(cell)
        edges += sides[sides > 0].tolist()
    return min(edges, default=math.inf) / 2


def _diagonal(cell: Array) -> Array:
    """Edges [..., D] of cells [..., D (D + 1)/2]."""
    dim = 2 if cell.shape[-1] == 3 else 3
    return cell[..., [(k + 1) * (k + 2) // 2 - 1 for k in range(dim)]]


def rounded_down(value: float, figures: int = 3) -> float:
    """The largest number of so many figures that is not above `value` > 0.

    >>> rounded_down(1.71908)
    1.71
    """
    near = float(f"{value:.{figures}g}")
    step = 10.0 ** (math.floor(math.log10(value)) + 1 - figures)
    return near if near <= value else float(f"{near - step:.{figures}g}")


def rounded_up(value: float, figures: int = 3) -> float:
    """The smallest number of so many figures that is not below `value` > 0.

    >>> rounded_up(11.98001)
    12.0
    """
    near = float(f"{value:.{figures}g}")
    step = 10.0 ** (math.floor(math.log10(value)) + 1 - figures)
    return near if near >= value else float(f"{near + step:.{figures}g}")


def unwrapped(positions: Array, box: Box | None, cell: Array | None = None) -> Array:
    """Tracks [S, T, n, D] that go on where a particle crosses a face of the box.

    A jump of more than half an edge between two frames is a crossing. In a box that changes every step is the
    shortest one in the box at its end (Bullerjahn et al. 2023, J. Chem. Theory Comput.).
    """
    if box is None:
        return positions
    if cell is not None:
        steps = nearest_image(np.diff(positions, axis=1), cell[:, 1:])
        return np.concatenate([positions[:, :1], positions[:, :1] + steps.cumsum(1)], 1)
    step, edges = np.diff(positions, axis=1), _edges(box)
    crossings = np.where(np.isfinite(edges), -np.round(step / edges), 0.0).cumsum(1)
    shift = np.where(np.isfinite(edges), crossings * np.nan_to_num(edges, posinf=0.0), 0.0)
    return np.concatenate([positions[:, :1], positions[:, 1:] + shift], 1)


def wrapped(tracks: Array, box: Box | None, corner: Array) -> Array:
    """Tracks brought back into the box that begins at `corner` [D]."""
    if box is None:
        return tracks
    edges = _edges(box)
    periodic = np.isfinite(edges)
    inside = np.where(periodic, edges, 1.0)
    return np.where(periodic, corner + np.mod(tracks - corner, inside), tracks)


def inside(place: Array, cell: Array) -> Array:
    """Positions [..., D] brought into cells [..., D (D + 1)/2] that begin at the origin."""
    middle = np.zeros_like(place)
    for k in range(place.shape[-1]):
        middle[..., : k + 1] += cell[..., k * (k + 1) // 2 : (k + 1) * (k + 2) // 2] / 2
    return nearest_image(place - middle, cell) + middle


def shortest(delta: Array, box: Box | None) -> Array:
    """Separations [..., D] by their shortest image."""
    return (
        delta
        if box is None
        else delta - np.nan_to_num(_edges(box), posinf=0.0) * np.round(delta / _edges(box))
    )


def _edges(box: Box) -> Array:
    return np.array([np.inf if edge is None else edge for edge in box])


def brought_home(place: Array, box: Box | None, cell: Array, low: Array, size: float) -> list[str]:
    """Put positions [..., D] into the box, and near the origin, in place; a note about the latter.

    Args:
        place: positions.
        box: edges of the box; its corner is at the lowest positions `low` [D].
        cell: of each position, shape [..., D (D + 1)/2], where the box has no edges of its own.
        low: see there.
        size: typical distance of particles from their centre.
    """
    if cell.size:
        place[...] = low + inside(place - low, cell)
    else:
        place[...] = wrapped(place, box, low)
    if not (size > 0 and np.abs(place).max() > FAR * size):  # else single precision blurs distances
        return []
    place -= place.reshape(-1, place.shape[-1]).mean(axis=0)
    return ["positions are far from the origin and have been moved there"]
