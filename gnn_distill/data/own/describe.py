"""What was understood of a file, before anything is trained: facts, and the keys that it still wants."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from gnn_distill.arrays import Array
from gnn_distill.data.own.agree import implied_step
from gnn_distill.data.own.box import check_box, half, rounded_down, unwrapped, wrapping
from gnn_distill.data.own.dataset import OwnData
from gnn_distill.data.own.files.assemble import assemble
from gnn_distill.data.own.files.columns import VECTORS, Table
from gnn_distill.data.own.files.names import CELL
from gnn_distill.data.own.files.read import read, table_of
from gnn_distill.data.own.tracks import Observed, check
from gnn_distill.data.particles import ParticleData
from gnn_distill.errors import InputError
from gnn_distill.physics.variables import AXES

SHOWN = 12  # names in a list before it is cut


@dataclass(frozen=True)
class Description:
    """What was understood.

    Attributes:
        facts: label and text of each.
        notes: how the data were read and what is derived; `doubts`: what is wrong with them.
        keys: that the file needs and the command lacks, as they are typed.
        error: why the file cannot be used as it is; None if it can.
    """

    facts: tuple[tuple[str, str], ...]
    notes: tuple[str, ...] = ()
    doubts: tuple[str, ...] = ()
    keys: tuple[str, ...] = ()
    error: InputError | None = None


def describe(source: OwnData) -> Description:
    """Read the files as a run does and say what they hold.

    Raises:
        InputError: they cannot be read at all.
    """
    table = table_of(source.files, source.wanted)
    facts = [("files", _list([file.name for file in source.files]))]
    notes: Sequence[str] = () if table is None else table.notes
    doubts: Sequence[str] = () if table is None else table.doubts
    facts += [] if table is None else _of_table(table)
    counted = table is not None and table.clock == "frame" and source.time_step is None
    keys = ["dataset.time_step=TIME"] if counted else []
    try:
        contents = read(source.files, source.wanted) if table is None else assemble(table, source.file)
        seen = check(contents, source.file, source.dim)
        facts += _of_arrays(seen) if table is None else []
        keys = _wanted(source, seen)
        data = source.load()
        motion = "accelerations" if data.order == 2 else "velocities"
        facts += [
            ("motion", f"{'second' if data.order == 2 else 'first'} order: {motion} are to be explained"),
            ("to learn from", _labelled(data)),
        ]
        notes, doubts = data.notes, data.doubts
    except InputError as error:
        return Description((*facts,), (*notes,), (*doubts,), (*keys,), error)
    return Description((*facts,), (*notes,), (*doubts,), (*keys,))


def _labelled(data: ParticleData) -> str:
    """How much there is to learn from."""
    if data.sightings is None:
        return f"{len(data.features):,} frames of {data.features.shape[1]} particles"
    rows = len(data.sightings.receivers(data.accelerations[0]))
    return f"{rows:,} sightings in frames of about {data.sightings.particles:.0f} particles"


def _of_table(table: Table) -> list[tuple[str, str]]:
    rows, clock = table.rows, table.clock
    particles = rows.groupby("trajectory", observed=True)["particle"].nunique()
    kinds = f", of {len(table.kinds)} kinds" if table.kinds else ""
    runs = rows.groupby("trajectory", observed=True)[clock].nunique()
    used = {name: [p + axis for axis in AXES[: table.dim]] for name, p in VECTORS.items()}
    used = {name: columns for name, columns in used.items() if columns[0] in rows}
    words = [f"{' '.join(columns)} ({name})" for name, columns in used.items()]
    if table.forces:
        words[-1] = f"{' '.join('f' + axis for axis in AXES[: table.dim])} (forces: the answer)"
    words += [clock, *(name for name in ("mass", "charge") if name in rows), *table.features]
    facts = [
        ("particles", f"{_range(particles.to_numpy())}{kinds}, in {table.dim} dimensions"),
        ("runs", f"{len(runs):,}, of {_range(runs.to_numpy())} frames"),
        (clock, _clock(rows, clock)),
        ("columns used", ", ".join(words)),
        ("columns left out", _list(table.left_out) or "none"),
        ("missing", _missing(rows, clock)),
    ]
    names = [name for name in CELL if name in rows]
    return facts + _units(table.units) + _box(table.box, rows[names].to_numpy() if names else None)


def _of_arrays(seen: Observed) -> list[tuple[str, str]]:
    sims, frames, n, dim = seen.positions.shape
    if who := seen.sighted:
        sims, n = len(np.unique(who.run)), len(np.unique(who.particle))
        frames = len(np.unique(who.frame)) // sims
    held = [name for name in ("velocities", "accelerations") if getattr(seen, name) is not None]
    held += [name for name in ("masses", "charges") if np.ptp(getattr(seen, name)) > 0] + [*seen.names]
    times = seen.times
    clock = [] if times is None else [("frame" if seen.counted else "time", _steps(times[0]))]
    edges = [] if seen.edges is None and seen.edge_index is None else [("edges", "those of the file")]
    facts = [
        ("particles", f"{n:,}, in {dim} dimensions"),
        ("runs", f"{sims:,}, of {frames:,} frames"),
        *clock,
        ("arrays used", ", ".join(["positions", *held])),
        *edges,
    ]
    return facts + _units(seen.units) + _box(seen.box, seen.cell)


def _wanted(source: OwnData, seen: Observed) -> list[str]:
    """Keys that the file needs, or that help: in a box only pairs closer than half of it are sure."""
    box, cell = (seen.box, seen.cell) if source.box is None else (tuple(source.box), None)
    check_box(box, seen.positions)
    keys = []
    if cell is None and (found := wrapping(seen, box)):
        known = box or (None,) * seen.positions.shape[-1]
        box = tuple(found.get(axis, edge) for axis, edge in enumerate(known))
        keys.append(f"dataset.box=[{','.join('null' if edge is None else f'{edge:g}' for edge in box)}]")
    most = half(box, cell)
    if np.isfinite(most) and source.radius is None and source.graph is None:
        keys.append(f"dataset.radius={rounded_down(most):g}")
    unknown = seen.counted or (seen.times is None and seen.sighted is None)
    if source.time_step is None and unknown and seen.accelerations is None:
        step = implied_step(seen, unwrapped(seen.positions, box, cell))
        keys.append(f"dataset.time_step={'TIME' if step is None else format(step, '.4g')}")
    return keys


def _clock(rows: pd.DataFrame, clock: str) -> str:
    first = rows[rows["trajectory"] == rows["trajectory"].iloc[0]]
    return _steps(np.unique(first[clock].dropna().to_numpy()))


def _steps(times: Array) -> str:
    if len(times) < 2:
        return f"{times[0]:g}" if len(times) else "none"
    steps = np.diff(times)
    usual = float(np.median(steps))
    gaps = int((steps > 1.5 * usual).sum())
    lacking = f", with {gaps:,} gaps where no particle is seen" if gaps else ""
    return f"{times[0]:g} to {times[-1]:g} in steps of {usual:.6g}{lacking}"


def _missing(rows: pd.DataFrame, clock: str) -> str:
    """How many sightings are missing within tracks, and how many tracks do not last from first to last."""
    place = rows.groupby("trajectory", observed=True)[clock].rank("dense")
    tracks = place.groupby([rows["trajectory"], rows["particle"]], observed=True)
    first, last, count = tracks.min(), tracks.max(), tracks.size()
    ends = place.groupby(rows["trajectory"], observed=True).max().reindex(first.index.get_level_values(0))
    lost = int((last - first + 1 - count).clip(lower=0).sum()) + int(
        rows[["x", "y"]].isna().any(axis=1).sum()
    )
    partial = int(((first > 1) | (last.to_numpy() < ends.to_numpy())).sum())
    if not lost and not partial:
        return "nothing: all particles are in all frames of their run"
    share = 100 * lost / max(lost + len(rows), 1)
    return (
        f"{lost:,} sightings ({share:.2g} %) within tracks; {partial:,} of {len(first):,} tracks come or go"
    )


def _units(units: object) -> list[tuple[str, str]]:
    known = dict(units) if isinstance(units, dict) else {}
    return [("units", ", ".join(f"{name} in {unit}" for name, unit in known.items()))] if known else []


def _box(box: Sequence[float | None] | None, cell: Array | None) -> list[tuple[str, str]]:
    if cell is not None:
        names = [name.removeprefix("cell_") for name in CELL[: cell.shape[-1]]]
        sides = dict(zip(names, cell.reshape(-1, len(names)).T, strict=True))
        words = [
            f"{name} {side.min():g}" + (f" to {side.max():g}" if np.ptp(side) > 0 else "")
            for name, side in sides.items()
            if side.any()
        ]
        return [("box", ", ".join(words))]
    edges = ["open" if edge is None else f"{edge:g}" for edge in box or ()]
    return [("box", " × ".join(edges))] if edges else []


def _range(values: Array) -> str:
    low, high = int(values.min()), int(values.max())
    return f"{low:,}" if low == high else f"{low:,} to {high:,}"


def _list(names: Sequence[str]) -> str:
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return ", ".join(names[:SHOWN]) + more
