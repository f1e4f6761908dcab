"""Planted messages: is the law recovered, and how long does it take? One core.

Each law, clean and with 3 % noise and 5 % outliers near r → 0, as accelerations or as a random
mixture of axes with a random offset; one line a problem, a summary at the end.

    python benchmarks/symbolic.py --seeds 5 --target pullback components
"""

from __future__ import annotations

import argparse
import time

import numpy as np

from gnn_distill.forces import Coulomb, ForceLaw, InverseDistance, InverseSquare, Spring
from gnn_distill.symbolic import OperonEngine, data_ranges, judge

NAMES = ("dx", "dy", "r", "m1", "m2", "q1", "q2")
LAWS: tuple[ForceLaw, ...] = (Spring(), InverseDistance(), InverseSquare(), Coulomb())
PARTICLES = 4


def snapshots(law: ForceLaw, rng: np.random.Generator, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Edges of drifting particles: variables [S, 7] and pair forces [S, 2]."""
    shape = (count // (PARTICLES * (PARTICLES - 1)) + 1, PARTICLES)
    positions = rng.normal(size=(*shape, 2))
    positions += rng.uniform(0, 3, (shape[0], 1, 1)) * rng.normal(size=(*shape, 2))
    mass, charge = np.exp(rng.normal(size=shape)), rng.normal(size=shape)
    if law.charges == "sign":
        charge = np.sign(charge)
    ends = np.nonzero(~np.eye(PARTICLES, dtype=bool))
    delta = (positions[:, ends[0]] - positions[:, ends[1]]).reshape(-1, 2)
    pairs = [values[:, end].ravel() for values in (mass, charge) for end in ends]
    distance = np.linalg.norm(delta, axis=1) + 0.01
    force = law.pair_force(delta, *pairs)
    return np.column_stack([delta, distance, *pairs])[:count], force[:count]


def problem(law: ForceLaw, target: str, noisy: bool, seed: int, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Variables [S, 7] and the two components [S, 2]."""
    rng = np.random.default_rng([seed, noisy])
    X, force = snapshots(law, rng, count)
    values = force / X[:, [3]]
    if target == "components":
        values = values @ rng.normal(size=(2, 2)) / np.median(np.abs(values)) + rng.normal(size=2)
    if noisy:
        values = values * (1 + 0.03 * rng.normal(size=values.shape))
        wild = rng.choice(np.argsort(X[:, 2])[: count // 10], count // 20, replace=False)
        values[wild] *= 1 + rng.normal(size=(len(wild), 2))
    return X, values


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--points", type=int, default=5000)
    parser.add_argument("--target", nargs="+", choices=["pullback", "components"], default=["pullback"])
    parser.add_argument("--laws", nargs="+", default=[law.name for law in LAWS])
    args = parser.parse_args()
    engine, recovered, seconds = OperonEngine(), [], []
    print(f"{'law':8}{'target':12}{'noise':8}{'seed':>4}  {'recovered':>9}  {'s/component':>11}  marks")
    for law in (law for law in LAWS if law.name in args.laws):
        for target in args.target:
            for noisy in (False, True):
                for seed in range(args.seeds):
                    X, values = problem(law, target, noisy, seed, args.points)
                    start = time.perf_counter()
                    fronts = [engine.fit(X, values[:, k], NAMES, seed=seed) for k in range(2)]
                    ranges = data_ranges(X, NAMES)
                    verdicts = judge(fronts, law, NAMES, dim=2, target=target, ranges=ranges)
                    seconds.append((time.perf_counter() - start) / 2)
                    recovered += [v.recovered for v in verdicts]
                    print(
                        f"{law.name:8}{target:12}{'noisy' if noisy else 'clean':8}{seed:4}  "
                        f"{sum(v.recovered for v in verdicts):>7}/2  {seconds[-1]:11.1f}  "
                        f"{' '.join(v.marks or '-' for v in verdicts)}",
                        flush=True,
                    )
    print(f"recovered {sum(recovered)} of {len(recovered)}, {np.mean(seconds):.1f} s a component")


if __name__ == "__main__":
    main()
