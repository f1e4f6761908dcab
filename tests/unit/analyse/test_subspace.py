import numpy as np
import pytest

from gnn_distill.analyse.gauge import mixing
from gnn_distill.analyse.linear import fit_column
from gnn_distill.analyse.subspace import effective_dimension, subspace

rng = np.random.default_rng(0)
E, M = 4000, 30
trajectory = np.arange(E) // 40
force = rng.standard_normal((E, 2)) * np.exp(rng.standard_normal(E))[:, None]


def test_a_force_spread_over_many_dimensions_is_found_whole():
    messages = force @ rng.standard_normal((2, M)) + rng.standard_normal(M)
    found = subspace(messages, force, trajectory)
    np.testing.assert_allclose([found.robust, found.ols], 1.0, atol=1e-9)


def test_it_does_not_depend_on_the_basis_of_the_messages():
    messages = np.column_stack([force, rng.standard_normal((E, M - 2))])
    messages[:, :2] += 0.3 * rng.standard_normal((E, 2))
    turned = messages @ np.linalg.qr(rng.standard_normal((M, M)))[0]
    np.testing.assert_allclose(
        subspace(turned, force, trajectory).robust, subspace(messages, force, trajectory).robust, atol=1e-6
    )


def test_random_messages_predict_nothing_they_have_not_seen():
    found = subspace(rng.standard_normal((1000, 200)), force[:1000], trajectory[:1000])
    assert max(found.ols) < 0.0  # in sample, 200 regressors would explain a fifth


def test_outliers_do_not_rule_the_robust_map():
    messages = force @ rng.standard_normal((2, 3))
    wild = rng.random(E) < 0.04
    messages[wild] += 100 * rng.standard_normal((wild.sum(), 3))
    found = subspace(messages, force, trajectory)
    assert min(found.robust) > 0.999 > 0.9 > max(found.ols)


def test_silent_dimensions_do_no_harm():
    messages = np.column_stack([force, np.zeros((E, 5)), force[:, 0]])
    assert min(subspace(messages, force, trajectory).robust) > 1 - 1e-9


def test_effective_dimension_counts_equal_directions():
    assert effective_dimension(np.array([2.0, 2.0, 2.0, 0.0])) == {
        "participation_ratio": pytest.approx(3.0),
        "components_99": 3,
    }
    assert effective_dimension(np.array([98.0, 1.5, 0.5]))["components_99"] == 2
    assert effective_dimension(np.zeros(3)) == {"participation_ratio": 0.0, "components_99": 0}


@pytest.mark.parametrize("degrees", [-150.0, 20.0, 90.0])
@pytest.mark.parametrize("reflection", [False, True])
def test_mixing_tells_rotation_reflection_and_stretch(degrees: float, reflection: bool):
    c, s = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    turn = np.array([[c, -s], [s, c]]) @ np.diag([1.0, -1.0 if reflection else 1.0])
    matrix = turn @ np.diag([3.0, 0.5])
    found = mixing([fit_column(force, force @ row) for row in matrix])
    np.testing.assert_allclose(found["matrix"], matrix, atol=1e-9)
    assert found["condition"] == pytest.approx(6.0)
    assert found["angle"] == pytest.approx(degrees) and found["reflection"] is reflection


def test_mixing_of_one_component_has_no_angle():
    found = mixing([fit_column(force, force[:, 0])])
    assert found["angle"] is None and found["condition"] == pytest.approx(1.0)
