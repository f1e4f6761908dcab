"""What a case is: how its particles are made, what file they become, and the truth beside it.

Shape letters: S runs, T frames, n particles, D space dimensions.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from gnn_distill.data.own.box import rounded_down

GRID, SIGHTINGS = 40, 200  # distances and particles at which the truth is written


class Dice:
    """Random numbers of a case. Seed 0 leaves constants as they are; any other draws them within 30 %."""

    def __init__(self, seed: int, name: str) -> None:
        self.pilot = seed == 0
        self.rng = np.random.default_rng([seed, zlib.crc32(name.encode())])

    def __call__(self, value: float) -> float:
        """A constant of the case."""
        factor = self.rng.uniform(0.7, 1.3)
        return value if self.pilot else float(f"{value * factor:.4g}")


@dataclass(frozen=True)
class Tracks:
    """A recording: positions [S, T, n, D], velocities alike or None, times [T], properties {column: [S, n]}.

    `headings` name the columns of run, time and particle (None: no such column); `frame` as the time's
    heading writes frame numbers. `noise` is the standard deviation of what is added to the positions that
    are written. `digits` is a printf format of the coordinates, `labels` are names of the particles. With
    `edges`, numbers of the pairs of each run [S, n, n], the recording is written as arrays.
    """

    x: np.ndarray
    v: np.ndarray | None
    times: np.ndarray
    properties: Mapping[str, np.ndarray] = field(default_factory=dict)
    headings: tuple[str | None, str, str] = ("run", "t", "id")
    noise: float = 0.0
    digits: str = "%.9g"
    labels: tuple[str, ...] = ()
    edges: np.ndarray | None = None

    def save(self, folder: Path) -> None:
        """Arrays loc and vel [S, T, D, n], and edges [S, n, n], a file each."""
        folder.mkdir(exist_ok=True)
        arrays = {"loc": self.x.swapaxes(2, 3), "vel": None, "edges": self.edges}
        arrays |= {} if self.v is None else {"vel": self.v.swapaxes(2, 3)}
        for name, values in arrays.items():
            if values is not None:
                np.save(folder / f"{name}.npy", values)

    def table(self, rng: np.random.Generator, velocities: bool) -> pd.DataFrame:
        """One row for each particle in each frame of each run."""
        S, T, n, D = self.x.shape
        run, frame, particle = (grid.ravel() for grid in np.indices((S, T, n)))
        heading, time, name = self.headings
        columns: dict[str, Any] = {} if heading is None else {heading: run}
        instants = np.array([float(f"{t:.12g}") for t in self.times])
        columns[time] = frame if time == "frame" else instants[frame]
        columns[name] = np.array(self.labels)[particle] if self.labels else particle
        seen = self.x + self.noise * rng.normal(size=self.x.shape) if self.noise else self.x
        columns |= written(dict(zip("xyz", seen.reshape(-1, D).T, strict=False)), self.digits)
        if velocities and self.v is not None:
            speeds = dict(zip(("vx", "vy", "vz"), self.v.reshape(-1, D).T, strict=False))
            columns |= written(speeds, self.digits)
        for key, values in self.properties.items():
            columns[key] = np.broadcast_to(values[:, None], (S, T, n)).ravel()
        return pd.DataFrame(columns)


def written(columns: Mapping[str, np.ndarray], digits: str) -> dict[str, list[str]]:
    return {name: [digits % value for value in values] for name, values in columns.items()}


@dataclass(frozen=True)
class Truth:
    """What is true of a case: c = weight · pair(d) · direction for each pair, and a one-body part.

    `order`: 1 (velocities) or 2 (accelerations). `pair`: a function of d, for unit properties, None where
    there is no pair law. `direction`: "u" = Δ/d, Δ = x₁ − x₂, or "w" = v₁ − v₂. `weight`: what multiplies it,
    in the properties of receiver (1) and sender (2). `one_body`: a function of x [N, D], v [N, D] and the
    properties {column: [N]}, or None. `bound`: distances beyond it do not count; `box`: sides of a periodic
    box. `laws`: in the place of `pair`, a function of d for each pair of kinds, `RECEIVER-SENDER`, or each
    number of an edge. `source` and `response`: what individuals bring to c that the file does not hold, by
    label, a factor each; `kinds`: of each individual, where the file does not say it. `law`: the whole in
    words.
    """

    order: int
    law: str
    constants: Mapping[str, float]
    pair: Callable[[np.ndarray], np.ndarray] | None = None
    direction: str = "u"
    weight: str = "1"
    one_body: Callable[[np.ndarray, np.ndarray, Mapping[str, np.ndarray]], np.ndarray] | None = None
    bound: float = np.inf
    box: float | None = None
    source: Mapping[str, float] = field(default_factory=dict)
    response: Mapping[str, float] = field(default_factory=dict)
    kinds: Mapping[str, str] = field(default_factory=dict)
    laws: Mapping[str, Callable[[np.ndarray], np.ndarray]] = field(default_factory=dict)

    def distances(self, x: np.ndarray) -> np.ndarray:
        """A grid between the 5 % and 95 % quantiles of the distances in positions [S, T, n, D]."""
        shape = x.shape[2]
        first, second = np.triu_indices(shape, 1)
        some = x[:, :: max(1, x.shape[0] * x.shape[1] // 2000)]
        delta = some[:, :, first] - some[:, :, second]
        if self.box is not None:
            delta -= self.box * np.round(delta / self.box)
        d = np.linalg.norm(delta, axis=-1).ravel()
        low, high = np.quantile(d[d < self.bound], [0.05, 0.95])
        return np.linspace(low, high, GRID)

    def describe(self, tracks: Tracks, rng: np.random.Generator) -> dict[str, Any]:
        """The truth as plain numbers: the pair law on a grid, the one-body part at some of the sightings."""
        S, T, n, D = tracks.x.shape
        out: dict[str, Any] = {
            "order": self.order,
            "law": self.law,
            "constants": dict(self.constants),
            "direction": self.direction,
            "weight": self.weight,
            "pair": None,
            "one_body": None,
            "shape": [S, T, n, D],
            "position_noise": tracks.noise,
            "hidden": {"source": dict(self.source), "response": dict(self.response)},
            "kinds": dict(self.kinds),
        }
        if self.pair is not None:
            d = self.distances(tracks.x)
            out["pair"] = {"d": d.tolist(), "f": self.pair(d).tolist()}
        if self.laws:
            d = self.distances(tracks.x)
            out["laws"] = {name: {"d": d.tolist(), "f": f(d).tolist()} for name, f in self.laws.items()}
        if self.one_body is not None:
            run, frame, particle = (rng.integers(0, k, SIGHTINGS) for k in (S, T, n))
            x = tracks.x[run, frame, particle]
            v = np.zeros_like(x) if tracks.v is None else tracks.v[run, frame, particle]
            own = {key: values[run, particle] for key, values in tracks.properties.items()}
            h = self.one_body(x, v, own)
            out["one_body"] = {"x": x.tolist(), "v": v.tolist(), "h": h.tolist()}
            out["one_body"] |= {key: values.tolist() for key, values in own.items()}
        return out


Form = Callable[[Path, Tracks, Truth, np.random.Generator], Path]
"""From a path without an ending, tracks and truth to the file that was written."""


@dataclass(frozen=True)
class Case:
    """One kind of recording.

    `make` gives tracks and truth from dice; with obstacle=False the control, which is the same but for what
    makes the case hard. `keys` are what the command needs beside the path, two at most; `velocities`: whether
    the file holds them; `form` writes the file, a table of commas if None.
    """

    name: str
    make: Callable[[Dice, bool], tuple[Tracks, Truth]]
    keys: tuple[str, ...] = ()
    velocities: bool = False
    form: Form | None = None

    def tracks(self, seed: int, obstacle: bool = True) -> tuple[Tracks, Truth]:
        """The particles, in memory, and the truth."""
        return self.make(Dice(seed, self.name), obstacle)

    def write(self, folder: Path, seed: int, obstacle: bool = True) -> Path:
        """NAME.csv (or what `form` writes) and NAME.truth.json (NAME_control for the control)."""
        tracks, truth = self.tracks(seed, obstacle)
        rng = np.random.default_rng([seed, 1])
        name = self.name if obstacle else f"{self.name}_control"
        box: tuple[str, ...] = ()
        if self.form is not None:
            path = self.form(folder / name, tracks, truth, rng)
            if truth.box is not None:  # which such files hold; half of it is what `gnn-distill-data` proposes
                box = (f"dataset.radius={rounded_down(truth.box / 2):g}",)
        else:
            path = folder / f"{name}.csv"
            tracks.table(rng, self.velocities).to_csv(path, index=False)
            if truth.box is not None:
                box = (f"dataset.box=[{', '.join([f'{truth.box:.9g}'] * tracks.x.shape[3])}]",)
        described = {"name": name, "seed": seed, "file": path.name, "keys": [*self.keys, *box]}
        described |= truth.describe(tracks, rng)
        text = json.dumps(described, indent=1, ensure_ascii=False)
        (folder / f"{name}.truth.json").write_text(text + "\n")
        return path
