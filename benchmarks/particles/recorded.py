"""Files as people have them: of trackers and codes, with gaps, in other units, with the answer inside."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd

from particles import exact, noisy
from particles.case import Case, Dice, Tracks, Truth
from particles.motion import follow, steps, summed

LOST = 0.03
"""Share of the sightings that a tracker misses."""
CHARMM = 20.45482949774598
"""From CHARMM's unit of time to picoseconds."""
PIXELS = 100.0
"""To a unit of length."""
METRE = 100.0
"""In centimetres, which PeTrack writes."""
STEP = 0.002
"""Of an integrator, in Lennard-Jones units; a dump holds every fifth."""


def trackpy(path: Path, tracks: Tracks, truth: Truth, rng: np.random.Generator) -> Path:
    """A table as trackpy's users write it: an unnamed index, brightnesses, rows that were not found."""
    seen = tracks.table(rng, False).rename(columns={"id": "particle", "t": "frame"})
    count, z = len(seen), rng.normal(size=(6, len(seen)))
    names = ["mass", "size", "ecc", "signal", "raw_mass", "ep"]
    typical, spread = (900, 2.1, 0.1, 60, 4000, 0.05), (90, 0.1, 0.03, 6, 300, 0.01)
    shown = {n: np.round(a + b * e, 4) for n, a, b, e in zip(names, typical, spread, z, strict=True)}
    table = pd.DataFrame({"y": seen["y"], "x": seen["x"], **shown})
    table[["frame", "particle"]] = seen[["frame", "particle"]]
    if "run" in seen:
        table["run"] = seen["run"]
    found = table[rng.random(count) > LOST * (tracks.noise > 0)]
    found.to_csv(out := path.with_suffix(".csv"))
    return out


def petrack(path: Path, tracks: Tracks, truth: Truth, rng: np.random.Generator) -> Path:
    """A table as PeTrack writes it: the frame rate in a comment, centimetres; people come and go."""
    seen = tracks.table(rng, False)
    x, y = (seen[c].astype(float) for c in "xy")
    inside = np.abs(x) < 2.0 * METRE if "v₀" in truth.constants else np.full(len(x), True)
    run, who = seen["run"].to_numpy(), seen["id"].to_numpy()
    frame = np.round(seen["t"] / tracks.times[1]).astype(int) + run * (len(tracks.times) + 100)
    rate = 1 / tracks.times[1]
    head = f"# PeTrack project: walkers.pet\n# framerate: {rate:g} fps\n# id frame x/cm y/cm z/cm\n"
    rows = np.stack([run * tracks.x.shape[2] + who + 1, frame, x, y, 170 + 0 * x], 1)[inside]
    rows = rows[np.lexsort((rows[:, 1], rows[:, 0]))]
    text = "".join(f"{a:.0f} {b:.0f} {c:.6f} {d:.6f} {e:.0f}\n" for a, b, c, d, e in rows)
    (out := path.with_suffix(".txt")).write_text(head + text)
    return out


def array(path: Path, tracks: Tracks, truth: Truth, rng: np.random.Generator) -> Path:
    """Positions [T, n, D] of one recording, NaN where an animal was lost; of several, a table."""
    if len(tracks.x) > 1:
        tracks.table(rng, False).to_csv(out := path.with_suffix(".csv"), index=False)
        return out
    x = tracks.x[0].copy()
    x[rng.random(x.shape[:2]) < LOST] = np.nan
    np.save(out := path.with_suffix(".npy"), x)
    return out


def dump(path: Path, tracks: Tracks, truth: Truth, rng: np.random.Generator, scaled: bool = False) -> Path:
    """A LAMMPS dump in a periodic box: rows shuffled, image flags; or scaled, corner not at 0."""
    if truth.box is None or tracks.v is None:
        raise ValueError("a dump wants a box and velocities")
    x, v, side = tracks.x[0], tracks.v[0], truth.box
    low = 1.7 if scaled else 0.0
    image = np.floor(x / side).astype(int)
    wrapped = x - image * side
    head = "id type xs ys zs vx vy vz" if scaled else "id type x y z ix iy iz vx vy vz fx fy fz"
    lines = []
    for k in range(len(x)):
        lines += ["ITEM: TIMESTEP", str(5 * k), "ITEM: NUMBER OF ATOMS", str(x.shape[1])]
        lines += ["ITEM: BOX BOUNDS pp pp pp", *[f"{low} {low + side}"] * 3, f"ITEM: ATOMS {head}"]
        force = summed(x[k : k + 1], truth.pair or np.zeros_like, side)[0]
        for i in rng.permutation(x.shape[1]):
            place = wrapped[k, i] / side if scaled else wrapped[k, i]
            numbers = " ".join(f"{c:.9g}" for c in place)
            moving = " ".join(f"{c:.9g}" for c in v[k, i])
            if not scaled:
                numbers += " " + " ".join(map(str, image[k, i]))
                moving += " " + " ".join(f"{c:.9g}" for c in force[i])
            lines.append(f"{i + 1} 1 {numbers} {moving}")
    (out := path.with_suffix(".lammpstrj")).write_text("\n".join(lines) + "\n")
    return out


def scaled(path: Path, tracks: Tracks, truth: Truth, rng: np.random.Generator) -> Path:
    return dump(path, tracks, truth, rng, scaled=True)


def extxyz(path: Path, tracks: Tracks, truth: Truth, rng: np.random.Generator) -> Path:
    """Extended XYZ in one box, the time in each comment."""
    if truth.box is None or tracks.v is None:
        raise ValueError("such a file wants a box and velocities")
    x, v, side = tracks.x[0] % truth.box, tracks.v[0], truth.box
    cell = f'Lattice="{side} 0 0 0 {side} 0 0 0 {side}" Properties=species:S:1:pos:R:3:vel:R:3'
    lines = []
    for time, place, speed in zip(tracks.times, x, v, strict=True):
        lines += [str(len(place)), f'{cell} Time={time:.6g} pbc="T T T"']
        both = np.concatenate([place, speed], 1)
        lines += ["Ar " + " ".join(f"{c:.9g}" for c in row) for row in both]
    (out := path.with_suffix(".extxyz")).write_text("\n".join(lines) + "\n")
    return out


def atoms(dice: Dice, obstacle: bool) -> tuple[Tracks, Truth]:
    """Sixty-four Lennard-Jones atoms in a periodic box; the control is hotter and wider."""
    eps, sigma = dice(1.0), dice(1.0)
    side, cut = (4.4 if obstacle else 6.0) * sigma, 2.2 * sigma

    def force(d: np.ndarray) -> np.ndarray:
        return np.where(d < cut, 24 * eps * (2 * (sigma / d) ** 12 - (sigma / d) ** 6) / d, 0)

    lattice = np.stack(np.indices((4, 4, 4)), -1).reshape(1, -1, 3) * side / 4 + 0.1
    x = lattice + 0.05 * sigma * dice.rng.normal(size=lattice.shape)
    v = np.sqrt(eps * (1.0 if obstacle else 1.5)) * dice.rng.normal(size=x.shape)
    v -= v.mean(1, keepdims=True)

    def acceleration(x: np.ndarray, v: np.ndarray, _: slice) -> np.ndarray:
        return summed(x, force, side)

    times = 5 * STEP * np.arange(600)
    x, v = (values[:, -1] for values in steps(acceleration, x, v, times[:201], 5))
    x, v = steps(acceleration, x, v, times, 5)
    law = f"a = Σ 24 ε (2 σ¹²/d¹³ − σ⁶/d⁷) Δ/d, d < {cut:.4g}"
    return Tracks(x, v, times), Truth(2, law, {"ε": eps, "σ": sigma}, force, bound=cut, box=side)


def clusters(dice: Dice, obstacle: bool) -> tuple[Tracks, Truth]:
    """Clusters of four silicon-like atoms: in metres, seconds, kilograms; the control in Å, fs and u."""
    eps, sigma, mass = dice(0.0174), dice(3.826), 28.09
    volt = 1.602176634e-19 / (1.66053906660e-27 * 1e10)  # eV in u (Å/fs)², 1 Å/fs = 1e5 m/s

    def force(d: np.ndarray) -> np.ndarray:
        return 24 * eps * volt / mass * (2 * (sigma / d) ** 12 - (sigma / d) ** 6) / d

    corners = np.array([[0, 0], [1, 0], [0.5, 0.866], [1.5, 0.866]]) * 1.12 * sigma
    shape = (200, 4, 2)
    x = corners + 0.05 * sigma * dice.rng.normal(size=shape)
    v = np.sqrt(0.15 * eps * volt / mass) * dice.rng.normal(size=shape)
    times = 2.0 * np.arange(100)
    x, v = follow(lambda x, v, _: summed(x, force), x, v, times)
    long, short = (1e-10, 1e-15) if obstacle else (1.0, 1.0)
    scale = long / short**2

    def seen(d: np.ndarray) -> np.ndarray:
        return scale * force(d / long)

    law = "a = Σ 24 ε/m (2 σ¹²/d¹³ − σ⁶/d⁷) Δ/d"
    heavy = mass * (1.66053906660e-27 if obstacle else 1.0)
    own = {"m": np.full(shape[:2], heavy)}
    truth = Truth(2, law, {"ε": eps, "σ": sigma}, seen)  # all have one mass, which no law can read
    return Tracks(long * x, long / short * v, short * times, own, digits="%.12g"), truth


def springs(dice: Dice, n: int = 5) -> tuple[Tracks, Truth]:
    """Springs of a rest length between all."""
    k, rest = dice(1.5), dice(1.2)

    def force(d: np.ndarray) -> np.ndarray:
        return -k * (d - rest)

    shape, times = (40, n, 2), 0.02 * np.arange(100)
    x, v = dice.rng.normal(size=shape), dice.rng.normal(size=shape)
    x, v = follow(lambda x, v, _: summed(x, force), x, v, times)
    return Tracks(x, v, times), Truth(2, "a = −Σ k (d − r₀) Δ/d", {"k": k, "r₀": rest}, force)


def foreign(dice: Dice, obstacle: bool) -> tuple[Tracks, Truth]:
    """Velocities in units of another program; the control has the right ones."""
    tracks, truth = springs(dice)
    return replace(tracks, v=tracks.v / (CHARMM if obstacle else 1.0)), truth


def typed(dice: Dice, obstacle: bool) -> tuple[Tracks, Truth]:
    """Forces and a type beside positions and velocities; the control is without them."""
    tracks, truth = springs(dice)
    return replace(
        tracks, properties={"type": np.ones(tracks.x.shape[::2], dtype=int)} if obstacle else {}
    ), truth


def answered(path: Path, tracks: Tracks, truth: Truth, rng: np.random.Generator) -> Path:
    """A table with the forces beside, if there is a type."""
    table, D = tracks.table(rng, True), tracks.x.shape[3]
    if tracks.properties and truth.pair is not None:
        flat = tracks.x.reshape(-1, *tracks.x.shape[2:])
        table[[f"f{a}" for a in "xyz"[:D]]] = summed(flat, truth.pair).reshape(-1, D)
    table.to_csv(out := path.with_suffix(".csv"), index=False)
    return out


def crowd(dice: Dice, obstacle: bool) -> tuple[Tracks, Truth]:
    """Walkers of whom two metres to both sides are filmed; where they want to go is not written."""
    tracks, truth = exact.people(dice, obstacle)
    if (pair := truth.pair) is None or tracks.v is None:
        raise ValueError("walkers want a pair law and velocities")
    longer = replace(truth, one_body=None, pair=lambda d: METRE * pair(d / METRE), bound=METRE * truth.bound)
    return replace(tracks, x=METRE * tracks.x, v=METRE * tracks.v, properties={}), longer


def shoal(dice: Dice, obstacle: bool) -> tuple[Tracks, Truth]:
    """One recording of animals that align; the control is many short ones in a table."""
    tracks, truth = exact.aligning(dice, 0.5, 1.0, 8, 1 if obstacle else 60, True)
    pair = truth.pair
    if not obstacle or pair is None:
        return tracks, truth
    bigger = replace(truth, pair=lambda d: pair(d / PIXELS))
    return replace(tracks, x=PIXELS * tracks.x + 500.0, v=PIXELS * tracks.v), bigger


def contacts(dice: Dice, obstacle: bool) -> tuple[Tracks, Truth]:
    """Four hundred discs that push each other where they touch; the control: twenty of them."""
    k, size, side = dice(20.0), dice(1.0), 14.0 if obstacle else 3.2
    n = 400 if obstacle else 20

    def force(d: np.ndarray) -> np.ndarray:
        return np.where(d < size, k * (1 - d / size), 0)

    side *= size
    rows = round(np.sqrt(n)) if obstacle else 5
    lattice = np.stack(np.indices((rows, -(-n // rows))), -1).reshape(-1, 2)[:n]
    shape = (8, n, 2)
    x = lattice * side / [rows, -(-n // rows)] + 0.15 * size * dice.rng.normal(size=shape)
    v, times = dice.rng.normal(size=shape), 0.02 * np.arange(40)
    x, v = steps(lambda x, v, _: summed(x, force, side), x, v, times, 5)
    law = f"a = Σ k (1 − d/σ) Δ/d, d < {size:g}"
    return Tracks(x % side, v, times), Truth(2, law, {"k": k, "σ": size}, force, bound=size, box=side)


CASES = (
    Case("colloids", noisy.colloids, ("dataset.time_step=0.001",), form=trackpy),
    Case("atoms", atoms, ("dataset.time_step=0.002",), form=dump),
    Case("atoms_scaled", atoms, ("dataset.time_step=0.002",), form=scaled),
    Case("atoms_extxyz", atoms, form=extxyz),
    Case("clusters", clusters, velocities=True),
    Case("foreign", foreign, velocities=True),
    Case("typed", typed, form=answered),
    Case("shoal", shoal, ("dataset.time_step=0.02",), form=array),
    Case("crowd", crowd, form=petrack),
    Case("contacts", contacts, velocities=True),
)
