"""Trajectories of the network and of the distilled law from the same initial states, against the truth.

Shapes: S trajectories, T frames, n particles, D space dims.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.integrate import RK45

from gnn_distill.forces import SOFTENING, ForceLaw
from gnn_distill.summary import conserves_energy

Array = npt.NDArray[np.float64]
Accelerations = Callable[[Array, Array], Array]
"""(positions [S, n, D], velocities [S, n, D]) → accelerations [S, n, D]."""

TOLERANCE = 1e-6
STEPS = 4000
"""A rollout that needs more ends where it is."""


@dataclass(frozen=True)
class Tracks:
    """True trajectories.

    Attributes:
        times: of the frames, shape [T].
        positions: shape [S, T, n, D]; `velocities` likewise.
        masses: shape [S, n]; `charges` likewise.
    """

    times: Array
    positions: Array
    velocities: Array
    masses: Array
    charges: Array


def follow(accelerations: Accelerations, tracks: Tracks, steps: int = STEPS) -> tuple[Array, Array]:
    """Integrate from the first frame of `tracks` with an adaptive Runge–Kutta pair.

    Returns:
        Positions and velocities at the frames, each [S, T, n, D]; NaN from where the steps were spent
        or one failed.
    """
    x0, v0 = tracks.positions[:, 0], tracks.velocities[:, 0]
    shape, half = x0.shape, x0.size

    def derivative(_: float, y: Array) -> Array:
        x, v = y[:half].reshape(shape), y[half:].reshape(shape)
        return np.concatenate([v.ravel(), accelerations(x, v).ravel()])

    found = np.full((len(tracks.times), 2 * half), np.nan)
    found[0] = np.concatenate([x0.ravel(), v0.ravel()])
    first, last = float(tracks.times[0]), float(tracks.times[-1])
    with np.errstate(all="ignore"):
        if not np.isfinite(derivative(first, found[0])).all():  # where SciPy's first step would never end
            return _tracked(found, shape)
        solver = RK45(derivative, first, found[0], last, rtol=TOLERANCE, atol=TOLERANCE)
        for _ in range(steps):
            before = solver.t
            solver.step()
            if solver.status == "failed":
                break
            passed = np.flatnonzero((tracks.times > before) & (tracks.times <= solver.t))
            if len(passed):
                found[passed] = solver.dense_output()(tracks.times[passed]).T
            if solver.status == "finished":
                break
    return _tracked(found, shape)


def _tracked(found: Array, shape: tuple[int, ...]) -> tuple[Array, Array]:
    """Positions and velocities [S, T, n, D] from states [T, 2 S n D]."""
    x, v = (part.reshape(-1, *shape).swapaxes(0, 1) for part in np.split(found, 2, axis=1))
    return x, v


def position_error(positions: Array, tracks: Tracks) -> Array:
    """Root mean square distance of the particles from where they really are, shape [S, T]."""
    apart = ((positions - tracks.positions) ** 2).sum(axis=-1)
    return np.asarray(np.sqrt(apart.mean(axis=-1)), dtype=np.float64)


def energy(law: ForceLaw, positions: Array, velocities: Array, tracks: Tracks) -> Array:
    """Energy under the true law, shape [S, T]: kinetic, of the pairs, and of height."""
    m, q = tracks.masses[:, None], tracks.charges[:, None]
    total = 0.5 * (m[..., None] * velocities**2).sum(axis=(2, 3))
    total += law.gravity * (m * positions[..., 1]).sum(axis=2)
    n = positions.shape[2]
    for i in range(n):
        for j in range(i + 1, n) if law.graph == "complete" else range(i + 1, min(i + 2, n)):
            r = np.linalg.norm(positions[:, :, i] - positions[:, :, j], axis=-1) + SOFTENING
            total += law.potential(r, m[..., i], m[..., j], q[..., i], q[..., j], law.params)
    return np.asarray(total, dtype=np.float64)


def energy_drift(energies: Array) -> Array:
    """|E − E₀| / max(1, |E₀|), shape [S, T]."""
    start = energies[:, :1]
    return np.asarray(np.abs(energies - start) / np.maximum(1.0, np.abs(start)), dtype=np.float64)


def compare_rollouts(
    movers: dict[str, Accelerations], tracks: Tracks, law: ForceLaw | None
) -> tuple[dict[str, Array], dict[str, Any]]:
    """Roll out each of `movers` and compare it with the truth.

    Args:
        movers: by name, such as `network` and `law`.
        tracks: the truth.
        law: the true law, for energies; energy is left out where it is unknown or not conserved.

    Returns:
        Arrays for `rollout.npz`: times, and for each name positions, error and drift; and a summary: medians
        over trajectories at the last frame that was reached, and its time.
    """
    conserved = law is not None and conserves_energy(law)
    arrays: dict[str, Array] = {"times": tracks.times, "true_positions": tracks.positions}
    if law is not None and conserved:
        arrays["true_drift"] = energy_drift(energy(law, tracks.positions, tracks.velocities, tracks))
    summary: dict[str, Any] = {"trajectories": len(tracks.positions), "time": float(np.ptp(tracks.times))}
    for name, accelerations in movers.items():
        x, v = follow(accelerations, tracks)
        error = position_error(x, tracks)
        arrays |= {f"{name}_positions": x, f"{name}_error": error}
        last = int(np.flatnonzero(np.isfinite(error).any(axis=0))[-1])
        until = float(tracks.times[last] - tracks.times[0])
        summary[name] = {"position_error": _median(error[:, last]), "until": until}
        if law is not None and conserved:
            drift = energy_drift(energy(law, x, v, tracks))
            arrays[f"{name}_drift"] = drift
            summary[name]["energy_drift"] = _median(drift[:, last])
    return arrays, summary


def _median(values: Array) -> float:
    known = values[np.isfinite(values)]
    return float(np.median(known)) if len(known) else float("nan")
