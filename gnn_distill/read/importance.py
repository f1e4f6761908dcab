"""Which message dimensions matter: measures of importance, and the few that are compared with the force.

Shapes: E edges, M message dims, D space dims.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from gnn_distill.arrays import Array

KINDS = ("auto", "std", "kl", "trimmed_std")
MEANING = {
    "std": "standard deviation over the recorded edges",
    "kl": "mean KL divergence from N(0, 1) over the recorded edges",
    "trimmed_std": "standard deviation of the 90 % of a dimension's messages that lie closest together",
}
TRIMMED = 0.10  # fraction of edges left out of the trimmed standard deviation


@dataclass(frozen=True)
class Ranking:
    """Message dimensions in the order of their importance.

    Attributes:
        measures: importance [M] by every measure: `std`, `trimmed_std`, and `kl` for a Gaussian head; zero
            where pruned.
        mask: True where the dimension is not pruned, shape [M].
        kind: the measure that decides.
        components: the D most important unpruned dimensions, or as many as there are, the first first.
        reason: why these, in a sentence.
    """

    measures: dict[str, Array]
    mask: npt.NDArray[np.bool_]
    kind: str
    components: tuple[int, ...]
    reason: str

    @property
    def importance(self) -> Array:
        """What decides, per message dimension, shape [M]."""
        return self.measures[self.kind]


def rank(measures: dict[str, Array], mask: npt.NDArray[np.bool_], dim: int, how: str = "auto") -> Ranking:
    """Select message dimensions.

    Args:
        measures: importance [M] by name.
        mask: True where not pruned.
        dim: dimensions to select.
        how: `auto` takes `kl` where there is one and `std` elsewhere, as published; or a name.
    """
    kind = how if how != "auto" else "kl" if "kl" in measures else "std"
    head = "Gaussian" if kind == "kl" else "deterministic"
    why = "as asked" if how != "auto" else f"published for a {head} head"
    selected = {name: top(values, mask, dim) for name, values in measures.items()}
    chosen, active = selected[kind], int(mask.sum())
    reason = f"{len(chosen)} of {active} unpruned dimensions, ranked by {MEANING[kind]} ({why})"
    others = [f"{name} {list(dims)}" for name, dims in selected.items() if set(dims) != set(chosen)]
    if others:
        reason += f"; others would select {', '.join(others)}"
    return Ranking(measures, mask, kind, chosen, reason)


def top(importance: Array, mask: npt.NDArray[np.bool_], dim: int) -> tuple[int, ...]:
    """The `dim` most important unpruned dimensions, most important first."""
    ranked = np.argsort(-np.where(mask, importance, -np.inf), kind="stable")
    return tuple(int(k) for k in ranked[: min(dim, int(mask.sum()))])


def trimmed_std(values: Array, trim: float = TRIMMED) -> Array:
    """Standard deviation of the (1 − trim) share of each column of [E, M] that has the smallest one.

    It is the least trimmed squares of a constant, exact, because the points kept are neighbours.
    """
    keep = max(1, round((1 - trim) * len(values)))
    v = np.sort(values - np.median(values, axis=0), axis=0).astype(np.float64)
    zero = np.zeros((1, v.shape[1]))
    sums, squares = (np.concatenate([zero, np.cumsum(v**power, axis=0)]) for power in (1, 2))
    first, second = (c[keep:] - c[:-keep] for c in (sums, squares))
    return np.sqrt(np.maximum((second - first**2 / keep).min(0) / keep, 0.0))
