import numba
import numpy as np
import pytest
from scipy.integrate import solve_ivp

from gnn_distill.data.particles import chain
from gnn_distill.errors import InputError
from gnn_distill.physics.laws import SOFTENING, Damped, ForceLaw, InverseSquare, Spring
from gnn_distill.physics.simulate import (
    Simulation,
    Trajectories,
    initial_state,
    integrate,
    simulate,
    simulate_blocks,
)
from tests.conftest import LAWS


def graph(law: ForceLaw, n: int) -> tuple[np.ndarray, np.ndarray]:
    """Receivers and senders of the law's graph."""
    return np.nonzero(chain(n) if law.graph == "chain" else ~np.eye(n, dtype=bool))


def acceleration(law: ForceLaw, x, v, m, q) -> np.ndarray:
    """Accelerations [n, D] by plain numpy."""
    receiver, sender = graph(law, len(m))
    f = law.pair_force(x[receiver] - x[sender], m[receiver], m[sender], q[receiver], q[sender])
    total = np.zeros_like(x)
    np.add.at(total, receiver, f)
    return total / m[:, None] + law.one_body_acceleration(v, m)


def potential_energy(law: ForceLaw, t: Trajectories) -> np.ndarray:
    """Total potential energy [S, T]."""
    total = (t.masses[:, None] * law.gravity * t.positions[..., 1]).sum(2)
    for i, j in zip(*graph(law, t.positions.shape[2]), strict=True):
        r = np.linalg.norm(t.positions[:, :, i] - t.positions[:, :, j], axis=-1) + SOFTENING
        m1, m2 = t.masses[:, None, i], t.masses[:, None, j]
        pair = law.potential(r, m1, m2, t.charges[:, None, i], t.charges[:, None, j], law.params)
        total += 0.5 * pair
    return total


@pytest.mark.parametrize("law", LAWS, ids=lambda law: law.name)
def test_momentum_is_conserved_but_for_one_body_terms(law: ForceLaw):
    t = simulate(Simulation(law, simulations=60))
    mass = t.masses[:, None, :, None]
    momentum = (mass * t.velocities).sum(2)
    if law.drag:
        assert np.abs(momentum[:, -1]).mean() < 0.8 * np.abs(momentum[:, 0]).mean()
        return
    fallen = np.zeros(2)
    fallen[1] = law.gravity
    time = np.arange(t.positions.shape[1])[None, :, None] * Simulation(law).frame_spacing
    expected = momentum[:, :1] - mass.sum(2) * fallen * time
    np.testing.assert_allclose(momentum, expected, atol=2e-6)


@pytest.mark.parametrize("law", [law for law in LAWS if not law.drag], ids=lambda law: law.name)
def test_energy_is_conserved(law: ForceLaw):
    t = simulate(Simulation(law, simulations=60))
    if (
        law.name == "discontinuous"
    ):  # where V jumps there is no force: two particles that do not cross the cut
        t = simulate(Simulation(law, n=2, simulations=200, frames=8))
    energy = 0.5 * (t.masses[:, None, :, None] * t.velocities**2).sum((2, 3)) + potential_energy(law, t)
    drift = np.abs(energy[:, -1] - energy[:, 0]) / np.maximum(1, np.abs(energy[:, 0]))
    if law.name == "discontinuous":
        d = np.linalg.norm(t.positions[:, :, 0] - t.positions[:, :, 1], axis=-1) + SOFTENING
        drift = drift[(d >= law.cut).all(1)]
        assert len(drift) > 10
    assert np.median(drift) < 1e-6


def test_drag_takes_energy():
    t = simulate(Simulation(Damped(), simulations=60))
    energy = 0.5 * (t.masses[:, None, :, None] * t.velocities**2).sum((2, 3))
    energy += potential_energy(Damped(), t)
    assert (np.diff(energy, axis=1) < 1e-9 * np.abs(energy).max()).all()


@pytest.mark.parametrize("law", LAWS, ids=lambda law: law.name)
@pytest.mark.parametrize("dim", [2, 3])
def test_agrees_with_scipy(law: ForceLaw, dim: int):
    spec = Simulation(law, n=3, dim=dim, simulations=12, frames=6, seed=3)
    t = simulate(spec)
    receiver, sender = graph(law, 3)

    def derivative(_, y, m, q):
        x, v = y.reshape(2, 3, dim)
        return np.concatenate([v, acceleration(law, x, v, m, q)]).ravel()

    compared = 0
    for k in range(spec.simulations):
        x, v, m, q = initial_state(spec, k)
        times = np.arange(6) * spec.frame_spacing
        y0 = np.concatenate([x, v]).ravel()
        exact = solve_ivp(
            derivative, (0, times[-1]), y0, "DOP853", times, rtol=1e-10, atol=1e-10, args=(m, q)
        ).y.T.reshape(6, 2, 3, dim)
        d = np.linalg.norm(exact[:, 0, receiver] - exact[:, 0, sender], axis=-1)
        smooth = law.name != "discontinuous" or ((d > law.cut) == (d > law.cut)[:1]).all()
        if d.min() > 0.3 and smooth:
            compared += 1
            np.testing.assert_allclose(t.positions[k], exact[:, 0], atol=1e-6)
            np.testing.assert_allclose(t.velocities[k], exact[:, 1], atol=1e-6)
    assert compared >= 2


def test_kepler_orbit():
    # two bodies bound by −m1 m2 / r with r = d + ε, started on the circle where force meets centripetal need
    law, d = InverseSquare(), 1.0
    spec = Simulation(law, n=2, simulations=1, frames=50, time_step=0.02)
    m = np.array([2.0, 0.5])
    omega = np.sqrt(m.sum() / ((d + SOFTENING) ** 2 * d))
    x0 = np.array([[m[1], 0.0], [-m[0], 0.0]]) * d / m.sum()
    v0 = omega * x0[:, ::-1] * [-1, 1]
    t = integrate(spec, x0[None], v0[None], m[None], np.ones((1, 2)))
    phase = omega * np.arange(50) * spec.frame_spacing
    circle = np.stack([np.cos(phase), np.sin(phase)], -1)[:, None] * x0[None, :, :1]
    np.testing.assert_allclose(t[0][0], circle, atol=1e-6)


@pytest.mark.parametrize("law", LAWS, ids=lambda law: law.name)
def test_accelerations_are_those_of_the_law(law: ForceLaw):
    t = simulate(Simulation(law, simulations=5, frames=3))
    for s, f in np.ndindex(5, 3):
        state = t.positions[s, f], t.velocities[s, f], t.masses[s], t.charges[s]
        np.testing.assert_allclose(t.accelerations[s, f], acceleration(law, *state), rtol=1e-8, atol=1e-9)


def test_error_falls_with_the_tolerance():
    def end(tolerance: float) -> np.ndarray:
        spec = Simulation(Spring(), simulations=40, frames=20, rtol=tolerance, atol=tolerance)
        return simulate(spec).positions[:, -1]

    exact, tolerances = end(1e-13), np.array([1e-5, 1e-6, 1e-7, 1e-8, 1e-9])
    errors = [np.median(np.abs(end(tol) - exact)) for tol in tolerances]
    # a step that grows as tol^(1/5) with errors of its fifth power: between tol^(4/5) and tol
    assert 0.7 < np.polyfit(np.log(tolerances), np.log(errors), 1)[0] < 1.1
    assert errors[3] < 1e-6


def test_fifth_order_where_every_step_is_a_frame():
    def end(step: float, tolerance: float) -> np.ndarray:
        frames = round(1.2 / step) + 1
        options = {"frames": frames, "stride": 1, "time_step": step, "rtol": tolerance, "atol": tolerance}
        return simulate(Simulation(Spring(), n=2, simulations=200, **options)).positions[:, -1]

    exact, steps = end(0.1, 1e-13), np.array([0.1, 0.05, 0.025])
    errors = [np.median(np.abs(end(step, 1e-2) - exact)) for step in steps]
    assert 4.5 < np.polyfit(np.log(steps), np.log(errors), 1)[0] < 5.7


def test_blocks_do_not_change_the_trajectories():
    spec = Simulation(Divergent(), simulations=60, frames=10)
    whole = simulate(spec)
    parts = list(simulate_blocks(spec, block=7))
    positions = np.concatenate([part.positions for part in parts])
    healthy = [k for k in range(60) if integrate(spec, *(p[None] for p in initial_state(spec, k)))[3][0]]
    assert 10 < len(healthy) < 60  # the others are replaced, in the order in which they fail
    assert (positions[healthy] == whole.positions[healthy]).all()
    assert sum(part.replaced for part in parts) > 0 and np.isfinite(positions).all()


@pytest.mark.parametrize("law", [law for law in LAWS if not law.gravity], ids=lambda law: law.name)
@pytest.mark.parametrize("dim", [2, 3])
def test_moved_and_turned_trajectories_are_the_same(law: ForceLaw, dim: int):
    spec = Simulation(law, n=3, dim=dim, simulations=20, frames=6)
    states = [initial_state(spec, k) for k in range(20)]
    x, v, m, q = (np.stack(part) for part in zip(*states, strict=True))
    rng = np.random.default_rng(0)
    turn, shift, drift = np.linalg.qr(rng.standard_normal((dim, dim)))[0], *rng.standard_normal((2, dim))
    plain = integrate(spec, x, v, m, q)[0]
    moved = integrate(spec, x @ turn + shift, v @ turn + (0 if law.drag else drift), m, q)[0]
    time = np.arange(6)[:, None, None] * spec.frame_spacing
    expected = plain @ turn + shift + (0 if law.drag else drift * time)
    assert np.median(np.abs(moved - expected)) < 1e-9
    assert np.quantile(np.abs(moved - expected), 0.9) < 1e-6  # close encounters magnify rounding


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


class Unequal(Spring):
    """What it does to the first of two is not what it does to the second."""

    @staticmethod
    def magnitude(r, m1, m2, q1, q2, params):
        return -m2 * r


def test_forces_of_a_class_are_opposite():
    with pytest.raises(InputError, match=r"dataset\.law = .Unequal.*exchanged.*dataset\.along_distance"):
        Simulation(Unequal())


@pytest.mark.parametrize(
    "change", [{"n": 1}, {"dim": 4}, {"rtol": 0.5}, {"simulations": 0}, {"time_step": 0.0}]
)
def test_bad_values_are_named(change: dict):
    with pytest.raises(InputError, match=next(iter(change))):
        Simulation(Spring(), **change)
