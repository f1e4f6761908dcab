"""Edges whose numbers differ: strengths, or kinds, of the pairs of particles.

Shape letters: S trajectories, T frames, n particles.
"""

from __future__ import annotations

import numpy as np

from gnn_distill.arrays import Array
from gnn_distill.data.own.files.columns import MOST_KINDS
from gnn_distill.data.own.tracks import Observed
from gnn_distill.physics.variables import Bonds


def bonds(seen: Observed, kind: str | None) -> tuple[Array, Bonds | None, list[str]]:
    """What each particle has to know of its edges, what they are, and a note.

    Where the edges of the file say who acts on whom, 0 is no edge; where other pairs act on each other, too,
    it is a kind of its own.

    Args:
        seen: the file.
        kind: what decides who interacts, see `gnn_distill.data.own.neighbours.adjacency`; None takes the
            file's edges if it has any.

    Returns:
        Shape [S, T, n, n + 1], [1, N, 1, n + 1] of a table: numbers of the edges from all n senders, and the
        particle's own number; of shape [..., 0] where edges are alike.
    """
    nothing = np.zeros((*seen.masses.shape, 0))
    if seen.edges is None or kind == "chain":
        return nothing, None, []
    edges = seen.edges.astype(np.float32).astype(np.float64)
    n = edges.shape[-1]
    numbers = np.unique(edges[:, ~np.eye(n, dtype=bool)])
    numbers = numbers[numbers != 0] if kind in (None, "file") else numbers
    if len(numbers) < 2:
        return nothing, None, []
    many = len(numbers) > MOST_KINDS
    found = Bonds(n, () if many else tuple(map(float, numbers)))
    own = np.broadcast_to(np.arange(n)[:, None], (len(edges), n, 1))
    known = np.concatenate([edges, own], axis=-1)
    if seen.sighted is None:
        known = np.broadcast_to(known[:, None], (*seen.masses.shape, n + 1))
    else:
        known = known[seen.sighted.run, seen.sighted.particle][None, :, None]
    listed = f"{len(numbers)} numbers" if many else ", ".join(f"{v:g}" for v in numbers)
    return known, found, [f"edges have a number, k₁₂, which laws may read: {listed}"]
