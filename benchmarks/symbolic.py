"""Planted messages: is the law recovered, and how long does it take? One core.

Each law, clean and with 3 % noise and 5 % outliers near r → 0, as accelerations (one equation for both
components) or as a random mixture of axes with a random offset (each component by itself). One line a
problem: components recovered, CPU seconds per component of the whole search, and of its part up to the first
front on which all components are recovered. A summary at the end.

    python benchmarks/symbolic.py --seeds 5 --target pullback components
"""

from __future__ import annotations

import argparse
import itertools
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from gnn_distill.distil.engines.operon import OperonEngine
from gnn_distill.distil.expressions.front import Front
from gnn_distill.distil.joint import along, vector_fronts
from gnn_distill.distil.solve import Work
from gnn_distill.distil.verdict.judge import Verdict, data_ranges, judge
from gnn_distill.physics.laws import Coulomb, ForceLaw, InverseDistance, InverseSquare, Spring

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


@dataclass
class Watch:
    """A memory that looks at every front an engine leaves, and at the clock."""

    recovered: Callable[[Front], bool]
    start: float = field(default_factory=time.process_time)
    first: float | None = None
    spent: float = 0.0

    def load(self) -> None:
        """Nothing: every search is new."""

    def save(self, state: Mapping[str, Any]) -> None:
        """Note when the front holds the law for the first time; looking does not count."""
        now = time.process_time()
        if self.first is None and state["front"] and self.recovered(Front.from_dict(state["front"])):
            self.first = now - self.start - self.spent
        self.spent += time.process_time() - now

    def seconds(self) -> float:
        """CPU seconds without the looking."""
        return time.process_time() - self.start - self.spent


def joint(law: ForceLaw, X: np.ndarray, values: np.ndarray, seed: int) -> tuple[list[Verdict], Watch]:
    """One search for both components of accelerations."""
    ranges = data_ranges(X, NAMES)

    def verdicts(front: Front) -> list[Verdict]:
        fronts = vector_fronts(front, X, NAMES, values).components
        return judge(fronts, law, NAMES, dim=2, target="pullback", ranges=ranges)

    watch = Watch(lambda front: all(v.recovered for v in verdicts(front)))
    size, _ = along(X[:, :2], values)
    front = OperonEngine().fit(X[:, 2:], size, NAMES[2:], seed=seed, memory=watch)
    return verdicts(front), watch


def single(law: ForceLaw, X: np.ndarray, values: np.ndarray, seed: int) -> tuple[list[Verdict], Watch]:
    """One component of a message."""
    ranges = data_ranges(X, NAMES)

    def verdicts(front: Front) -> list[Verdict]:
        return judge([front], law, NAMES, dim=2, target="components", ranges=ranges)

    watch = Watch(lambda front: verdicts(front)[0].recovered)
    engine = Work(OperonEngine(), seed).beside().engine
    return verdicts(engine.fit(X, values[:, 0], NAMES, seed=seed, memory=watch)), watch


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--points", type=int, default=5000)
    parser.add_argument("--target", nargs="+", choices=["pullback", "components"], default=["pullback"])
    parser.add_argument("--laws", nargs="+", default=[law.name for law in LAWS])
    args = parser.parse_args()
    for target in args.target:
        solved, seconds, first = [], [], []
        print(f"{target}\n{'law':8}{'noise':8}{'seed':>4}  recovered  s/component  until recovered  marks")
        for law in (law for law in LAWS if law.name in args.laws):
            for noisy, seed in itertools.product((False, True), range(args.seeds)):
                X, values = problem(law, target, noisy, seed, args.points)
                search = joint if target == "pullback" else single
                verdicts, watch = search(law, X, values, seed)
                parts = len(verdicts)
                seconds.append(watch.seconds() / parts)
                solved.append(all(v.recovered for v in verdicts))
                first += [watch.first / parts] if watch.first is not None else []
                until = f"{watch.first / parts:.1f}" if watch.first is not None else "-"
                marks = " ".join(v.marks or "-" for v in verdicts)
                print(
                    f"{law.name:8}{'noisy' if noisy else 'clean':8}{seed:4}  "
                    f"{sum(v.recovered for v in verdicts):>7}/{parts}  {seconds[-1]:11.1f}  {until:>15}  "
                    f"{marks}",
                    flush=True,
                )
        print(
            f"{target}: {sum(solved)} of {len(solved)} recovered; CPU seconds a component: "
            f"mean {np.mean(seconds):.1f}, largest {max(seconds):.1f}; until recovered: "
            f"mean {np.mean(first):.1f}, largest {max(first):.1f}",
            flush=True,
        )


if __name__ == "__main__":
    main()
