"""What a network is to learn from: positions, velocities and labels, given or derived.

Labels are accelerations where the equation of motion is of second order and velocities where it is of first.
Shape letters: S trajectories, T frames, n particles, D space dims.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from gnn_distill.arrays import Array
from gnn_distill.data.own.derive import Differentiator
from gnn_distill.data.own.faults import bad
from gnn_distill.data.own.pieces import Even, Pieces
from gnn_distill.data.own.steps import estimates, noise_of, velocity_diffusion
from gnn_distill.data.own.tracks import Observed
from gnn_distill.data.own.window import Noise, choose, smallest, smoother

NOISY = 0.05  # share of a derivative that may be error from scatter before it is doubted
FEWEST = 8  # frames that steps can be judged by


@dataclass(frozen=True)
class Motion:
    """Positions, velocities and labels of neighbouring frames.

    Attributes:
        first: number of the file's frame that the first of these L frames belongs to.
        positions: shape [S, L, n, D].
        velocities: shape [S, L, n, D]; zero where labels are velocities.
        labels: shape [S, L, n, D].
        gap: frames to leave out between two blocks, so that no frame enters labels of both.
        order: of the equation of motion.
        kernel: what frames count in the labels, see `ParticleData`; likewise `noise` and `estimates`.
        notes: how the labels were made, in sentences.
        doubts: what is wrong with them, in sentences.
    """

    first: int
    positions: Array
    velocities: Array
    labels: Array
    gap: int = 0
    order: int = 2
    kernel: tuple[float, ...] = ()
    noise: float = 0.0
    estimates: Mapping[str, tuple[float, float, float]] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    doubts: tuple[str, ...] = ()


@dataclass(frozen=True)
class Fitting:
    """How derivatives are to be fitted.

    Args:
        window: frames of the fit, odd; None lets the data choose.
        order: degree of the polynomials.
        widest: the widest window that the data may choose.
        drop_edges: leave out frames at both ends, where the fit is one-sided.
    """

    window: int | None
    order: int
    widest: int
    drop_edges: bool

    def __call__(self, source: Array, derivative: int, sums: int) -> Differentiator:
        """The fit for a derivative of `source`, positions (2 sums of kicks) or velocities (1 sum)."""
        window = self.window or choose(source, derivative, self.order, self.widest, sums)
        return Differentiator(window, self.order)

    def check(self, seen: Observed, frames: int) -> None:
        """Refuse tracks that are shorter than the narrowest fit."""
        window = self.window or smallest(self.order)
        if frames < window:
            of = "of the shortest trajectory" if seen.sighted is None else "of the longest unbroken track"
            many = f"{frames} frames ({of})"
            fix = "track longer, or set a smaller dataset.window and dataset.order"
            if seen.sighted is not None:
                fix += "; if times are only rounded, give what is between frames: dataset.time_step=0.01"
            raise bad(seen.path, f"{many} are fewer than dataset.window={window}", fix)


def second_order(seen: Observed, x: Array, over: Even | Pieces | None, fitting: Fitting) -> Motion:
    """Accelerations as labels; they and velocities are derived where the file lacks them.

    Args:
        seen: the file.
        x: its positions [S, T, n, D], without jumps across a box.
        over: what derivatives are taken along; None where nothing has to be derived.
        fitting: how to derive.
    """
    v, a = seen.velocities, seen.accelerations
    if over is None:
        return Motion(0, x, x if v is None else v, x if a is None else a)
    fitting.check(seen, over.longest)
    notes: list[str] = []
    doubts: list[str] = []
    kernel: tuple[float, ...] = ()
    noise, window = 0.0, 0
    found: dict[str, tuple[float, float, float]] = {}
    if a is None:
        name, source, derivative = ("positions", x, 2) if v is None else ("velocities", v, 1)
        some, dt = over.sample(source), over.times
        fit = fitting(some, derivative, derivative)
        a, window = over.derivative(source, fit, derivative), fit.window
        kernel, noise = fit.kernel(derivative), _noise(some, dt, derivative, fit, derivative)
        note, doubt = _described("accelerations", name, some, dt, derivative, fit, fitting)
        found, said = _kicks(some, dt, derivative, fit)
        notes, doubts = [*notes, note, *said], [*doubts, *doubt]
        if v is not None:
            v, said = _smoothed("velocities", v, over, fit, fitting, 1)
            notes += said
    if v is None:
        fit = fitting(over.sample(x), 1, 2)
        window = max(window, fit.window)
        v = over.derivative(x, fit, 1)
        note, doubt = _described("velocities", "positions", over.sample(x), over.times, 1, fit, fitting)
        notes, doubts = [*notes, note], [*doubts, *doubt]
        x, said = _smoothed("positions", x, over, fit, fitting, 2)
        notes += said
    first, x, v, a = over.ends(window, fitting.drop_edges, x, v, a)
    return Motion(first, x, v, a, window, 2, kernel, noise, found, tuple(notes), tuple(doubts))


def first_order(
    seen: Observed, x: Array, over: Even | Pieces | None, fitting: Fitting, noisy: bool
) -> Motion:
    """Velocities as labels, and no velocity among the features.

    Where steps are noisy, a label is one step forward over its time, Δx/dt, as Itô has it. Else it is the
    derivative of a fit. Velocities that the file gives are taken as they are. Arguments as above.
    """
    if seen.velocities is not None or over is None:
        given = x if seen.velocities is None else seen.velocities
        return Motion(0, x, np.zeros_like(x), given, order=1, notes=("the file's velocities are the labels",))
    if noisy:
        return _steps(seen, x, over)
    fitting.check(seen, over.longest)
    some, dt = over.sample(x), over.times
    fit = fitting(some, 1, 2)
    note, doubts = _described("velocities", "positions", some, dt, 1, fit, fitting)
    labels, noise = over.derivative(x, fit, 1), _noise(some, dt, 1, fit, 2)
    x, said = _smoothed("positions", x, over, fit, fitting, 2)
    first, x, still, labels = over.ends(fit.window, fitting.drop_edges, x, np.zeros_like(x), labels)
    made = (still, labels, fit.window, 1, fit.kernel(1), noise)
    return Motion(first, x, *made, {}, (note, *said), tuple(doubts))


def _steps(seen: Observed, x: Array, over: Even | Pieces) -> Motion:
    """Steps over their time as labels.

    The step from a frame shares the localisation noise of that frame's position: a particle seen too far
    to the right seems to move left. Features are then those of the frame before.
    """
    if over.longest < FEWEST:
        few = f"{over.longest} frames (of the shortest trajectory) are too few to tell noise from motion"
        raise bad(seen.path, few, f"track at least {FEWEST}")
    dt = over.times
    found = estimates(over.sample(x), dt)
    labels = over.steps(x, 0)[1]
    noise, size = noise_of(found, float(dt.mean())), float(np.sqrt(np.nanmean(labels**2)))
    (d, *d_ends), (sigma, *sigma_ends) = found["diffusion"], found["localisation_noise"]
    notes = [
        f"velocities are one step forward over its time, dt = {dt.mean():.3g}. Diffusion constant "
        f"{d:.4g} ({d_ends[0]:.4g} to {d_ends[1]:.4g}), localisation noise {sigma:.2g} "
        f"({sigma_ends[0]:.2g} to {sigma_ends[1]:.2g}), each with 95 %; they make an error of {noise:.3g} in "
        f"a velocity, beside a typical size of {size:.3g}"
    ]
    late = 1 if sigma_ends[0] > 0 else 0
    if late:
        notes.append(
            "a step begins with the localisation noise of its frame: positions are of the one before"
        )
    x, labels = over.steps(x, late)
    return Motion(0, x, np.zeros_like(x), labels, 1 + late, 1, (), noise, found, tuple(notes))


def _smoothed(
    name: str, source: Array, over: Even | Pieces, fit: Differentiator, fitting: Fitting, sums: int
) -> tuple[Array, list[str]]:
    """`source` as the fit has it, with a note, where it is less noisy; else the file's own."""
    if fitting.window or not smoother(over.sample(source), fit, sums):
        return source, []
    return over.derivative(source, fit, 0), [
        f"{name} are those of a fit over {fit.window} frames, which is less noisy"
    ]


def _described(
    name: str, of: str, source: Array, dt: Array, derivative: int, fit: Differentiator, fitting: Fitting
) -> tuple[str, list[str]]:
    """How a derivative was made and how exact it is, and what to do where that is not enough."""
    error, size = _error_and_size(source, dt, derivative, fit)
    power = "noise/dt²" if derivative == 2 else "noise/dt"
    chosen = "" if fitting.window else ", chosen by the data"
    note = (
        f"{name} are derived from {of} (polynomials of order {fit.order} over a window of {fit.window} "
        f"frames{chosen}, dt = {dt.mean():.3g}). Scatter of the {of}, {fit.scatter(source):.2g}, makes an "
        f"error of about {error:.2g} in them, beside a typical size of {size:.2g}; noise enters as {power}"
    )
    noise, whole = (
        Noise.of(source, fit.order, 2 if of == "positions" else 1),
        fit.mean_square(source, derivative),
    )
    if not error > NOISY * size or noise.drowned(fit.weights(derivative), whole):
        return note, []
    percent = f"{100 * error / max(size, 1e-300):.0f} %"
    doubt = f"Scatter of the {of} makes an error of about {percent} in the {name} derived from them"
    return note, [f"{doubt}: {_remedy(of, source, dt, derivative, fit, fitting)}"]


def _remedy(of: str, source: Array, dt: Array, derivative: int, fit: Differentiator, fitting: Fitting) -> str:
    """What makes the error of a derivative smaller."""
    if fitting.window is None:
        return "that is the window with the least error; track more exactly, or more frames"
    window = choose(source, derivative, fit.order, source.shape[1] // 2, 2 if of == "positions" else 1)
    if window <= fit.window:
        return "track more exactly, or longer and with a wider dataset.window"
    error, size = _error_and_size(source, dt, derivative, Differentiator(window, fit.order))
    best = f"with dataset.window={window} it is about {100 * error / max(size, 1e-300):.0f} %"
    return best if error <= NOISY * size else f"{best}, which is still much; track more exactly"


def _noise(source: Array, dt: Array, derivative: int, fit: Differentiator, sums: int) -> float:
    """What scatter and random forces make of a derivative (RMS)."""
    size = Noise.of(source, fit.order, sums).error(fit.weights(derivative))
    return float(np.sqrt(size * (dt ** (-2.0 * derivative)).mean()))


def _kicks(
    source: Array, dt: Array, derivative: int, fit: Differentiator
) -> tuple[dict[str, tuple[float, float, float]], list[str]]:
    """The diffusion constant of velocities, with a note, where random forces are much of accelerations."""
    noise, weights = Noise.of(source, fit.order, derivative), fit.weights(derivative)
    whole = fit.mean_square(source, derivative)
    if not noise.drowned(weights, whole):
        return {}, []
    value, *ends = velocity_diffusion(source, dt, derivative)
    found = {"velocity_diffusion": (value, ends[0], ends[1])}
    share = np.sqrt(min(1.0, (noise.error(weights) - noise.error(weights, kicks=False)) / whole))
    return found, [
        f"random forces, as of heat, make about {100 * share:.0f} % of the accelerations: velocities diffuse "
        f"with {value:.4g} ({ends[0]:.4g} to {ends[1]:.4g}, 95 %) in each component"
    ]


def _error_and_size(source: Array, dt: Array, derivative: int, fit: Differentiator) -> tuple[float, float]:
    """Error that scatter makes in a derivative, and its typical size (both RMS)."""
    return fit.error(source, dt, derivative), float(np.sqrt((fit(source, dt, derivative) ** 2).mean()))
