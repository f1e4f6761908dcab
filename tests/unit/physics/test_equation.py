"""Equations of motion in text: followed as scipy follows them, with the heat that was asked for."""

from dataclasses import dataclass

import numpy as np
import pytest
from scipy.integrate import solve_ivp

from gnn_distill.errors import InputError
from gnn_distill.physics.equation import Equation, as_equation, checked
from gnn_distill.physics.laws import Damped, ForceLaw, Spring
from gnn_distill.physics.simulate import Simulation, initial_state, simulate

MOVING = {"along_distance": "2*exp(-d)*m2", "along_velocity": "-0.3/(1 + d^2)"}
FIELD = ["-0.8*x + 0.2*vy", "-0.8*y - 0.2*vx"]


def accelerations(x, v, m):
    """Those of `MOVING` and `FIELD`, by plain numpy; the two forces of a pair are not opposite."""
    delta, w = x[:, None] - x, v[:, None] - v
    d = np.linalg.norm(delta, axis=-1) + np.eye(len(x))
    unlike = 1 - np.eye(len(x))
    force = (unlike * 2 * np.exp(-d) * m / d)[..., None] * delta - (0.3 / (1 + d**2))[..., None] * w
    field = np.stack([-0.8 * x[:, 0] + 0.2 * v[:, 1], -0.8 * x[:, 1] - 0.2 * v[:, 0]], axis=1)
    return force.sum(1) / m[:, None] + field


def test_terms_in_text_are_followed_as_scipy_follows_them():
    spec = Simulation(**MOVING, one_body=FIELD, n=3, simulations=2, frames=12)
    t, (x, v, m, _) = simulate(spec), initial_state(spec, 1)
    times = np.arange(12) * spec.frame_spacing

    def derivative(_, y):
        x, v = y.reshape(2, 3, 2)
        return np.concatenate([v, accelerations(x, v, m)]).ravel()

    start, span = np.concatenate([x, v]).ravel(), (0.0, times[-1])
    exact = solve_ivp(derivative, span, start, "DOP853", times, rtol=1e-11, atol=1e-11).y
    exact = exact.T.reshape(12, 2, 3, 2)
    np.testing.assert_allclose(t.positions[1], exact[:, 0], atol=1e-7)
    np.testing.assert_allclose(t.velocities[1], exact[:, 1], atol=1e-7)
    expected = accelerations(exact[-1, 0], exact[-1, 1], m)
    np.testing.assert_allclose(t.accelerations[1, -1], expected, atol=1e-6)


def test_overdamped_particles_have_velocities_for_labels_and_no_inertia():
    spec = Simulation(Spring(), one_body=["-x", "0"], dynamics="first_order", n=2, simulations=3, frames=6)
    t = simulate(spec)
    delta = t.positions[:, :, :1] - t.positions[:, :, 1:]
    one = np.ones(delta.shape[:-1])
    pull = Spring().pair_force(delta, one, one, one, one)
    expected = np.concatenate([pull, -pull], 2) + t.positions * [-1, 0]
    np.testing.assert_allclose(t.accelerations, expected, atol=1e-12)
    slope = np.gradient(t.positions, spec.frame_spacing, axis=1)[:, 1:-1]
    assert np.abs(slope - t.accelerations[:, 1:-1]).max() < 0.02 * np.abs(slope).max()
    assert not t.velocities.any() and spec.order == 1


def test_heat_gives_velocities_their_temperature():
    drag, diffusion = 0.5, 0.4
    field = [f"-x - {drag}*vx", f"-y - {drag}*vy"]
    spec = Simulation(one_body=field, diffusion=diffusion, simulations=100, frames=150, time_step=0.02)
    t = simulate(spec)
    late = t.velocities[:, 75:], t.positions[:, 75:]
    for part in late:  # <v²> = kT/m = D/γ, and <x²> = kT/k
        assert (part**2).mean() == pytest.approx(diffusion / drag, rel=0.05)


def test_overdamped_particles_diffuse_and_are_seen_with_noise():
    spec = Simulation(one_body=["0", "0"], dynamics="first_order", diffusion=0.3, noise=0.2, frames=40)
    steps = np.diff(simulate(Simulation(**{**vars(spec), "simulations": 100})).positions, axis=1)
    assert (steps**2).mean() == pytest.approx(2 * 0.3 * spec.frame_spacing + 2 * 0.2**2, rel=0.05)
    neighbours = (steps[:, 1:] * steps[:, :-1]).mean()
    assert neighbours == pytest.approx(-(0.2**2), rel=0.1)


def test_kicks_do_not_depend_on_what_is_simulated_beside():
    spec = {"one_body": ["-x", "-y"], "diffusion": 0.1, "frames": 5}
    few, many = (simulate(Simulation(**spec, simulations=k)).positions for k in (2, 5))
    np.testing.assert_array_equal(few, many[:2])
    assert not np.allclose(few[0], few[1])


@dataclass(frozen=True)
class Trapped(Spring):
    """Springs in a trap, in a class."""

    strength: float = 0.5
    along_velocity = "-0.1"

    @property
    def one_body(self) -> list[str]:
        """The trap."""
        return [f"-{self.strength}*x", f"-{self.strength}*y"]


def test_a_class_may_say_the_same():
    law = as_equation(Simulation(Trapped(strength=2.0)).law)
    assert law.one_body == ("-2.0*x", "-2.0*y") and law.along_velocity == "-0.1"
    assert law.base == Trapped(strength=2.0) and law.softening == 0.01
    typed = Simulation(Trapped(), one_body=["x", "0"]).law
    assert as_equation(typed).one_body == ("x", "0")


def test_a_law_of_which_nothing_is_said_stays_itself():
    for law in (Spring(), Damped()):
        assert Simulation(law).law is law


@pytest.mark.parametrize(
    ("settings", "word"),
    [
        ({"one_body": ["-x"]}, "one_body"),
        ({"one_body": ["-x", "-y", "-z"]}, "one_body"),
        ({"one_body": ["-z", "-y"]}, "z is not known"),
        ({"along_distance": "exp(-dx)"}, "dx is not known"),
        ({"along_velocity": "-1", "dynamics": "first_order"}, "dynamics"),
        ({"one_body": ["vx", "0"], "dynamics": "first_order"}, "vx is not known"),
        ({"law": Damped(), "dynamics": "first_order"}, "dynamics"),
        ({"one_body": ["-x", "-y"], "dynamics": "overdamped"}, "first_order"),
        ({"one_body": ["-x", "-y"], "noise": -1.0}, "noise"),
        ({}, "dataset.law"),
    ],
)
def test_what_makes_no_sense_is_refused(settings: dict, word: str):
    with pytest.raises(InputError, match=word):
        Simulation(**settings)


@pytest.mark.parametrize(
    "text",
    ["__import__('os')", "d.real", "d if d else 1", "(lambda: d)()", "d[0]", "exp(d, out=d)", "d; d", "'a'",
     "9**9**9**9", "d**1000", "exp", "True", "[d]", "d" * 5000, "(" * 500 + "d" + ")" * 500],
)  # fmt: skip
def test_text_is_arithmetic_and_nothing_else(text: str):
    with pytest.raises(InputError):
        checked("dataset.along_distance", text, ("d",))
    with pytest.raises(InputError):
        Equation(along_distance=text)


def test_forces_are_those_of_class_and_text_together():
    law: ForceLaw = Equation(Spring(), along_distance="m2*w/d", along_velocity="uw")
    rng = np.random.default_rng(0)
    delta, w = rng.standard_normal((2, 50, 3))
    m1, m2, q = rng.uniform(1, 2, (3, 50))
    d = np.linalg.norm(delta, axis=1)
    extra = (m2 * np.linalg.norm(w, axis=1) / d**2)[:, None] * delta + ((delta * w).sum(1) / d)[:, None] * w
    found = as_equation(law).force(delta, w, m1, m2, q, q)
    np.testing.assert_allclose(found, Spring().pair_force(delta, m1, m2, q, q) + extra)


def test_a_wall_in_text_pushes_back_beyond_it():
    wall = Equation(one_body=["-40*Max(0, x - 0.5)", "0"])
    t = simulate(Simulation(wall, n=2, simulations=8, frames=60))
    x = t.positions[..., 0]
    np.testing.assert_allclose(t.accelerations[..., 0], -40 * np.maximum(0, x - 0.5), atol=1e-12)
    assert (x > 0.5).any() and (x < 0.5).any()
