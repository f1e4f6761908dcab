"""Robust fits: least trimmed squares here against a Powell minimisation of the same objective. One core.

Powell is what the published work used; here it starts from zero, with SciPy's default tolerances and with
tight ones, and its objective selects by partition, not by sorting. Messages are recorded ones (a folder with
`messages_*.npz`), copied with a little noise up to a million edges for the last rows.

    OPENBLAS_NUM_THREADS=1 python benchmarks/linear.py ../shared/data
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import numpy as np
from scipy.optimize import minimize

from gnn_distill.analyse.linear import TRIM, fit_column, r_squared
from gnn_distill.physics.laws import ForceLaw, InverseDistance, InverseSquare, Spring

LAWS: dict[str, ForceLaw] = {"r1": InverseDistance(), "r2": InverseSquare(), "spring": Spring()}
TIGHT = {"xtol": 1e-8, "ftol": 1e-12}


def objective(beta: np.ndarray, x: np.ndarray, y: np.ndarray) -> float:
    """Mean squared residual of the best nine tenths."""
    squares = (y - beta[0] - x @ beta[1:]) ** 2
    keep = round((1 - TRIM) * len(y))
    return float(np.partition(squares, keep - 1)[:keep].mean())


def compare(name: str, x: np.ndarray, y: np.ndarray) -> None:
    """One line: seconds of CPU, objectives relative to ours, and R² of ours minus Powell's."""
    start = time.process_time()
    fit = fit_column(x, y, TRIM)
    ours = time.process_time() - start
    best = objective(np.array([fit.offset, *fit.slope]), x, y)
    line = f"{name:22}{len(y):>9,}  {ours:7.3f}  {fit.r2:.5f}"
    for options in ({}, TIGHT):
        start = time.process_time()
        powell = minimize(objective, np.zeros(x.shape[1] + 1), (x, y), method="Powell", options=options)
        seconds = time.process_time() - start
        predicted = powell.x[0] + x @ powell.x[1:]
        same = fit.r2 - r_squared(y[fit.kept], predicted[fit.kept])
        own = fit.r2 - r_squared(y, predicted, TRIM)
        line += (
            f"  | {seconds:7.3f} {seconds / ours:6.1f} {powell.fun / best - 1:+9.1e} {same:+9.1e} {own:+9.1e}"
        )
    print(line, flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--edges", type=int, nargs="+", default=[270_000, 1_000_000])
    args = parser.parse_args()
    columns = "  |       s  ratio objective  R² same   R² own"
    print(
        f"{'messages':22}{'edges':>9}  {'ours, s':>7}  {'R²':7}{columns * 2}   (Powell: default, then tight)"
    )
    rng = np.random.default_rng(0)
    for path in sorted(args.folder.glob("messages_*.npz")):
        stored = {k: v.astype(np.float64) for k, v in np.load(path).items()}
        name = path.stem.removeprefix("messages_")
        delta = np.column_stack([stored["dx"], stored["dy"]])
        law = LAWS[name.split("_")[0]]
        force = law.pair_force(delta, *(stored[k] for k in ("m1", "m2", "q1", "q2")))
        for p in (0, 1):
            x = force * stored["m1"][:, None] ** -p
            for k, y in enumerate(stored["messages"].T):
                compare(f"{name} p={p} {k}", x, y)
        for edges in args.edges:
            copies = -(-edges // len(force))
            x = np.tile(force, (copies, 1))[:edges]
            y = np.tile(stored["messages"][:, 0], copies)[:edges]
            compare(f"{name} copied", x, y + 0.02 * rng.standard_normal(edges))


if __name__ == "__main__":
    main()
