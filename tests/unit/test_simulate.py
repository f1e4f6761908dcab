import numba
import numpy as np
import pytest
from scipy.integrate import solve_ivp

from gnn_distill.errors import InputError
from gnn_distill.forces import SOFTENING, ForceLaw, InverseSquare, Spring
from gnn_distill.simulate import Simulation, Trajectories, initial_state, simulate
from tests.conftest import LAWS


def pair_sum(law: ForceLaw, t: Trajectories, what: str) -> np.ndarray:
    """Total potential energy [S, T]."""
    total = np.zeros(t.positions.shape[:2])
    n = t.positions.shape[2]
    for i in range(n):
        for j in range(i):
            r = np.linalg.norm(t.positions[:, :, i] - t.positions[:, :, j], axis=-1) + SOFTENING
            m1, m2 = t.masses[:, None, i], t.masses[:, None, j]
            total += law.potential(r, m1, m2, t.charges[:, None, i], t.charges[:, None, j], law.params)
    return total


@pytest.mark.parametrize("law", LAWS, ids=lambda law: law.name)
def test_energy_and_momentum_are_conserved(law: ForceLaw):
    t = simulate(Simulation(law, simulations=60))
    mass = t.masses[:, None, :, None]
    momentum = (mass * t.velocities).sum(2)
    assert np.abs(momentum - momentum[:, :1]).max() < 1e-6
    energy = 0.5 * (mass * t.velocities**2).sum((2, 3)) + pair_sum(law, t, "potential")
    drift = np.abs(energy[:, -1] - energy[:, 0]) / np.maximum(1, np.abs(energy[:, 0]))
    assert np.median(drift) < 1e-6


@pytest.mark.parametrize("law", LAWS, ids=lambda law: law.name)
@pytest.mark.parametrize("dim", [2, 3])
def test_agrees_with_scipy(law: ForceLaw, dim: int):
    spec = Simulation(law, n=3, dim=dim, simulations=12, frames=6, seed=3)
    t = simulate(spec)
    receiver, sender = np.where(~np.eye(3, dtype=bool))
    closest = np.inf

    def derivative(_, y, m, q):
        x, v = y.reshape(2, 3, dim)
        f = law.pair_force(x[receiver] - x[sender], m[receiver], m[sender], q[receiver], q[sender])
        a = f.reshape(3, 2, dim).sum(1) / m[:, None]
        return np.concatenate([v.ravel(), a.ravel()])

    compared = 0
    for k in range(spec.simulations):
        x, v, m, q = initial_state(spec, k)
        times = np.arange(6) * spec.frame_spacing
        y0 = np.concatenate([x.ravel(), v.ravel()])
        exact = solve_ivp(
            derivative, (0, times[-1]), y0, "DOP853", times, rtol=1e-10, atol=1e-10, args=(m, q)
        ).y.T.reshape(6, 2, 3, dim)
        closest = np.linalg.norm(exact[:, 0, receiver] - exact[:, 0, sender], axis=-1).min()
        if closest > 0.3:
            compared += 1
            np.testing.assert_allclose(t.positions[k], exact[:, 0], atol=1e-6)
            np.testing.assert_allclose(t.velocities[k], exact[:, 1], atol=1e-6)
    assert compared >= 2


def test_accelerations_are_those_of_the_law():
    t = simulate(Simulation(InverseSquare(), simulations=5, frames=3))
    receiver, sender = np.where(~np.eye(4, dtype=bool))
    m, q = t.masses[:, None], t.charges[:, None]
    delta = t.positions[:, :, receiver] - t.positions[:, :, sender]
    force = InverseSquare().pair_force(
        delta, m[..., receiver], m[..., sender], q[..., receiver], q[..., sender]
    )
    expected = force.reshape(5, 3, 4, 3, 2).sum(3) / m[..., None]
    np.testing.assert_allclose(t.accelerations, expected, rtol=1e-9)


def test_error_falls_with_the_tolerance():
    def end(rtol: float) -> np.ndarray:
        return simulate(Simulation(Spring(), simulations=20, frames=20, rtol=rtol, atol=rtol)).positions[
            :, -1
        ]

    exact = end(1e-12)
    loose, tight = (np.median(np.abs(end(tol) - exact)) for tol in (1e-4, 1e-8))
    assert tight < 1e-2 * loose


def test_same_bits_for_any_number_of_threads():
    spec = Simulation(Spring(), simulations=30, frames=5)
    before = numba.get_num_threads()
    results = []
    for threads in {1, before}:
        numba.set_num_threads(threads)
        results.append(simulate(spec).positions)
    numba.set_num_threads(before)
    assert all((r == results[0]).all() for r in results)


def test_a_trajectory_depends_on_its_own_seed_only():
    few = simulate(Simulation(Spring(), simulations=3, frames=4))
    many = simulate(Simulation(Spring(), simulations=9, frames=4))
    assert (few.positions == many.positions[:3]).all()
    other = simulate(Simulation(Spring(), simulations=3, frames=4, seed=1))
    assert not np.isclose(few.positions, other.positions).any()


class Divergent(Spring):
    """Non-finite within a distance that some trajectories reach."""

    name = "divergent"

    @staticmethod
    def magnitude(r, m1, m2, q1, q2, params):
        return -2.0 * (r - params[0]) / np.maximum(r - 0.15, 0.0) * np.maximum(r - 0.15, 0.0)


def test_failed_trajectories_are_replaced_and_counted():
    t = simulate(Simulation(Divergent(), simulations=60, frames=10))
    assert t.replaced > 0
    assert np.isfinite(t.positions).all() and np.isfinite(t.accelerations).all()


@pytest.mark.parametrize(
    "change", [{"n": 1}, {"dim": 4}, {"rtol": 0.5}, {"simulations": 0}, {"time_step": 0.0}]
)
def test_bad_values_are_named(change: dict):
    with pytest.raises(InputError, match=next(iter(change))):
        Simulation(Spring(), **change)
