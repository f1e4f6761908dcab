"""The parts of a run that a notebook looks at: its messages and its law.

Shapes: E edges of the recorded sample, M message dims, K selected components, D space dims.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from torch import Tensor

from gnn_distill.forces import SOFTENING
from gnn_distill.messages import SPACE
from gnn_distill.report.equations import acceleration_text, in_distance, law_terms, plain_distance
from gnn_distill.report.terminal import LEGEND
from gnn_distill.symbolic.closed_form import Law
from gnn_distill.symbolic.engine import FURTHER_NAMES, VARIABLES
from gnn_distill.symbolic.export import latex
from gnn_distill.symbolic.module import VELOCITIES, LawModule
from gnn_distill.symbolic.parse import parse

Array = npt.NDArray[np.float64]

READ = ("d", *VARIABLES, *VELOCITIES, *FURTHER_NAMES)


@dataclass(frozen=True)
class Messages:
    """A random sample of edges of the test set, with everything known of them.

    Index 1 is the receiver, 2 the sender; units are those of the data.

    Attributes:
        delta: Δ = x₁ − x₂, shape [E, D].
        r: |Δ| + 0.01, shape [E].
        m1: mass of the receiver [E]; `m2` of the sender; `q1`, `q2` the charges.
        receiver: number of the receiving particle, shape [E]; equal numbers share one receiver.
        force: exact force on the receiver, shape [E, D]; None where the law is unknown.
        messages: as the network sends them, shape [E, M].
        components: the K dimensions that vary most, most important first.
        selected: their messages, standardised over the test set, shape [E, K].
        pullback: contribution of each edge to the acceleration, shape [E, D].
        importance: of every dimension [M], 0 where pruned; `mask`: which are not pruned [M].
        trajectory: number of the trajectory of each edge, shape [E].
    """

    delta: Array
    r: Array
    m1: Array
    m2: Array
    q1: Array
    q2: Array
    receiver: npt.NDArray[np.int64]
    force: Array | None
    messages: npt.NDArray[np.float32]
    components: npt.NDArray[np.int64]
    selected: Array
    pullback: Array
    importance: Array
    mask: npt.NDArray[np.bool_]
    trajectory: npt.NDArray[np.int64]

    @classmethod
    def of(cls, arrays: Mapping[str, Any]) -> Messages:
        """From the arrays of `messages.npz`."""
        found: dict[str, Any] = {name: arrays.get(name) for name in cls.__dataclass_fields__}
        return cls(**found)

    @property
    def acceleration(self) -> Array | None:
        """Exact contribution F / m₁ to the acceleration, shape [E, D]; None where the law is unknown."""
        return None if self.force is None else self.force / self.m1[:, None]

    @property
    def names(self) -> tuple[str, ...]:
        """Names of `variables`: `dx dy [dz] r m1 m2 q1 q2`."""
        return (*SPACE[: self.delta.shape[1]], "r", "m1", "m2", "q1", "q2")

    @property
    def variables(self) -> Array:
        """What symbolic regression reads, shape [E, D + 5]."""
        return np.column_stack([self.delta, self.r, self.m1, self.m2, self.q1, self.q2])


@dataclass(frozen=True, repr=False)
class DistilledLaw:
    """The law in closed form: a_i = Σ_j f(Δ_ij, r_ij, m₁, m₂, q₁, q₂), one f for each Cartesian component.

    Attributes:
        content: all of `law.json`.
    """

    content: dict[str, Any]

    @property
    def acceleration(self) -> tuple[str, ...]:
        """What one pair contributes, one expression for each component; sympy can read it."""
        return tuple(self.content["acceleration"])

    @property
    def radial(self) -> str | None:
        """The factor f where every component is f·Δ/|Δ|; None for other laws."""
        return self.content.get("radial")

    @property
    def constants(self) -> tuple[tuple[float, ...], ...]:
        """Fitted constants of each component, in the order of their appearance."""
        return tuple(tuple(row) for row in self.content["constants"])

    @property
    def intervals(self) -> tuple[tuple[tuple[float, float], ...], ...]:
        """Bootstrap interval of each constant."""
        rows = self.content.get("intervals") or []
        return tuple(tuple((low, high) for low, high in row) for row in rows)

    @property
    def mae(self) -> float:
        """Mean absolute error of accelerations on test graphs; `network_mae` that of the network."""
        return float(self.content["test"]["mae"])

    @property
    def network_mae(self) -> float:
        """Mean absolute error of the network's accelerations on the same graphs."""
        return float(self.content["network"]["mae"])

    @property
    def r2_truth(self) -> dict[str, list[float]] | None:
        """R² of pair accelerations against the truth by `robust` and `ols`; None without a known law."""
        return self.content.get("r2_truth")

    def module(self, edges: tuple[Tensor, Tensor] | None = None) -> LawModule:
        """The law as a torch module that takes what the network takes.

        Args:
            edges: receivers and senders, each [E], as `run.model.edges(n)` gives them; all pairs if None.
        """
        return LawModule.from_law(self.content, edges)

    def __str__(self) -> str:
        lines = [acceleration_text(*terms) for terms in law_terms(self.content)]
        return "\n".join([*lines, LEGEND, *plain_distance(self.content)])

    __repr__ = __str__

    def _repr_latex_(self) -> str:
        alone = self.content.get("one_body") or []
        plain = [in_distance(pair) for pair in self.acceleration]
        pairs = self.acceleration if None in plain else [str(pair) for pair in plain]
        read = (tuple(parse(text, READ) for text in texts) for texts in (pairs, alone))
        body = latex(Law(*read)).partition("\n")[2].strip().replace("align*", "aligned")
        told = rf"r = |\Delta| + {SOFTENING:g}" if None in plain else r"d = |\Delta|"
        return rf"$${body} \qquad {told}$$"
