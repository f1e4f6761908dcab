"""A network's pair function as a product: response of the receiver, strength of the source, one curve.

Shape letters: K individuals, G distances, E edges, F features.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from gnn_distill.arrays import Array
from gnn_distill.model.network import ParticleGNN
from gnn_distill.physics.variables import Columns
from gnn_distill.read.pairs import functions_at

Index = npt.NDArray[np.int64]

ROUNDS = 200
DISTANCES = 24


@dataclass(frozen=True)
class Factors:
    """C_ij(d) ≈ t_i s_j g(d).

    Attributes:
        response: t, shape [K]; `source`: s, shape [K]; each up to a factor.
        curve: g at the distances, shape [G].
        share: part of the mean square of C that the product explains.
        second: part that a second product explains beside it.
    """

    response: Array
    source: Array
    curve: Array
    share: float
    second: float


def factorised(values: Array, weights: Array) -> Factors:
    """Rank one by alternating least squares, off the diagonal.

    Args:
        values: C, shape [K, K, G], receivers first.
        weights: how much each counts, likewise; zero on the diagonal and where nothing is known.
    """
    t, s, g = _rank_one(values, weights)
    left = values - np.einsum("i,j,g->ijg", t, s, g)
    whole = max(float((weights * values**2).sum()), 1e-300)
    rest = float((weights * left**2).sum()) / whole
    second = np.einsum("i,j,g->ijg", *_rank_one(left, weights))
    return Factors(t, s, g, 1 - rest, rest - float((weights * (left - second) ** 2).sum()) / whole)


def _rank_one(values: Array, weights: Array) -> tuple[Array, Array, Array]:
    """t, s and g; t and s have a root mean square of one."""
    weighted = weights * values
    strongest = np.unravel_index(int(np.argmax((weighted * values).sum(axis=(0, 1)))), values.shape[2:])[0]
    left, _, right = np.linalg.svd(weighted[:, :, strongest] / max(weights[:, :, strongest].max(), 1e-300))
    t, s = left[:, 0], right[0]
    g = np.ones(values.shape[2])
    for _ in range(ROUNDS):
        before = t, s
        g = _share(np.einsum("ijg,i,j->g", weighted, t, s), np.einsum("ijg,i,j->g", weights, t**2, s**2))
        t = _share(np.einsum("ijg,j,g->i", weighted, s, g), np.einsum("ijg,j,g->i", weights, s**2, g**2))
        t /= max(float(np.sqrt((t**2).mean())), 1e-300)
        s = _share(np.einsum("ijg,i,g->j", weighted, t, g), np.einsum("ijg,i,g->j", weights, t**2, g**2))
        s /= max(float(np.sqrt((s**2).mean())), 1e-300)
        if max(float(np.abs(a - b).max()) for a, b in zip((t, s), before, strict=True)) < 1e-9:
            break
    g = _share(np.einsum("ijg,i,j->g", weighted, t, s), np.einsum("ijg,i,j->g", weights, t**2, s**2))
    return t, s, g


def _share(above: Array, below: Array) -> Array:
    return np.where(below > 0, above / np.where(below > 0, below, 1.0), 0.0)


def asked(
    model: ParticleGNN, columns: Columns, typical: npt.NDArray[np.float32], seen: tuple[Index, Index, Array]
) -> tuple[Array, Array, Array]:
    """f_u of all pairs of individuals on one grid of distances, relative to what each receiver is used to.

    Args:
        model: a trained network, in evaluation mode.
        columns: of the features.
        typical: features of each individual, shape [K, F]; their places and velocities do not matter.
        seen: numbers of receivers and senders and distances of edges in the data, each [E].

    Returns:
        Distances [G], C [K, K, G] and weights [K, K, G]: edges in the data at about that distance.
    """
    one, two, d = seen
    count = len(typical)
    edges = np.unique(np.quantile(d, np.linspace(0.005, 0.995, DISTANCES + 1)))
    grid = np.sqrt(edges[1:] * edges[:-1])
    place = np.searchsorted(edges, d) - 1
    inside = (place >= 0) & (place < len(grid))
    flat = (one[inside] * count + two[inside]) * len(grid) + place[inside]
    seen_there = np.bincount(flat, minlength=count * count * len(grid)).astype(np.float64)
    weights: Array = np.minimum(seen_there, np.quantile(seen_there[seen_there > 0], 0.5))
    i, j, g = (k.ravel() for k in np.indices((count, count, len(grid))))
    x: tuple[Any, Any] = typical[i].copy(), typical[j].copy()
    for part in x:
        part[:, : columns.charge] = 0.0
    x[0][:, 0] = grid[g]
    found = functions_at(model, *(torch.from_numpy(part) for part in x))["u"].reshape(count, count, -1)
    loud = np.ones(count) if model.frame is None else model.frame.loudness.double().cpu().numpy()
    return grid, found / loud[:, None, None], weights.reshape(count, count, -1)
