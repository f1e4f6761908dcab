"""Forty laws with constants drawn at random: which come out, from networks or from planted contributions.

    python benchmarks/laws.py run FOLDER --seed 1 [--laws NAME ...] [--again] [-- SETTINGS]
    python benchmarks/laws.py planted FOLDER --seed 1 --noise 0.01 0.03 0.1 [--laws NAME ...]
    python benchmarks/laws.py table FOLDER

`run` simulates each law, trains `quick` and distils with default settings (after `--` others, such as
model=isotropic profile=tracks); each law has a folder, and what is done there is not done again. `--again`
repeats the distillation alone. `planted` gives the search contributions with so much noise instead of a
network, and no equations of a first search: known laws, and what further rounds find. Each writes
FOLDER/table.jsonl, a row a law. Right: the printed law, its constants fitted to the true one on pairs like
those of the data, leaves no more than FORM of it, as printed no more than that, either, and no printed
constant is off by more than CLOSE.
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import sympy
import torch
from lawbook import BOOK, Entry
from scipy.optimize import least_squares

from gnn_distill.data.graphs import Subset, complete_graph
from gnn_distill.data.particles import to_graphs
from gnn_distill.distil.engines.operon import OperonEngine
from gnn_distill.distil.expressions.evaluate import Template, evaluate
from gnn_distill.distil.expressions.parse import parse, write
from gnn_distill.distil.expressions.points import Points
from gnn_distill.distil.expressions.refine import template
from gnn_distill.distil.motion.candidates import candidates
from gnn_distill.distil.motion.fit import fit
from gnn_distill.distil.motion.law import written
from gnn_distill.distil.motion.rounds import Rounds
from gnn_distill.distil.motion.samples import Motion
from gnn_distill.distil.motion.search import Rows, Search
from gnn_distill.distil.motion.segments import motion
from gnn_distill.distil.solve import Work
from gnn_distill.physics.laws import ForceLaw
from gnn_distill.physics.simulate import Simulation, simulate
from gnn_distill.physics.variables import Columns

FORM, CLOSE = 0.01, 0.05
NAMES = ("r", "m1", "m2", "q1", "q2")
PAIRS = 4000


def judged(f: sympy.Expr | None, law: ForceLaw, X: np.ndarray) -> dict[str, Any]:
    """A printed law along Δ/d beside the true one, at pairs X [S, 5] like those of the data."""
    if f is None:
        return {"law": "none", "right": False, "error": None, "form": None, "constants": None}
    with np.errstate(all="ignore"):
        truth = law.magnitude(*X.T, law.params) / X[:, 1]
    near = np.quantile(X[:, 0], [0.02, 0.98])
    use = (X[:, 0] >= near[0]) & (X[:, 0] <= near[1]) & np.isfinite(truth)
    X, truth = X[use], truth[use]
    # relative to the size of the force at that distance, so that neither its zeros nor near pairs decide
    size = np.abs(truth) + 0.02 * np.abs(truth).mean()

    def off(values: np.ndarray) -> float:
        with np.errstate(all="ignore"):
            error = np.abs(values - truth) / size
        return float(np.mean(np.minimum(np.nan_to_num(error, nan=1e9, posinf=1e9), 1e9)))

    parts: Template = template(f)
    function, columns = parts.function(), dict(zip(NAMES, X.T, strict=True))

    def rest(values: np.ndarray) -> np.ndarray:
        with np.errstate(all="ignore"):
            r = (np.broadcast_to(function(columns, values), truth.shape) - truth) / size
        return np.clip(np.nan_to_num(r, nan=1e3, posinf=1e3, neginf=-1e3), -1e3, 1e3)

    best = parts.start
    if len(best):
        best = least_squares(rest, best, x_scale="jac", max_nfev=200).x
    form = min(off(rest(best) * size + truth), printed := off(evaluate(f, X, NAMES)))
    moved = np.abs(best - parts.start) / np.maximum(np.abs(best), 1e-12) if len(best) else np.zeros(1)
    constants = 0.0 if printed < 1e-5 else float(moved.max())
    row = {"law": write(f.xreplace({c: sympy.Float(c, 5) for c in f.atoms(sympy.Float)}))}
    right = form <= FORM and constants <= CLOSE and printed <= FORM
    return row | {"right": bool(right), "error": printed, "form": form, "constants": constants}


def law_of(entry: Entry, folder: Path, seed: int) -> ForceLaw:
    """The law as a class of its own file in a folder."""
    name = entry.write(folder, seed)
    if str(folder.resolve()) not in sys.path:
        sys.path.insert(0, str(folder.resolve()))
    importlib.invalidate_caches()
    return importlib.import_module(name).Law()


def trained(entry: Entry, folder: Path, seed: int, again: bool, more: list[str]) -> dict[str, Any]:
    """The command on one law."""
    law = law_of(entry, folder / "laws", seed)
    where = folder / entry.name
    if again:
        for name in ("equations.json", "law.json"):
            (where / name).unlink(missing_ok=True)
    settings = [
        "dataset=custom",
        f"dataset.law._target_={type(law).__module__}.Law",
        f"seed={seed}",
        "threads=1",
    ]
    command = [sys.executable, "-m", "gnn_distill", *settings, *more, f"hydra.run.dir={where.resolve()}"]
    start = time.perf_counter()
    path = {"PYTHONPATH": str((folder / "laws").resolve()), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, **path})
    seconds = round(time.perf_counter() - start, 1)
    (folder / f"{entry.name}.log").write_text(done.stdout + done.stderr)
    if done.returncode:
        return {"law": f"exit {done.returncode}", "right": False, "seconds": seconds}
    stages = json.loads((where / "status.json").read_text())["stages"]
    found = json.loads((where / "law.json").read_text())
    arrays = np.load(where / "messages.npz")
    X = np.stack([np.asarray(arrays[n], dtype=np.float64) for n in NAMES], axis=1)
    X = X[np.random.default_rng(0).permutation(len(X))[:PAIRS]]
    f = None if found is None or not found.get("radial") else parse(found["radial"])
    if f is not None:
        f = f.xreplace({sympy.Symbol("d"): sympy.Symbol("r") - 0.01})
    row = judged(f, law, X)
    return row | {"seconds": seconds, "distil": stages.get("distil", {}).get("seconds")}


def snapshots(law: ForceLaw, seed: int, runs: int = 240) -> list[Motion]:
    """Training, validation and screening rows of simulated runs, every particle's own acceleration."""
    moved = to_graphs(simulate(Simulation(law, simulations=runs, frames=60, seed=seed)))
    of = torch.arange(runs).repeat_interleave(60)
    data = Subset(torch.from_numpy(moved.features), torch.from_numpy(moved.accelerations), None, of)
    half = len(data) * 2 // 3
    parts = data[torch.arange(half)], data[torch.arange(half, len(data))]
    graph = complete_graph(4)
    return [motion(parts[0], graph, (), 15_000, 1), *(motion(p, graph, (), 80_000, 2) for p in parts)]


def planted(entry: Entry, folder: Path, seed: int, noise: float) -> dict[str, Any]:
    """The search alone, from true contributions with noise."""
    law, rng = law_of(entry, folder / "laws", seed), np.random.default_rng([seed, 11])
    parts, told = snapshots(law, seed), []
    for part in parts:
        X = np.stack([part.named[n] for n in NAMES], axis=1)
        f = law.magnitude(*X.T, law.params) / X[:, 1] * (1 + noise * rng.normal(size=len(X)))
        told.append((X, f, Rows(part, {"u": part.pairs(f[:, None] * part.directions["u"]).reshape(-1, 1)})))
    X, f, _ = told[2]
    here = rng.permutation(len(f))[:5000]
    varies = np.ptp(X, axis=0) > 0
    names = tuple(n for n, v in zip(NAMES, varies, strict=True) if v)
    points = Points(X[here][:, varies], f[here], np.ones(len(here)), names)
    start = time.process_time()
    work = Work(OperonEngine(), seed, say=lambda line: print(line) if "-v" in sys.argv else None)
    search = Search(*(rows for *_, rows in told), 2, lambda key: candidates(points, None, key), work.say)
    chosen = Rounds(work, search, {"u": points}).run(search.run())
    seconds = round(time.process_time() - start, 1)
    f = None
    if chosen.form.terms:
        f = written(fit(parts[1], chosen.form), Columns(2), 2).radial
    return judged(f, law, X[rng.permutation(len(X))[:PAIRS]]) | {"seconds": seconds}


def show(folder: Path) -> None:
    """The rows so far, and how many are right."""
    rows = [json.loads(line) for line in (folder / "table.jsonl").read_text().splitlines()]
    rows = list({(r["name"], r.get("noise")): r for r in rows}.values())
    print(
        f"{'law':16}{'list':6}{'noise':7}{'right':7}{'form':>9}{'constants':>11}{'printed':>9}{'s':>7}  found"
    )
    for r in rows:
        numbers = [r.get(k) for k in ("form", "constants", "error")]
        told = [f"{v:.1e}" if v is not None else "-" for v in numbers]
        print(
            f"{r['name']:16}{'yes' if r['listed'] else 'no':6}{r.get('noise', ''):<7}"
            f"{'yes' if r['right'] else 'NO':7}{told[0]:>9}{told[1]:>11}{told[2]:>9}"
            f"{r['seconds']:7.0f}  {r['law'][:90]}"
        )
    for listed in (True, False):
        part = [r for r in rows if r["listed"] == listed]
        seconds = [r.get("distil") or r["seconds"] for r in part]
        if part:
            right, told = sum(r["right"] for r in part), "on the list" if listed else "not on it"
            print(
                f"{told}: {right} of {len(part)}; seconds to distil: median {np.median(seconds):.0f}, "
                f"largest {max(seconds):.0f}"
            )


def main() -> None:
    argv, more = sys.argv[1:], []
    if "--" in argv:
        argv, more = argv[: argv.index("--")], argv[argv.index("--") + 1 :]
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("what", choices=["run", "planted", "table"])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--laws", nargs="*", default=[e.name for e in BOOK])
    parser.add_argument("--noise", nargs="*", type=float, default=[0.01, 0.03, 0.1])
    parser.add_argument("--again", action="store_true", help="distil once more what is done")
    parser.add_argument("-v", action="store_true", help="what the search says")
    args = parser.parse_args(argv)
    torch.set_num_threads(1)
    named = {entry.name: entry for entry in BOOK}
    args.folder.mkdir(parents=True, exist_ok=True)
    table = args.folder / "table.jsonl"
    done = [json.loads(line) for line in table.read_text().splitlines()] if table.exists() else []
    known = set() if args.again else {(r["name"], r.get("noise")) for r in done}
    for noise in args.noise if args.what == "planted" else [None] if args.what == "run" else []:
        for entry in (named[name] for name in args.laws if (name, noise) not in known):
            row: dict[str, Any] = {"name": entry.name, "listed": entry.listed, "seed": args.seed}
            if noise is None:
                row |= trained(entry, args.folder, args.seed, args.again, more)
            else:
                row |= {"noise": noise} | planted(entry, args.folder, args.seed, noise)
            with table.open("a") as lines:
                lines.write(json.dumps(row) + "\n")
            print(row, flush=True)
    show(args.folder)


if __name__ == "__main__":
    main()
