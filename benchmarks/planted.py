"""Planted pair laws with noise: how often the choice is right, and how often intervals hold the truth.

    python benchmarks/planted.py thresholds --cases 10 --seed 5
    python benchmarks/planted.py coverage --cases 100 --seed 5

`thresholds`: labels of laws with noise of several sizes; the fits of nine forms are made once, and the choice
among them with other thresholds in the place of CHANCE, CLEAR and MATERIAL. *right*: the form of the law is
chosen; *level*: another one, with which it is level; *wrong*: neither. LOUD: the same with four times the
rows. `coverage`: the share of the constants, one by one, whose 95 % interval holds the truth.
"""

from __future__ import annotations

import argparse
import itertools
from collections.abc import Callable, Sequence

import numpy as np
import sympy
import torch

from gnn_distill.data.graphs import Subset, complete_graph
from gnn_distill.distil.motion import choose
from gnn_distill.distil.motion.choose import Tried, compared
from gnn_distill.distil.motion.fit import Form, fit, settled, typical
from gnn_distill.distil.motion.law import spread
from gnn_distill.distil.motion.samples import Motion
from gnn_distill.distil.motion.segments import motion
from gnn_distill.physics.variables import Columns

N, COLUMNS = 5, Columns(2, softening=0.0)
Pair = Callable[[np.ndarray], np.ndarray]
FORMS = {
    "power": "1.0*d**(-1.3)",
    "inverse square": "1.0/d**2",
    "exponential": "2.0*exp(-1.0*d)",
    "Gaussian": "2.0*exp(-0.5*d**2)",
    "d times exponential": "2.0*d*exp(-1.2*d)",
    "exponential over d": "2.0*exp(-1.0*d)/d",
    "softened": "2.0/(d + 0.5)",
    "two exponentials": "4.0*exp(-2.0*d) - 1.0*exp(-0.7*d)",
    "power and spring": "1.0*d**(-1.3) - 0.2*d",
}
"""The form of each law, with first values of its constants."""
LAWS: dict[str, tuple[Pair, tuple[float, ...]]] = {
    "power": (lambda d: 1.4 * d**-1.7, (-1.7, 1.4)),
    "exponential": (lambda d: 2.6 * np.exp(-d / 0.85), (-1 / 0.85, 2.6)),
    "d times exponential": (lambda d: 3.1 * d * np.exp(-d / 0.7), (-1 / 0.7, 3.1)),
    "exponential over d": (lambda d: 1.9 * np.exp(-d / 1.3) / d, (-1 / 1.3, 1.9)),
    "two exponentials": (lambda d: 5.0 * np.exp(-d / 0.45) - 1.3 * np.exp(-d / 1.6), ()),
}
"""Laws, and constants of their forms: those inside, then factors."""
NOISES = (0.01, 0.1, 0.5, 2.0)
"""Of the labels, in their median size."""
CHANCES, CLEARS, MATERIALS = (1.0, 2.0, 3.0, 4.0, 6.0), (0.01, 0.1, 0.5), (0.0003, 0.003, 0.03)


def form(text: str) -> Form:
    """A form of the distance along Δ/d."""
    expression = sympy.sympify(text)
    return Form.of(expression, "u", "", int(sympy.count_ops(expression)))


def snapshots(pair: Pair, count: int, noise: float, seed: Sequence[int], runs: int = 30) -> Motion:
    """Rows of particles at random places, with noise in units of the median label."""
    rng = np.random.default_rng(seed)
    x = np.zeros((count, N, COLUMNS.count))
    x[..., :2], x[..., COLUMNS.mass] = 1.3 * rng.normal(size=(count, N, 2)), 1.0
    delta = x[:, :, None, :2] - x[:, None, :, :2]
    d = np.linalg.norm(delta, axis=-1) + np.eye(N)
    a = ((pair(d) * (1 - np.eye(N)))[..., None] * delta / d[..., None]).sum(2)
    a = a + noise * np.median(np.abs(a)) * rng.normal(size=a.shape)
    of = torch.arange(count) * runs // count
    data = Subset(torch.tensor(x).float(), torch.tensor(a).float(), None, of, softening=0.0)
    return motion(data, complete_graph(N))


def tried(name: str, noise: float, case: int, rows: int, seed: int) -> tuple[list[Tried], Motion, int]:
    """All forms fitted, their losses on unseen rows, and which of them is that of the law."""
    seen, unseen = (snapshots(LAWS[name][0], rows, noise, (seed, case, k)) for k in (0, 1))
    fits = [fit(seen, form(text)) for text in FORMS.values()]
    return compared(fits, unseen), unseen, list(FORMS).index(name)


def outcome(fits: list[Tried], unseen: Motion, true: int) -> str:
    """What the choice comes to."""
    chosen, _ = choose.simplest(fits, unseen)
    if chosen is fits[true]:
        return "right"
    return "wrong" if choose.beaten(fits[true], chosen, typical(unseen.labels)) else "level"


def thresholds(cases: int, seed: int) -> None:
    print(f"{'rows':>6}{'noise':>7}  " + "  ".join(f"{w:>6}" for w in ("right", "level", "wrong")))
    known = {}
    for rows, noise in itertools.product((100, 400), NOISES):
        known[rows, noise] = [tried(name, noise, k, rows, seed) for name in LAWS for k in range(cases)]
        print(f"{rows:6}{noise:7}  {rates(known[rows, noise])}", flush=True)
    print(f"\n{'CHANCE':>7}{'CLEAR':>7}{'MATERIAL':>10}  right   level   wrong, over all noises and rows")
    every = [case for part in known.values() for case in part]
    usual = choose.CHANCE, choose.CLEAR, choose.MATERIAL
    sets = [(c, *usual[1:]) for c in CHANCES] + [(usual[0], c, usual[2]) for c in CLEARS]
    for now in dict.fromkeys([*sets, *((*usual[:2], m) for m in MATERIALS)]):
        choose.CHANCE, choose.CLEAR, choose.MATERIAL = now  # type: ignore[misc]
        print(f"{now[0]:7}{now[1]:7}{now[2]:10}  {rates(every)}", flush=True)


def rates(known: list[tuple[list[Tried], Motion, int]]) -> str:
    """Shares of the three outcomes."""
    found = [outcome(*case) for case in known]
    return "  ".join(f"{found.count(w) / len(found):6.1%}" for w in ("right", "level", "wrong"))


def coverage(cases: int, seed: int) -> None:
    held: dict[str, list[bool]] = {}
    names = [name for name, (_, constants) in LAWS.items() if constants]
    for k in range(cases):
        name, rng = names[k % len(names)], np.random.default_rng([seed, k])
        pair, truth = LAWS[name]
        noise, runs = float(rng.choice([0.05, 0.2, 0.6])), int(rng.choice([15, 30, 60]))
        part = snapshots(pair, 240, noise, (seed, k), runs)
        known = spread(settled(part, form(FORMS[name])), part, k)
        bounds = known.values[:, None] + known.intervals(np.eye(len(known.values)))
        for value, (low, high) in zip(truth, bounds, strict=True):
            inside = low <= value <= high
            for key in ("all", f"{runs} runs", f"noise {noise}", name):
                held.setdefault(key, []).append(inside)
    for key, values in held.items():
        print(f"{key:22}{np.mean(values):7.1%} of {len(values)}")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("what", choices=["thresholds", "coverage"])
    parser.add_argument("--cases", type=int, default=10, help="of each law and noise; of all laws together")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    {"thresholds": thresholds, "coverage": coverage}[args.what](args.cases, args.seed)


if __name__ == "__main__":
    main()
