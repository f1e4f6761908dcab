"""Derivatives by local polynomials, the clock they need, and blocks of time.

Shape letters: S trajectories, T frames, n particles, D space dims.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.signal import savgol_coeffs, savgol_filter

from gnn_distill.arrays import Array
from gnn_distill.data.own.tracks import Observed
from gnn_distill.errors import InputError

ROUNDED = 0.45  # of a given time step: how far rounding may move a time, and no frame be missing
MEDIAN = 0.4549  # of the square of a normal number
JITTER = 0.02  # of the time step: how far a frame may lie from a uniform clock (times are often rounded)


def typical(values: Array) -> float:
    """Mean square that normal values would have whose median square is that of `values`."""
    return float(np.median(values**2)) / MEDIAN


@dataclass(frozen=True)
class Differentiator:
    """Savitzky–Golay: the derivative of a polynomial fitted to `window` frames around each frame.

    Source: A. Savitzky and M. J. E. Golay (1964), Anal. Chem. 36, 1627.

    Args:
        window: frames of the fit, odd.
        order: degree of the polynomial, less than `window`.
    """

    window: int
    order: int

    @property
    def half(self) -> int:
        """Frames on each side of the one that the fit is for."""
        return self.window // 2

    def __call__(self, values: Array, dt: Array, derivative: int) -> Array:
        """Derivative of `values` [S, T, n, D] in time, for frames `dt` [S] apart; same shape.

        The first and the last `half` frames are read off the fit to the outermost window.
        """
        raw = savgol_filter(values, self.window, self.order, deriv=derivative, axis=1, mode="interp")
        return raw / dt[:, None, None, None] ** derivative

    def mean_square(self, values: Array, derivative: int) -> float:
        """Of the derivative of `values` [S, T, n, D], for frames 1 apart."""
        return float((self(values, np.ones(len(values)), derivative) ** 2).mean())

    def weights(self, derivative: int) -> Array:
        """What each frame of the window counts in the derivative [window], for frames 1 apart."""
        return np.asarray(savgol_coeffs(self.window, self.order, deriv=derivative, use="dot"))

    @property
    def residual(self) -> Array:
        """What each frame of the window counts in the distance of the middle one from the fit [window]."""
        return np.eye(self.window)[self.half] - self.weights(0)

    def scatter(self, values: Array) -> float:
        """Size of the white noise that would leave the scatter of `values` about the fit.

        It follows from the median, so that few close encounters, which no fit follows, do not count.
        Where the data are clean, the scatter is what the polynomial cannot follow.
        NaN if the fit leaves none.
        """
        left = 1 - self.weights(0)[self.half]
        if left < 1e-9:
            return float("nan")
        inner = slice(self.half, values.shape[1] - self.half)
        off = (values - self(values, np.ones(len(values)), 0))[:, inner]
        return float(np.sqrt(typical(off) / left))

    def error(self, values: Array, dt: Array, derivative: int) -> float:
        """Error of the derivative that the scatter of `values` about the fit accounts for.

        White noise of size σ gives σ |c| / dt^derivative, with c the weights of the fit.
        """
        size = np.linalg.norm(self.weights(derivative)) * np.sqrt((dt ** (-2.0 * derivative)).mean())
        return float(self.scatter(values) * size)

    def kernel(self, derivative: int) -> tuple[float, ...]:
        """K [window] with Σ_k K_k a(t + k dt) the derivative that is read off tracks of acceleration a.

        Of positions the second derivative is read, of velocities the first. K is the cumulative sum of the
        weights, taken that many times, with the least change that makes it exact for polynomials a of
        degree 5. It sums to 1.
        """
        weights, k = self.weights(derivative), np.arange(self.window) - self.half
        total = weights
        for _ in range(derivative):
            total = np.cumsum(total)
        total = total[::-1] if derivative == 2 else -(total + np.append(0.0, total[:-1])) / 2
        powers = np.arange(min(self.window, 6))
        rise = (powers[:, None] + 1.0) * (powers[:, None] + 2.0 if derivative == 2 else 1.0)
        wanted = (weights * k ** (powers[:, None] + derivative) / rise).sum(1)
        scale = float(max(self.half, 1)) ** powers
        moments = (k / max(self.half, 1)) ** powers[:, None]
        return tuple(total + np.linalg.pinv(moments) @ (wanted / scale - moments @ total))


def spacing(seen: Observed, time_step: float | None) -> Array | None:
    """Time between frames of each trajectory, shape [S]; None where they are not evenly spaced.

    Raises:
        InputError: the time step is unknown, or file and config disagree.
    """
    sims, frames = seen.positions.shape[:2]
    if time_step is None and (seen.times is None or seen.counted):
        raise counted_without_step()
    if seen.times is None or frames < 2:
        return np.full(sims, time_step or 1.0)
    step = (seen.times[:, -1] - seen.times[:, 0]) / (frames - 1)
    even = seen.times[:, :1] + step[:, None] * np.arange(frames)
    off = np.abs(seen.times - even) > JITTER * step[:, None]
    if off.any() and time_step is not None and not seen.counted:
        due = seen.times[:, :1] + time_step * np.arange(frames)
        if (np.abs(seen.times - due) < ROUNDED * time_step).all():
            return np.full(sims, time_step)
    if off.any():
        return None
    if seen.counted:
        return step * (time_step or 1.0)
    if time_step is not None and (np.abs(step - time_step) > JITTER * time_step).any():
        fix = f"the file's own times are {step[0]:g} apart: leave it null, or mend the file"
        raise InputError("dataset.time_step", time_step, fix)
    return step


def counted_without_step() -> InputError:
    """The error where frames are only counted."""
    fix = "derivatives need the time between frames, which the file does not say: dataset.time_step=0.01"
    return InputError("dataset.time_step", None, fix)


def blocks_of(frames: int, blocks: int, gap: int, every: int) -> npt.NDArray[np.int64]:
    """Frame numbers [blocks, L] of contiguous blocks of equal length, `gap` frames apart, thinned.

    Raises:
        InputError: there are too few frames for so many blocks.
    """
    length = (frames - gap * (blocks - 1)) // blocks
    if length < 1:
        few = f"{frames} frames, {gap} of them left out between blocks, are too few"
        raise InputError(
            "dataset.blocks",
            blocks,
            f"{few}: use fewer, track longer, or, if identity=run needs them, dataset.hidden=0",
        )
    return np.arange(blocks)[:, None] * (length + gap) + np.arange(0, length, every)
