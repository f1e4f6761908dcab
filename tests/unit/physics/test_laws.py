import sys
import types

import numpy as np
import pytest

from gnn_distill.errors import InputError
from gnn_distill.physics.laws import SOFTENING, Damped, ForceLaw, Spring, String
from tests.conftest import LAWS

rng = np.random.default_rng(0)


@pytest.mark.parametrize("law", LAWS, ids=lambda law: law.name)
def test_magnitude_is_minus_the_derivative_of_the_potential(law: ForceLaw):
    r = rng.uniform(0.05, 8, 200)
    features = np.exp(rng.standard_normal((4, 200)))
    if law.name == "discontinuous":
        r = r[r > law.cut] if rng.random() < 0.5 else r[r < law.cut]  # either side of the jump
        features = features[:, : len(r)]
    step = 1e-30j  # complex-step differentiation: exact to rounding
    slope = law.potential(r + step, *features, law.params).imag / step.imag
    np.testing.assert_allclose(law.magnitude(r, *features, law.params), -slope, rtol=1e-10)


@pytest.mark.parametrize("law", LAWS, ids=lambda law: law.name)
@pytest.mark.parametrize("dim", [2, 3])
def test_pair_force_is_antisymmetric_central_and_covariant(law: ForceLaw, dim: int):
    delta = rng.standard_normal((50, dim))
    m1, m2, q1, q2 = np.exp(rng.standard_normal((4, 50)))
    force = law.pair_force(delta, m1, m2, q1, q2)
    np.testing.assert_allclose(law.pair_force(-delta, m2, m1, q2, q1), -force, rtol=1e-12)
    rotation = np.linalg.qr(rng.standard_normal((dim, dim)))[0]
    np.testing.assert_allclose(law.pair_force(delta @ rotation, m1, m2, q1, q2), force @ rotation, rtol=1e-9)
    d = np.linalg.norm(delta, axis=1)
    size = law.magnitude(d + SOFTENING, m1, m2, q1, q2, law.params)
    np.testing.assert_allclose((force * delta).sum(1), size * d, rtol=1e-9)


def test_known_values():
    law = {law.name: law for law in LAWS}
    delta, one = np.array([[0.99, 0.0]]), np.ones(1)  # r = 1
    assert law["spring"].pair_force(delta, one, one, one, one)[0] == pytest.approx([0, 0], abs=1e-12)
    far = np.array([[2.99, 0.0]])  # r = 3
    assert law["spring"].pair_force(far, one, one, one, one)[0] == pytest.approx([-4, 0])
    assert law["r1"].pair_force(far, 2 * one, 3 * one, one, one)[0] == pytest.approx([-2, 0])
    assert law["r2"].pair_force(far, 2 * one, 3 * one, one, one)[0] == pytest.approx([-6 / 9, 0])
    assert law["discontinuous"].pair_force(far, one, one, one, one)[0] == pytest.approx([-4, 0])
    assert law["discontinuous"].pair_force(delta, one, one, one, one)[0] == pytest.approx([0, 0])
    both = law["superposition"].pair_force(far, 2 * one, 3 * one, one, -one)
    assert both[0] == pytest.approx([-7 / 9, 0])
    assert law["charge"].pair_force(far, one, one, one, -one)[0] == pytest.approx([-1 / 9, 0])


def test_parameters_come_in_the_order_that_the_functions_index():
    assert Spring(rest_length=2.0).params == (2.0,)
    assert Damped(rest_length=2.0, drag=0.5).params == (2.0, 0.5)
    assert String(rest_length=2.0, gravity=0.5).params == (2.0, 0.5)


def test_one_body_terms():
    v, m = np.array([[1.0, -2.0]]), np.array([2.0])
    assert Damped(drag=3.0).one_body_acceleration(v, m)[0] == pytest.approx([-1.5, 3.0])
    assert String(gravity=9.8).one_body_acceleration(v, m)[0] == pytest.approx([0.0, -9.8])
    assert [law.name for law in LAWS if law.has_one_body_term] == ["damped", "string"]


def test_coinciding_particles_feel_no_force():
    one = np.ones(1)
    assert (Spring().pair_force(np.zeros((1, 2)), one, one, one, one) == 0).all()


def test_parameters_are_checked():
    with pytest.raises(InputError, match="rest_length"):
        Spring(rest_length=-1)


def typed(body: str) -> type[ForceLaw]:
    """A law as it is typed in a notebook, where no source text can be had."""
    module = types.ModuleType("typed_at_a_prompt")
    sys.modules[module.__name__] = module
    text = f"""
from dataclasses import dataclass
from gnn_distill.physics.laws import ForceLaw
@dataclass(frozen=True)
class Mine(ForceLaw):
    k: float = 1.0
    name = "mine"
    @staticmethod
    def magnitude(r, m1, m2, q1, q2, params):
        return {body}
"""
    exec(text, module.__dict__)
    return module.Mine


def test_a_law_typed_at_a_prompt_is_known_by_what_it_computes():
    one, same, other = typed("-2 * r").source(), typed("-2 * r").source(), typed("-3 * r").source()
    assert one == same != other
