"""Velocities and accelerations from positions: local polynomials, and blocks of time.

Shape letters: S trajectories, T frames, n particles, D space dims.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.signal import savgol_coeffs, savgol_filter

from gnn_distill.arrays import Array
from gnn_distill.data.own.tracks import Observed, bad, first_true
from gnn_distill.errors import InputError

ROUNDED = 0.45  # of a given time step: how far rounding may move a time, and no frame be missing
NOISY = 0.05  # share of a derivative that may be error from scatter before it is doubted
WIDER = (9, 11, 15, 21, 31, 41, 61, 81, 101)  # windows to try against it
JITTER = 0.02  # of the time step: how far a frame may lie from a uniform clock (times are often rounded)


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

    def error(self, values: Array, dt: Array, derivative: int) -> float:
        """Error of the derivative that the scatter of `values` about the fit accounts for (RMS).

        White noise of size σ gives σ |c| / dt^derivative, with c the weights of the fit. Where the data
        are clean, the scatter is what the polynomial cannot follow. NaN if the fit leaves no scatter.
        """
        weights = savgol_coeffs(self.window, self.order, deriv=derivative)
        left = 1 - savgol_coeffs(self.window, self.order)[self.half]
        if left < 1e-9:
            return float("nan")
        inner = slice(self.half, values.shape[1] - self.half)
        scatter = (values - self(values, dt, 0))[:, inner] / np.sqrt(left)
        size = np.sqrt((scatter**2).mean((1, 2, 3))) * np.linalg.norm(weights) / dt**derivative
        return float(np.sqrt((size**2).mean()))


def spacing(seen: Observed, time_step: float | None) -> Array:
    """Time between frames of each trajectory, shape [S].

    Raises:
        InputError: the time step is unknown, frames are not evenly spaced, or file and config disagree.
    """
    sims, frames = seen.positions.shape[:2]
    if time_step is None and (seen.times is None or seen.counted):
        fix = "derivatives need the time between frames, which the file does not say: dataset.time_step=0.01"
        raise InputError("dataset.time_step", None, fix)
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
        s, k = first_true(off)
        where = f"{seen.times[s, k]:g} at frame {k} where {even[s, k]:g} is due"
        fix = "derivatives need even spacing: interpolate the missing frames, or cut there into trajectories"
        fix += "; if times are only rounded, give what is between frames: dataset.time_step=0.01"
        raise bad(seen.path, f"times are not evenly spaced: {where}", fix)
    if seen.counted:
        return step * (time_step or 1.0)
    if time_step is not None and (np.abs(step - time_step) > JITTER * time_step).any():
        fix = f"the file's own times are {step[0]:g} apart: leave it null, or mend the file"
        raise InputError("dataset.time_step", time_step, fix)
    return step


@dataclass(frozen=True)
class Derived:
    """A derivative that a file lacked, and how exact it is.

    Attributes:
        note: what they were derived from, and how, with their error.
        doubt: what to do about an error that is too large; None where it is small.
    """

    note: str
    doubt: str | None


def complete(
    seen: Observed, time_step: float | None, fit: Differentiator
) -> tuple[Array, Array, list[Derived]]:
    """Velocities and accelerations, those that the file lacks derived.

    Returns:
        Velocities and accelerations, both [S, T, n, D], and what was derived.
    """
    v, a, x = seen.velocities, seen.accelerations, seen.positions
    if v is not None and a is not None:
        return v, a, []
    if x.shape[1] < fit.window:
        many = f"{x.shape[1]} frames (of the shortest trajectory)"
        fix = "track longer, or set a smaller dataset.window and dataset.order"
        raise bad(seen.path, f"{many} are fewer than dataset.window={fit.window}", fix)
    dt, derived = spacing(seen, time_step), []
    if a is None:
        of, source, derivative = ("positions", x, 2) if v is None else ("velocities", v, 1)
        a = fit(source, dt, derivative)
        derived.append(_described("accelerations", of, source, dt, derivative, fit))
    if v is None:
        v = fit(x, dt, 1)
        derived.append(_described("velocities", "positions", x, dt, 1, fit))
    return v, a, derived


def _described(name: str, of: str, source: Array, dt: Array, derivative: int, fit: Differentiator) -> Derived:
    error, size = _error_and_size(source, dt, derivative, fit)
    power = "noise/dt²" if derivative == 2 else "noise/dt"
    note = (
        f"{name} are derived from {of} (polynomials of order {fit.order} over a window of {fit.window} "
        f"frames, dt = {dt.mean():.3g}). Scatter of the {of} makes an error of about {error:.2g} in them, "
        f"beside a typical size of {size:.2g}; noise enters as {power}"
    )
    if not error > NOISY * size:
        return Derived(note, None)
    percent = f"{100 * error / max(size, 1e-300):.0f} %"
    doubt = f"Scatter of the {of} makes an error of about {percent} in the {name} derived from them"
    return Derived(note, f"{doubt}: {_remedy(source, dt, derivative, fit)}")


def _remedy(source: Array, dt: Array, derivative: int, fit: Differentiator) -> str:
    """The narrowest window that makes the error small, or the best of those that leave half of the frames."""
    found = {np.inf: 0}  # windows by the share of the error that is left
    for window in (w for w in WIDER if fit.window < w <= source.shape[1] // 2):
        error, size = _error_and_size(source, dt, derivative, Differentiator(window, fit.order))
        share = error / max(size, 1e-300)
        found[share] = window
        if share <= NOISY:
            break
    share = min(found)
    if not share < np.inf:
        return "track more exactly, or longer and with a wider dataset.window"
    best = f"with dataset.window={found[share]} it is about {100 * share:.0f} %"
    return best if share <= NOISY else f"{best}, which is still much; track more exactly"


def _error_and_size(source: Array, dt: Array, derivative: int, fit: Differentiator) -> tuple[float, float]:
    """Error that scatter makes in a derivative, and its typical size (both RMS)."""
    return fit.error(source, dt, derivative), float(np.sqrt((fit(source, dt, derivative) ** 2).mean()))


def blocks_of(frames: int, blocks: int, gap: int, every: int) -> npt.NDArray[np.int64]:
    """Frame numbers [blocks, L] of contiguous blocks of equal length, `gap` frames apart, thinned.

    Raises:
        InputError: there are too few frames for so many blocks.
    """
    length = (frames - gap * (blocks - 1)) // blocks
    if length < 1:
        few = f"{frames} frames, {gap} of them left out between blocks, are too few"
        raise InputError("dataset.blocks", blocks, f"{few}: use fewer or track longer")
    return np.arange(blocks)[:, None] * (length + gap) + np.arange(0, length, every)
