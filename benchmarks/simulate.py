"""One million samples of each published law, beside SciPy and a batched ODE library, in one run.

    python benchmarks/simulate.py [--threads 2] [--others]

Prints seconds and trajectories per second of the package's integrator (compilation apart), of a loop over
`scipy.integrate.solve_ivp` (RK45, the same tolerances) on a few trajectories, and with --others of
torchode (`pip install torchode`), which integrates a batch with a step per trajectory.
"""

from __future__ import annotations

import argparse
import resource
import time

import numba
import numpy as np
import torch
from scipy.integrate import solve_ivp

from gnn_distill.physics.laws import SOFTENING, Coulomb, ForceLaw, InverseDistance, InverseSquare, Spring
from gnn_distill.physics.simulate import Simulation, initial_state, simulate

LAWS: list[ForceLaw] = [Spring(), InverseDistance(), Coulomb(), InverseSquare()]
RECEIVER, SENDER = np.nonzero(~np.eye(4, dtype=bool))


def derivative(law: ForceLaw, m: np.ndarray, q: np.ndarray):
    def f(_, y):
        x, v = y.reshape(2, 4, 2)
        delta = x[RECEIVER] - x[SENDER]
        force = law.pair_force(delta, m[RECEIVER], m[SENDER], q[RECEIVER], q[SENDER])
        return np.concatenate([v, force.reshape(4, 3, 2).sum(1) / m[:, None]]).ravel()

    return f


def scipy_rate(law: ForceLaw, count: int) -> float:
    spec = Simulation(law)
    times = np.arange(spec.frames) * spec.frame_spacing
    start = time.perf_counter()
    for k in range(count):
        x, v, m, q = initial_state(spec, k)
        y0 = np.concatenate([x, v]).ravel()
        solve_ivp(derivative(law, m, q), (0, times[-1]), y0, "RK45", times, rtol=1e-8, atol=1e-8)
    return count / (time.perf_counter() - start)


def torchode_rate(law: ForceLaw, count: int) -> float:
    import torchode

    spec = Simulation(law)
    states = [initial_state(spec, k) for k in range(count)]
    x, v, m, q = (torch.from_numpy(np.stack(part)) for part in zip(*states, strict=True))

    def f(_, y):
        x, v = y.unflatten(1, (2, 4, 2)).unbind(1)
        delta = x[:, RECEIVER] - x[:, SENDER]
        d = delta.norm(dim=-1)
        args = m[:, RECEIVER], m[:, SENDER], q[:, RECEIVER], q[:, SENDER], law.params
        force = (law.magnitude(d + SOFTENING, *args) / d)[..., None] * delta
        a = force.unflatten(1, (4, 3)).sum(2) / m[..., None]
        return torch.stack([v, a], 1).flatten(1)

    times = torch.arange(spec.frames, dtype=torch.double).expand(count, -1) * spec.frame_spacing
    solver = torchode.AutoDiffAdjoint(
        torchode.Dopri5(term=torchode.ODETerm(f)),
        torchode.IntegralController(atol=1e-8, rtol=1e-8, term=torchode.ODETerm(f)),
    )
    start = time.perf_counter()
    with torch.no_grad():
        solver.solve(torchode.InitialValueProblem(y0=torch.stack([x, v], 1).flatten(1), t_eval=times))
    return count / (time.perf_counter() - start)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--scipy", type=int, default=20, help="trajectories of the SciPy loop")
    parser.add_argument("--others", type=int, default=0, help="trajectories of the batched library")
    arguments = parser.parse_args()
    numba.set_num_threads(arguments.threads)
    torch.set_num_threads(arguments.threads)
    print(f"{arguments.threads} threads; 10,000 trajectories of 100 kept frames, rtol = atol = 1e-8")
    for law in LAWS:
        simulate(Simulation(law, simulations=2))  # compile
        start = time.perf_counter()
        simulate(Simulation(law))
        seconds = time.perf_counter() - start
        loop = scipy_rate(law, arguments.scipy)
        line = f"{law.name:>8}  {seconds:6.2f} s  {10_000 / seconds:7.0f} /s   SciPy {loop:6.1f} /s"
        line += f"  ratio {10_000 / seconds / loop:6.0f}"
        if arguments.others:
            line += f"   torchode {torchode_rate(law, arguments.others):6.1f} /s"
        print(line, flush=True)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"peak memory {peak:.0f} MiB")


if __name__ == "__main__":
    main()
