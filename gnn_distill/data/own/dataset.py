"""A file of tracked particles as a dataset.

Shapes: S trajectories, T frames, n particles, D space dims, K further features; G graphs.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from gnn_distill.arrays import Array
from gnn_distill.data.own.agree import check_velocities, implied_step
from gnn_distill.data.own.bonds import bonds
from gnn_distill.data.own.box import brought_home, check_edges, check_space, half, rounded_down, unwrapped
from gnn_distill.data.own.contents import check_charges, extent, particles, runs
from gnn_distill.data.own.contents import doubts as doubts_of
from gnn_distill.data.own.derive import blocks_of, spacing
from gnn_distill.data.own.dynamics import DYNAMICS, is_smooth, judge_smooth, judge_steps
from gnn_distill.data.own.files.columns import QUANTITIES, Wanted
from gnn_distill.data.own.files.places import files_of
from gnn_distill.data.own.files.read import ENDINGS, read
from gnn_distill.data.own.flat import Rows, of_tracks
from gnn_distill.data.own.individuals import Hidden
from gnn_distill.data.own.motion import Fitting, Motion, first_order, second_order
from gnn_distill.data.own.neighbours import (
    GRAPHS,
    LARGE,
    Adjacency,
    Company,
    adjacency,
    closest,
    limited,
    together,
    typical_radius,
    within,
)
from gnn_distill.data.own.pieces import Clock, Even, Pieces, clock
from gnn_distill.data.own.tracks import Observed, as_table, check
from gnn_distill.data.particles import ParticleData
from gnn_distill.data.sightings import Sightings
from gnn_distill.errors import InputError, check_choice, check_int, check_range
from gnn_distill.physics.equation import as_equation
from gnn_distill.physics.laws import ForceLaw, check_law

log = logging.getLogger(__name__)

BLOCKS = 20  # of each trajectory, where a file has fewer trajectories than the three parts of a split
FEWEST = 6  # of them, where windows are wide
LONG = 5  # times the window: length of a block, if there are more blocks than that
HIGHEST = 8  # degree of polynomials
WIDE = 4  # windows that a block must hold


@dataclass(frozen=True)
class OwnData:
    """The user's own tracked particles; `docs/own_data.md` describes the files.

    ```yaml
    dataset: {_target_: gnn_distill.data.own.dataset.OwnData, path: tracks.csv, time_step: 0.01}
    ```

    Args:
        path: a file, a folder, a pattern such as `runs/*.csv`, or a list; each file is a run of its own.
        topology: file that says what the atoms of a DCD, XTC, TRR or NetCDF trajectory are.
        dim: space dimensions D, 2 or 3; None takes those of the file.
        features: columns of a table that are further inputs.
        units: of length, time, mass and charge, as words for page and figures.
        time_step: time between frames, where the file does not say it and derivatives are needed.
        dynamics: second_order (labels are accelerations) or first_order (overdamped: labels are velocities,
            and no velocity is an input); auto finds out which, and says how.
        window: frames of the fit that derives what is missing, odd; auto takes those of the least error.
        order: degree of its polynomials, at least 2 and less than `window`.
        drop_edges: leave out the first and last `window // 2` frames of a trajectory where something is
            derived; the fit there is one-sided and several times worse.
        graph: complete, chain, nearest, cutoff or file; None takes cutoff if there is a radius, else the
            file's edges, else those of `law`, else cutoff with more than 300 particles, else complete.
        neighbours: senders per receiver, for `nearest`.
        radius: largest distance of an interaction; alone it chooses `cutoff`.
        box: edges of the periodic box, null along an open axis.
        blocks: of time that each trajectory is cut into, for a split to share out; None is 1, for a file of
            fewer than three trajectories 20, or down to 6 where windows are wide.
        every: keep each k-th frame, after derivation.
        law: the true law, if it is known: the results are then compared with it.
        seed: of the run; the data do not depend on it.
        hidden: properties of each individual that nobody measured, 0 to 2; auto asks the data.
        identity: whether a label is the same individual in all runs, `file`, or within one, `run`.
        known: what is known of individuals, by label: `{earth: {mass: 3.0e-6}}`.
    """

    path: str | list[str] | None = None
    topology: str | None = None
    dim: int | None = None
    features: list[str] | None = None
    units: dict[str, str] | None = None
    time_step: float | None = None
    dynamics: str = "auto"
    window: int | str = "auto"
    order: int = 4
    drop_edges: bool = True
    graph: str | None = None
    neighbours: int | None = None
    radius: float | None = None
    box: list[float | None] | None = None
    blocks: int | None = None
    every: int = 1
    law: ForceLaw | None = None
    seed: int = 0
    hidden: int | str = "auto"
    identity: str = "file"
    known: dict[str, dict[str, float]] | None = None

    def __post_init__(self) -> None:
        files_of(self.path, ENDINGS)
        self._hidden()
        if self.dim is not None:
            check_int("dataset.dim", self.dim, 2, 3)
        self._check_words()
        for key in ("time_step", "radius"):
            if (value := getattr(self, key)) is not None:
                check_range(f"dataset.{key}", value, 0.0, open_low=True)
        check_choice("dataset.dynamics", self.dynamics, DYNAMICS)
        check_edges(self.box)
        self._check_window()
        if not isinstance(self.drop_edges, bool):
            raise InputError("dataset.drop_edges", self.drop_edges, "give true or false")
        self._check_graph()
        for key in ("blocks", "every", "neighbours"):
            if (value := getattr(self, key)) is not None:
                check_int(f"dataset.{key}", value, 1)
        if self.law is not None:
            check_law(self.law)
        check_int("seed", self.seed, 0)

    def _check_words(self) -> None:
        if not isinstance(self.features, list | None) or isinstance(self.features, str):
            raise InputError("dataset.features", self.features, "give a list: dataset.features=[radius]")
        if not isinstance(self.units, dict | None) or {*(self.units or {})} - {*QUANTITIES}:
            fix = "give words for length, time, mass or charge: dataset.units={length: um, time: s}"
            raise InputError("dataset.units", self.units, fix)

    def _check_window(self) -> None:
        if self.window == "auto":
            check_int("dataset.order", self.order, 2, HIGHEST)
            return
        if not isinstance(self.window, int):
            raise InputError("dataset.window", self.window, "give auto or an odd whole number")
        check_int("dataset.window", self.window, 3)
        if self.window % 2 == 0:
            raise InputError("dataset.window", self.window, f"give an odd number, say {self.window + 1}")
        check_int("dataset.order", self.order, 2, self.window - 1)

    def _check_graph(self) -> None:
        if self.graph is not None:
            check_choice("dataset.graph", self.graph, GRAPHS)
        self._check_radius(self.box)
        for kind, key in (("nearest", "neighbours"), ("cutoff", "radius")):
            value = getattr(self, key)
            implied = kind == "cutoff" and self.graph is None
            if (self.graph == kind) != (value is not None) and not implied:
                fix = f"dataset.graph={kind} and dataset.{key} go together: give both or none"
                raise InputError(f"dataset.{key}", value, fix)

    def _check_radius(self, box: Sequence[float | None] | None, cell: Array | None = None) -> None:
        if self.radius is not None and self.radius > (most := half(box, cell)):
            fix = f"half the shortest edge of the box, {rounded_down(most, 6):g}, is the most"
            raise InputError("dataset.radius", self.radius, fix)

    def _hidden(self) -> Hidden:
        """What individuals may have that nobody measured."""
        return Hidden(self.hidden, self.identity, self.known)

    @property
    def files(self) -> tuple[Path, ...]:
        """The files."""
        return files_of(self.path, ENDINGS)

    @property
    def file(self) -> Path:
        """The first of them."""
        return self.files[0]

    @property
    def wanted(self) -> Wanted:
        """What is said about the files."""
        units = {name: str(unit) for name, unit in (self.units or {}).items()}
        return Wanted(self.dim, tuple(self.features or ()), self.time_step, units, self.topology)

    def load(self) -> ParticleData:
        """Read the file, derive what is missing, cut and thin.

        Returns:
            Graphs with node features in the order positions, velocities, charge, mass, further features.

        Raises:
            InputError: naming the file, the array or column, what is wrong with it and the fix.
        """
        seen = self._as_asked(check(read(self.files, self.wanted), self.file, self.dim))
        check_charges(self.law, seen, self.file)
        seen = seen if self.box is None else replace(seen, box=tuple(self.box), cell=None)
        check_space(seen, self.box is not None)
        self._check_radius(seen.box, seen.cell)
        when = self._clock(seen)
        motion = self._motion(seen, when)
        numbers, names, few = self._hidden().of(seen)
        linked, kinds, said = bonds(seen, self._kind(seen))
        rows, blocks, frames = self._rows(seen, motion, when, [linked, numbers])
        radius = self._radius(seen, rows)
        joined, company = self._neighbours(seen, rows, radius)
        near = [limited(particles(seen), radius)] if radius is not None and self.radius is None else []
        notes = [*seen.notes, *said, *motion.notes, *rows.notes, *near, *few]
        softening = 0.0 if self.law is None else as_equation(self.law).softening
        wrong = [*seen.doubts, *motion.doubts, *rows.doubts, *doubts_of(seen, softening > 0)]
        for sentence in (*notes, *wrong):
            log.warning("%s: %s", self.file, sentence)
        return ParticleData(
            rows.features.astype(np.float32),
            rows.labels.astype(np.float32),
            frames=frames,
            adjacency=joined,
            spacing=self._spacing(seen, when),
            blocks=blocks,
            notes=tuple(notes),
            doubts=tuple(wrong),
            further=seen.names,
            order=motion.order,
            box=seen.box,
            radius=radius,
            softening=softening,
            sightings=None if company is None else Sightings(rows.unit, rows.frame, rows.piece, *company),
            kernel=motion.kernel if self.every == 1 else (),
            noise=motion.noise,
            estimates=motion.estimates,
            units=seen.units,
            individuals=names,
            hidden=self._hidden().dims if names else 0,
            known=self.known or {},
            optional=self.hidden == "auto",
            bonds=kinds,
        )

    def _as_asked(self, seen: Observed) -> Observed:
        """The same, as a table where neighbours change in time or frames lack that derivatives need."""
        given = seen.velocities is not None and seen.accelerations is not None
        if seen.sighted is not None:
            return seen
        if self._kind(seen) in ("nearest", "cutoff"):
            return as_table(seen)
        known = self.time_step is not None or not (seen.times is None or seen.counted)
        uneven = known and not given and spacing(seen, self.time_step) is None
        return as_table(seen) if uneven else seen

    def _clock(self, seen: Observed) -> Even | Clock | None:
        """What derivatives are taken along; None where it is neither known nor needed."""
        needed = seen.velocities is None or seen.accelerations is None
        try:
            if seen.sighted is not None:
                return clock(seen, self.time_step, needed)
            step = spacing(seen, self.time_step)
            return None if step is None else Even(step, seen.positions.shape[1])
        except InputError as error:
            if not needed:
                return None
            asked = error.key == "dataset.time_step" and self.time_step is None
            implied = implied_step(seen, unwrapped(seen.positions, seen.box, seen.cell)) if asked else None
            if implied is None:
                raise
            fix = f"{error.fix}; velocities and positions together say about {implied:.4g}"
            raise InputError(error.key, error.value, fix) from error

    def _motion(self, seen: Observed, when: Even | Clock | None) -> Motion:
        """Features and labels in time, of the order that was asked for or found."""
        x = unwrapped(seen.positions, seen.box, seen.cell)
        over, doubts = when.pieces if isinstance(when, Clock) else when, list[str]()
        v, a = seen.velocities, seen.accelerations
        if over is not None and not (seen.counted and self.time_step is None):
            v, a = (None if part is None else over.sample(part) for part in (v, a))
            some = replace(seen, velocities=v, accelerations=a)
            doubts = check_velocities(some, over.sample(x), over.times)
        motion = self._told(seen, x, runs(seen, when), None if v is not None and a is not None else over)
        if seen.cell is not None:  # unwrapped, they are no images of those in a cell that has changed since
            back = (seen.positions - x)[:, motion.first :][:, : motion.positions.shape[1]]
            motion = replace(motion, positions=motion.positions + back)
        return replace(motion, doubts=(*doubts, *motion.doubts))

    def _told(self, seen: Observed, x: Array, frames: tuple[int, int], over: Even | Pieces | None) -> Motion:
        """Features and labels in time; `over` is None where nothing has to be derived."""
        given = seen.velocities is not None, seen.accelerations is not None
        widest = frames[1] // (self.blocks or (FEWEST if frames[0] < 3 else 1)) // WIDE
        widest = min(widest, over.widest) if isinstance(over, Pieces) else widest
        window = None if isinstance(self.window, str) else self.window
        fitting = Fitting(window, self.order, widest, self.drop_edges)
        if isinstance(over, Pieces):
            fitting.check(seen, over.longest)
        some = x if over is None else over.sample(x)
        if self.dynamics == "first_order":
            return first_order(seen, x, over, fitting, noisy=not is_smooth(some))
        if self.dynamics == "second_order" or any(given) or over is None:
            return second_order(seen, x, over, fitting)
        if seen.cell is not None:
            fix = "it is told from pairs in boxes of one shape alone: give second_order or first_order"
            raise InputError("dataset.dynamics", "auto", fix)
        verdict, second = judge_steps(some), None
        if verdict is None:
            second = second_order(seen, x, over, fitting)
            verdict = judge_smooth(seen, second)
        if second is None or verdict.order == 1:
            second = first_order(seen, x, over, fitting, verdict.noisy)
        return replace(second, notes=(verdict.note, *second.notes))

    def _rows(
        self, seen: Observed, motion: Motion, when: Even | Clock | None, more: list[Array]
    ) -> tuple[Rows, int, int]:
        """Features and labels, of equal frames or as a table; blocks of a run; frames of a block."""
        sims, frames = runs(seen, when)
        length = motion.positions.shape[1] if seen.sighted is None else frames
        blocks = self._blocks(sims, length, motion.gap, more[-1].size > 0 and self.identity == "run")
        kept = blocks_of(length, blocks, motion.gap, self.every)
        places = (seen.charges[..., None], seen.masses[..., None], seen.features, seen.cells, *more)
        columns = [c[:, motion.first :][:, : motion.positions.shape[1]] for c in places]
        x = np.concatenate([motion.positions, motion.velocities, *columns], -1)
        low, where = seen.positions.min(axis=(0, 1, 2)), seen.columns

        def home(x: Array) -> list[str]:
            return brought_home(x[..., where.position], seen.box, x[..., where.cell], low, extent(seen))

        if isinstance(when, Clock) and seen.sighted is not None:
            labels = motion.labels[0, :, 0]
            rows = of_tracks(x[0, :, 0], labels, seen.sighted, when, blocks, motion.gap, self.every)
            said = home(rows.features)
        else:
            said = home(x)
            x, a = x[:, kept], motion.labels[:, kept]
            rows = Rows(x.reshape(-1, *x.shape[3:]), a.reshape(-1, *a.shape[3:]))
        cut = f"each trajectory (of {sims}) is cut into {blocks} blocks of {kept.shape[1]} frames"
        said = [*rows.notes, *said, *([cut] if blocks > 1 else [])]
        return replace(rows, notes=tuple(said)), blocks, kept.shape[1]

    def _kind(self, seen: Observed) -> str | None:
        """What decides who interacts; None takes all pairs, or the file's edges."""
        implied = "cutoff" if self.radius is not None else None
        given = seen.edge_index is not None or seen.edges is not None
        chosen = self.graph or implied or (self.law.graph if self.law and not given else None)
        if chosen is None and not given and particles(seen) > LARGE:
            return "cutoff"
        return chosen

    def _radius(self, seen: Observed, rows: Rows) -> float | None:
        """The largest distance of pairs: given, or found where frames are large; None if there is none."""
        if self._kind(seen) != "cutoff":
            return None
        if self.radius is not None:
            return self.radius
        x, columns = rows.features[0], seen.columns
        return typical_radius(rows.frame, x[:, columns.position], seen.box, x[:, columns.cell])

    def _neighbours(
        self, seen: Observed, rows: Rows, radius: float | None
    ) -> tuple[Adjacency | None, Company | None]:
        """Who acts on whom: in all frames alike, or for each sighting."""
        kind = self._kind(seen)
        if not rows.is_table:
            return adjacency(kind, seen, rows.features.shape[1], len(rows.features)), None
        columns, frame, x = seen.columns, rows.frame, rows.features[0]
        place, cell = x[:, columns.position], x[:, columns.cell]
        if kind == "nearest" and self.neighbours is not None:
            return None, closest(frame, place, self.neighbours, seen.box, cell)
        if radius is not None:
            return None, within(frame, place, radius, seen.box, cell)
        given = seen.edge_index is not None or seen.edges is not None
        if kind in ("chain", "file") or (kind is None and given):
            fix = "particles come and go, so no list of edges holds for all frames: take complete or cutoff"
            raise InputError("dataset.graph", kind, fix)
        return None, together(frame)

    def _spacing(self, seen: Observed, when: Even | Clock | None) -> float | None:
        """Time between the frames that are kept.

        None where it is unknown or not the same everywhere. That does no harm here: where something had to
        be derived, such a file has been refused before.
        """
        try:
            step = when.pieces.dt if isinstance(when, Clock) else spacing(seen, self.time_step)
        except InputError:
            return None
        if step is None or not np.allclose(step, step[0], rtol=1e-6, atol=0.0):
            return None
        return float(step[0]) * self.every

    def _blocks(self, sims: int, frames: int, gap: int, alone: bool) -> int:
        """Pieces that each trajectory is cut into; several where no individual is in two of them."""
        few = min(BLOCKS, max(FEWEST, frames // (LONG * gap))) if gap else BLOCKS
        blocks = self.blocks or (few if sims < 3 else FEWEST if alone else 1)
        if sims * blocks < 3:
            fix = f"{sims} trajectories give too few blocks for three parts of a split: use {BLOCKS}"
            raise InputError("dataset.blocks", self.blocks, fix)
        return blocks
