"""Stochastic force inference beside us: linear regression of pair forces on bases that the user picks.

    python benchmarks/cases.py make DIR overdamped trap align dust magnet drag --seed 1
    python benchmarks/neighbours.py DIR [NAME ...] [--basis gaussians powers] [--fit linear noisy]

For each file, basis and estimator: the median relative error of the pair law on a grid of distances,
the relative errors of the one-body terms, CPU seconds. Needs `pip install StochasticForceInference`, best in
an environment of its own; prints a sentence and stops where that is missing. One thread, double precision.
"""

from __future__ import annotations

import argparse
import json
import os
import time
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

os.environ.setdefault("XLA_FLAGS", "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1")

import numpy as np
import pandas as pd

NAMES = ("overdamped", "trap", "align", "dust", "magnet", "drag")


def kernels(kind: str, d: np.ndarray) -> list[tuple[Any, str]]:
    """Functions of the distance that know no more of the law than the range of the distances d."""
    from SFI.bases.pairs import exp_poly_kernels, gaussian_kernels

    if kind == "gaussians":
        return gaussian_kernels(np.geomspace(d[0] / 3, 1.5 * d[-1], 14))
    return exp_poly_kernels((-2, -1, 0, 1), np.geomspace(d[0] / 2, d[-1], 4))


def pair_basis(truth: dict[str, Any], radial: Sequence[tuple[Any, str]]) -> Any:
    """One feature for each radial function: along the line of the pair, or along v₂ − v₁."""
    import jax.numpy as jnp
    from SFI.bases.pairs import pair_velocity_difference, radial_pair_basis, scalar_pair_basis
    from SFI.statefunc import make_interactor

    if truth["direction"] == "w":
        return (scalar_pair_basis(radial, dim=2) * pair_velocity_difference(dim=2)).dispatch_pairs()
    if truth["weight"] == "1":
        return radial_pair_basis(radial, dim=2).dispatch_pairs()

    def weighted(pair: Any, *, extras: Any) -> Any:
        delta = pair[1] - pair[0]
        d = jnp.sqrt((delta**2).sum() + 1e-12)
        weight = extras["q"][0] * extras["q"][1] / extras["m"][0]
        return weight * (delta / d)[:, None] * jnp.stack([f(d) for f, _ in radial])[None]

    keys = ("q", "m")
    return make_interactor(
        weighted, dim=2, rank=1, K=2, n_features=len(radial), extras_keys=keys, particle_extras=keys
    ).dispatch_pairs()


def one_body_basis(truth: dict[str, Any]) -> tuple[Any, list[str]]:
    """Position, then velocity; with charges the magnetic term, too."""
    from SFI.bases.linear import V, X
    from SFI.statefunc import make_basis

    if truth["order"] == 1:
        return X(2), ["k"]
    basis, names = X(2) & V(2), ["k", "γ"]
    if truth["weight"] != "1":

        def turned(x: Any, *, v: Any, extras: Any) -> Any:
            import jax.numpy as jnp

            return (extras["q"] / extras["m"] * jnp.stack([v[1], -v[0]]))[:, None]

        keys = ("q", "m")
        term = make_basis(turned, dim=2, rank=1, needs_v=True, extras_keys=keys, particle_extras=keys)
        basis, names = basis & term, [*names, "B"]
    return basis, names


def resolved(x: np.ndarray, dt: float) -> np.ndarray:
    """Which sightings [T, n] are far enough from all others, now and two frames around, for frames dt apart.

    Least squares would follow the few close passes of singular forces, where velocities are derived wrongly.
    """
    d = np.linalg.norm(x[:, :, None] - x[:, None], axis=-1) + 1e9 * np.eye(x.shape[1])
    near = d.min(2) < 25 * dt
    padded = np.pad(near, ((2, 2), (0, 0)))
    return ~np.stack([padded[k : k + len(near)] for k in range(5)]).any(0)


def recording(path: Path, truth: dict[str, Any]) -> Any:
    """All runs of a file."""
    from SFI import TrajectoryCollection, TrajectoryDataset

    table = pd.read_csv(path)
    S, T, n, D = truth["shape"]
    x = table[["x", "y"]].to_numpy().reshape(S, T, n, D)
    own = {key: table[key].to_numpy().reshape(S, T, n)[:, 0] for key in ("q", "m") if key in table}
    dt = float(np.unique(table.t)[1])
    runs = [
        TrajectoryDataset.from_arrays(X=x[s], dt=dt, extras_local={key: own[key][s] for key in own})
        for s in range(S)
    ]
    return TrajectoryCollection.from_dataset(runs[0]).concat(runs[1:])


def compare(path: Path, kind: str, fit: str) -> str:
    """One row: errors and seconds."""
    from SFI import OverdampedLangevinInference, UnderdampedLangevinInference

    truth = json.loads(path.with_suffix(".truth.json").read_text())
    d, f = (np.array(truth["pair"][key]) for key in ("d", "f"))
    radial = kernels(kind, d)
    start = time.process_time()
    own, names = one_body_basis(truth)
    basis = pair_basis(truth, radial) & own
    solver = OverdampedLangevinInference if truth["order"] == 1 else UnderdampedLangevinInference
    inference = solver(recording(path, truth))
    inference.compute_diffusion_constant()
    if fit == "linear":
        inference.infer_force_linear(basis)
    else:
        inference.infer_force(basis)
    weights = np.asarray(inference.force_coefficients_full, dtype=float).ravel()
    seconds = time.process_time() - start
    # its unit vectors and velocity differences point from receiver to sender
    found = -sum(w * np.asarray(g(d)) for w, (g, _) in zip(weights, radial, strict=False))
    error = np.median(np.abs(found - f) / np.abs(f))
    cells = []
    for name, value in zip(names, weights[len(radial) :], strict=True):
        true = truth["constants"].get(name, 0.0)
        shown = value if name == "B" else -value
        cells.append(f"{name} {100 * (shown / true - 1):+.2f} %" if true else f"{name} {shown:+.4f} of 0")
    return f"| {path.stem} | {fit} | {kind} | {100 * error:.2f} % | {', '.join(cells)} | {seconds:.0f} |"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path)
    parser.add_argument("names", nargs="*", default=NAMES, metavar="NAME")
    parser.add_argument(
        "--basis", nargs="+", default=["gaussians", "powers"], choices=["gaussians", "powers"]
    )
    parser.add_argument("--fit", nargs="+", default=["linear", "noisy"], choices=["linear", "noisy"])
    chosen = parser.parse_args()
    try:
        import jax
        import SFI
    except ImportError:
        print("Nothing compared: this needs pip install StochasticForceInference.")
        return
    jax.config.update("jax_enable_x64", True)
    warnings.simplefilter("ignore")
    print(f"StochasticForceInference {SFI.__version__}\n")
    print("| case | estimator | basis | pair law | one-body terms | CPU s |\n|---|---|---|---|---|---|")
    for name in chosen.names:
        for fit in chosen.fit:
            for kind in chosen.basis:
                print(compare(chosen.folder / f"{name}.csv", kind, fit), flush=True)


if __name__ == "__main__":
    main()
