"""What a dataset is like: sizes, accelerations, closest approaches, energy drift, a few trajectories.

Shapes: G graphs, S trajectories, T frames, n particles, D space dims, F features, P interacting pairs.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from gnn_distill.physics.energy import Pairs, conserves_energy, drift, energy
from gnn_distill.physics.laws import ForceLaw

if TYPE_CHECKING:
    from gnn_distill.data.particles import ParticleData
    from gnn_distill.data.sightings import Sightings

CHUNK, SAMPLE = 1_000_000, 10_000_000
ENERGY_TRAJECTORIES = 200
LONGEST = 500
"""Frames of an example trajectory; longer ones are thinned evenly."""
TRACKS = 60
"""Of a run whose particles come and go, those that are seen longest."""
PERCENTILES = {"p1": 0.01, "p50": 0.5, "p99": 0.99, "p99.9": 0.999}

Array = npt.NDArray[Any]


def summarise(
    data: ParticleData, law: ForceLaw | None, chunk: int = CHUNK, sample: int = SAMPLE
) -> dict[str, Any]:
    """The numbers of `data.json`.

    Means, minima and maxima are over all graphs; quantiles too, up to `sample` values. Memory beyond the
    data is bounded, time is linear in the number of graphs and of pairs.

    Args:
        data: the graphs.
        law: the true law, if it is known.
        chunk: values held in memory at a time.
        sample: values that quantiles are taken of; beyond it, those of graphs drawn at random.

    Returns:
        graphs, trajectories, frames, particles, dim, replaced, blocks: counts;
        further: names of the features after charge and mass;
        notes, doubts: sentences about data from a file;
        units: of length, time, mass and charge in words, as far as they are known;
        mean_abs_acceleration_per_graph: mean over graphs of Σ|a| over nodes and components;
        abs_acceleration: percentiles p1, p50, p99, p99.9 and max of |a| of one component;
        closest_approach: min and p1 of |Δ| over interacting pairs, None if there are none;
        energy_drift: median, max and the number of trajectories, None where `energy_drift` says so;
        law: title and formula of the true law, None if it is not known.
    """
    if data.sightings is not None:
        return _of_sightings(data, data.sightings, law, sample)
    graphs, n, _ = data.features.shape
    return {
        "graphs": graphs,
        "trajectories": graphs // data.frames,
        "frames": data.frames,
        "particles": n,
        **_told(data, law),
        **_accelerations(data.accelerations, chunk, sample),
        "closest_approach": _closest(data, chunk, sample),
        "energy_drift": energy_drift(data, law),
    }


def _told(data: ParticleData, law: ForceLaw | None) -> dict[str, Any]:
    """What the data say of themselves."""
    return {
        "dim": data.columns.dim,
        "further": list(data.columns.further),
        "replaced": data.replaced,
        "blocks": data.blocks,
        "notes": list(data.notes),
        "doubts": list(data.doubts),
        "units": dict(data.units),
        "law": None if law is None else {"title": law.title, "formula": law.described},
    }


def _of_sightings(data: ParticleData, seen: Sightings, law: ForceLaw | None, sample: int) -> dict[str, Any]:
    """The numbers of data that are a table of sightings; `particles` is the mean of a frame."""
    x, a = data.features[0], data.accelerations[0]
    rows, units = seen.receivers(a), len(np.unique(seen.unit[seen.unit >= 0]))
    frames, particles = len(np.unique(seen.frame)), seen.particles
    size = np.abs(a[rows])
    levels = np.quantile(size, list(PERCENTILES.values())).tolist()
    some = np.random.default_rng(0).permutation(rows)
    some = some[: max(1, sample // max(1, int(seen.degree.max())))]
    count = (seen.last - seen.first)[some]
    place = np.arange(count.sum()) + np.repeat(seen.first[some] - (np.cumsum(count) - count), count)
    one, two = np.repeat(some, count), seen.senders[place]
    distance = np.linalg.norm(data.columns.separation(x[one], x[two])[one != two].astype(float), axis=1)
    closest = (
        {"min": float(distance.min()), "p1": float(np.quantile(distance, 0.01))} if len(distance) else None
    )
    return {
        "graphs": frames,
        "trajectories": units,
        "frames": data.frames,
        "particles": round(particles),
        "sightings": len(x),
        **_told(data, law),
        "mean_abs_acceleration_per_graph": float(size.sum(dtype=np.float64) / len(rows) * particles),
        "abs_acceleration": dict(zip(PERCENTILES, levels, strict=True)) | {"max": float(size.max())},
        "closest_approach": closest,
        "energy_drift": None,
    }


def examples(data: ParticleData, count: int = 6) -> dict[str, Array]:
    """Some trajectories for a picture, spread evenly over the data: the arrays of `trajectories.npz`.

    Args:
        data: the graphs.
        count: how many trajectories; all of them if there are fewer.

    Returns:
        positions [count, T, n, D], charges and masses [count, n] of the first frame, trajectory [count] and
        frame [T]: where in the data they stand. Trajectories of more than `LONGEST` frames are thinned. Of
        a table of sightings up to `TRACKS` pieces of tracks of each run or block, NaN where there is none.
    """
    if data.sightings is not None:
        return _tracks(data, data.sightings, count)
    chosen = _spread(len(data.features) // data.frames, count)
    frame = _spread(data.frames, LONGEST)
    x = data.features[chosen[:, None] * data.frames + frame]
    return {
        "positions": x[..., data.columns.position],
        "charges": x[:, 0, :, data.columns.charge],
        "masses": x[:, 0, :, data.columns.mass],
        "trajectory": chosen,
        "frame": frame,
    }


def _tracks(data: ParticleData, seen: Sightings, count: int) -> dict[str, Array]:
    """`examples` of a table of sightings."""
    x, units = data.features[0], np.unique(seen.unit[seen.unit >= 0])
    chosen = units[_spread(len(units), count)]
    parts = [np.flatnonzero(seen.unit == unit) for unit in chosen]
    length = min(data.frames, max(int(np.ptp(seen.frame[rows])) + 1 for rows in parts))
    frame = _spread(length, LONGEST)
    shown = [np.unique(seen.piece[rows], return_counts=True) for rows in parts]
    kept = [np.sort(pieces[np.argsort(-sizes, kind="stable")[:TRACKS]]) for pieces, sizes in shown]
    shape = len(parts), max(map(len, kept))
    positions = np.full((shape[0], len(frame), shape[1], data.columns.dim), np.nan, dtype=np.float32)
    charges, masses = np.zeros(shape, np.float32), np.ones(shape, np.float32)
    for k, (rows, pieces) in enumerate(zip(parts, kept, strict=True)):
        place = np.minimum(np.searchsorted(pieces, seen.piece[rows]), len(pieces) - 1)
        at = seen.frame[rows] - seen.frame[rows].min()
        here = (pieces[place] == seen.piece[rows]) & (at < length)
        rows, place, at = rows[here], place[here], at[here]
        every = np.full((length, shape[1], data.columns.dim), np.nan, dtype=np.float32)
        every[at, place] = x[rows, data.columns.position]
        positions[k] = every[frame]
        charges[k, place], masses[k, place] = x[rows, data.columns.charge], x[rows, data.columns.mass]
    return {
        "positions": positions,
        "charges": charges,
        "masses": masses,
        "trajectory": np.arange(len(units))[_spread(len(units), count)],
        "frame": frame,
    }


def energy_drift(data: ParticleData, law: ForceLaw | None) -> dict[str, float] | None:
    """|E_T − E_0| / max(1, |E_0|) between last and first frame: median and max over trajectories.

    E = Σ m v²/2 + Σ V over interacting pairs + Σ m g y. The features are float32: their rounding alone gives
    1e-7 to 1e-6, and 1e-5 where a trajectory begins or ends with two particles close together or gravity has
    moved it far, so the integrator may be better than this shows. Up to `ENERGY_TRAJECTORIES` trajectories,
    spread evenly over the data, are looked at.

    Returns:
        None where there is no energy to be conserved: the law is unknown, has drag or a potential with a
        jump, the graph is directed or changes in time, or there is only one frame.
    """
    pairs = _pairs(data)
    joined = data.adjacency
    fixed = joined is None or (joined.ndim == 2 and bool((joined == joined.T).all()))
    if law is None or not conserves_energy(law) or not fixed or data.frames < 2:
        return None
    first = data.frames * _spread(len(data.features) // data.frames, ENERGY_TRAJECTORIES)
    before, after = (_energy(data, rows, law, pairs) for rows in (first, first + data.frames - 1))
    changed = drift(after, before)
    return {"median": float(np.median(changed)), "max": float(changed.max()), "trajectories": len(changed)}


def _energy(data: ParticleData, rows: Any, law: ForceLaw, pairs: Pairs) -> Array:
    """Energies of some graphs, shape [G]."""
    x, c = data.features[rows].astype(float), data.columns
    return energy(law, x[..., c.position], x[..., c.velocity], x[..., c.mass], x[..., c.charge], pairs)


def _accelerations(a: Array, chunk: int, sample: int) -> dict[str, Any]:
    total, largest = 0.0, 0.0
    for part in _chunks(len(a), a[0].size, chunk):
        size = np.abs(a[part])
        total += float(size.sum(dtype=np.float64))
        largest = max(largest, float(size.max()))
    levels = np.quantile(np.abs(a[_drawn(len(a), a[0].size, sample)]), list(PERCENTILES.values())).tolist()
    percentiles = dict(zip(PERCENTILES, levels, strict=True)) | {"max": largest}
    return {"mean_abs_acceleration_per_graph": total / len(a), "abs_acceleration": percentiles}


def _closest(data: ParticleData, chunk: int, sample: int) -> dict[str, float] | None:
    i, j = _pairs(data)
    graphs, smallest = len(data.features), np.inf
    kept, drawn = [], _drawn(graphs, len(i), sample)
    for part in _chunks(graphs, max(1, len(i) * data.columns.dim), chunk) if len(i) else ():
        x = np.ascontiguousarray(data.features[part, :, data.columns.position].transpose(2, 1, 0))
        distance = np.sqrt(sum((axis[i] - axis[j]) ** 2 for axis in x))
        if data.adjacency is not None and data.adjacency.ndim == 3:
            joined = data.adjacency[part]
            distance[~(joined[:, i, j] | joined[:, j, i]).T] = np.inf
        smallest = min(smallest, float(distance.min()))
        some = distance[:, drawn[part]].ravel()
        kept.append(some[np.isfinite(some)])
    if not np.isfinite(smallest):
        return None
    values = np.concatenate(kept)
    return {"min": smallest, "p1": float(np.quantile(values, 0.01)) if values.size else np.nan}


def _pairs(data: ParticleData) -> Pairs:
    """Both ends [P] of the pairs that interact in any graph, each pair once."""
    n, joined = data.features.shape[1], data.adjacency
    one = np.ones((n, n), dtype=bool) if joined is None else np.any(joined.reshape(-1, n, n), axis=0)
    i, j = np.nonzero(np.triu(one | one.T, 1))
    return i, j


def _chunks(graphs: int, values: int, chunk: int) -> Iterator[slice]:
    """Consecutive parts of the graphs, of about `chunk` values each if a graph has `values`."""
    step = max(1, chunk // values)
    return (slice(start, start + step) for start in range(0, graphs, step))


def _drawn(graphs: int, values: int, sample: int) -> npt.NDArray[np.bool_]:
    """Which graphs [G] give values for quantiles: all, or as many, at random, as make `sample` values."""
    count = max(1, sample // max(1, values))
    if count >= graphs:
        return np.ones(graphs, dtype=bool)
    return np.isin(np.arange(graphs), np.random.default_rng(0).choice(graphs, count, replace=False))


def _spread(total: int, count: int) -> npt.NDArray[np.int64]:
    """At most `count` of the numbers 0 … total − 1, evenly spread."""
    return np.linspace(0, total - 1, min(count, total)).round().astype(np.int64)
