"""Messages against forces: linear fits, the gauge, the pull-back.

Shapes: E edges, K message components, D space dims, B graphs, n particles, F features of a particle.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from gnn_distill.analyse.linear import TRIM, Fit, fit_column
from gnn_distill.arrays import Array
from gnn_distill.errors import InputError, check_choice
from gnn_distill.model.network import ParticleGNN
from gnn_distill.read.pullback import contributions, odd_contributions, pair_contributions
from gnn_distill.read.record import PULLBACKS

PATH_POINTS = 5


@dataclass(frozen=True)
class LinearFit:
    """Every message component as a linear function of the force.

    Attributes:
        components: one `Fit` each: slope [D], offset, R² and which points count.
    """

    components: tuple[Fit, ...]

    @property
    def r2(self) -> tuple[float, ...]:
        """R² of each component, over the points that its fit keeps."""
        return tuple(fit.r2 for fit in self.components)

    @property
    def r2_mean(self) -> float:
        """Mean of `r2`."""
        return float(np.mean(self.r2))

    @property
    def matrix(self) -> Array:
        """B [K, D] of messages ≈ a + B·F."""
        return np.stack([fit.slope for fit in self.components])

    def predict(self, forces: npt.ArrayLike) -> Array:
        """Fitted messages [E, K] at forces [E, D]."""
        x = np.asarray(forces, dtype=np.float64)
        return np.stack([fit.predict(x) for fit in self.components], axis=1)


def fit_linear(messages: npt.ArrayLike, forces: npt.ArrayLike, robust: bool = True) -> LinearFit:
    """Fit every message component as an offset plus a linear combination of force components.

    R² = 1 on all of them means that the messages are a linear transform of the forces.

    ```python
    m = load_run(path).messages
    fit_linear(m.selected, m.force).r2
    ```

    Args:
        messages: shape [E, K] (or [E] for one component), in any unit.
        forces: shape [E, D]; accelerations F / m₁, or forces in another gauge, do as well.
        robust: least trimmed squares: the worst 10 % of the points are left out of fit and R².
            Otherwise ordinary least squares on all points.

    Raises:
        InputError: the shapes do not fit together.
    """
    y, x = (np.asarray(a, dtype=np.float64) for a in (messages, forces))
    y = y[:, None] if y.ndim == 1 else y
    if y.ndim != 2 or x.ndim != 2 or len(x) != len(y):
        raise InputError("messages, forces", (y.shape, x.shape), "give messages [E, K] and forces [E, D]")
    trim = TRIM if robust else 0.0
    return LinearFit(tuple(fit_column(x, column, trim) for column in y.T))


@dataclass(frozen=True)
class PullBack:
    """What every edge contributes to the acceleration of its receiver.

    Attributes:
        contributions: shape [B, E, D], in units of acceleration; to be compared with F / m₁ on y = x.
        accelerations: predicted by the network, shape [B, n, D].
        receiver: particle that each edge arrives at, shape [E]; `sender` the one that it comes from.
    """

    contributions: Array
    accelerations: Array
    receiver: npt.NDArray[np.int64]
    sender: npt.NDArray[np.int64]


def pull_back(
    model: ParticleGNN,
    features: Tensor | npt.ArrayLike,
    edge_mask: Tensor | None = None,
    kind: Literal["share", "odd", "path", "pair"] = "share",
) -> PullBack:
    """Read the messages through the node model: contributions to the acceleration, no fit, no gauge.

    ```python
    pulled = pull_back(run.model, run.graphs().features[:200])
    pulled.contributions  # sum over the senders: pulled.accelerations
    ```

    Args:
        model: a trained network, as `load_run(path).model`.
        features: of the particles, shape [B, n, F] in the order position, velocity, charge, mass, as
            `load_run(path).graphs().features`.
        edge_mask: which edges exist, bool [B, E]; all if None.
        kind: `share` of the whole prediction, `path` the same with a path-averaged Jacobian, or `odd` part
            in Δ, where single particles are accelerated, too; `pair` for a network of basis `isotropic`.

    Raises:
        InputError: a kind that is unknown or not for this network, or features of another shape than the
            network's.
    """
    check_choice("kind", kind, PULLBACKS)
    if kind == "pair" and model.frame is None:
        raise InputError("kind", kind, "its messages are no pair vectors: take share, odd or path")
    x = torch.as_tensor(features, dtype=torch.float32)
    if x.ndim != 3:
        raise InputError("features", tuple(x.shape), "give [graphs, particles, features]")
    model.eval()
    with torch.no_grad():
        messages = model(x, edge_mask=edge_mask)[1].mean
    c, a = contributions(model, x, messages, edge_mask, PATH_POINTS if kind == "path" else 0)
    if kind == "odd":
        c = odd_contributions(model, x, messages, edge_mask)
    elif kind == "pair":
        c = pair_contributions(model, x, messages)
    receiver, sender = (part.cpu().numpy() for part in model.edges(x.shape[1]))
    pulled, predicted = (np.asarray(t.detach().double().cpu().numpy()) for t in (c, a))
    return PullBack(pulled, predicted, receiver, sender)
