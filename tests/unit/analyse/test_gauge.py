import numpy as np
import pytest

from gnn_distill.analyse.gauge import centre, fit_gauge, fix_gauge

rng = np.random.default_rng(0)
NODES = 4000
receiver = np.repeat(np.arange(NODES), 3)
m1 = np.exp(rng.standard_normal(NODES))[receiver]
force = rng.standard_normal((3 * NODES, 2)) * np.exp(rng.standard_normal(3 * NODES))[:, None]
ROTATION = np.array([[0.8, -0.6], [0.6, 0.8]])


def planted(p: float, offset: float = 0.0, noise: float = 0.0) -> np.ndarray:
    h = offset * np.stack([np.sin(m1), m1**0.5], axis=1)
    return force @ ROTATION * m1[:, None] ** -p + h + noise * rng.standard_normal(force.shape)


@pytest.mark.parametrize("p", [0.0, 0.5, 1.0])
def test_power_of_the_mass_is_found(p: float):
    gauge = fit_gauge(planted(p, noise=0.01), force, m1, receiver)
    assert gauge.p == pytest.approx(p, abs=5e-3)
    assert gauge.robust_mean > 0.999


@pytest.mark.parametrize("p", [0.0, 0.5, 1.0])
def test_centring_removes_a_receivers_offset(p: float):
    messages = planted(p, offset=3.0)
    gauge = fit_gauge(messages, force, m1, receiver)
    assert gauge.centred and gauge.p == pytest.approx(p, abs=5e-3)
    assert gauge.robust_mean == pytest.approx(1.0, abs=1e-4)
    assert fit_gauge(messages, force, m1, receiver, p=p, centred=False).robust_mean < 0.99


def test_the_wrong_power_is_seen():
    right = fit_gauge(planted(1.0), force, m1, receiver, p=1.0, centred=False)
    wrong = fit_gauge(planted(1.0), force, m1, receiver, p=0.0, centred=False)
    assert right.robust_mean == pytest.approx(1.0) and wrong.robust_mean < 0.9
    np.testing.assert_allclose(np.stack([f.slope for f in right.robust]).T, ROTATION, atol=1e-6)


def test_unrelated_messages_score_nothing():
    gauge = fit_gauge(rng.standard_normal(force.shape), force, m1, receiver)
    assert gauge.robust_mean < 0.02


def test_centre_takes_off_each_receivers_mean():
    values = rng.standard_normal((3 * NODES, 2))
    expected = values.reshape(NODES, 3, 2) - values.reshape(NODES, 3, 2).mean(1, keepdims=True)
    np.testing.assert_allclose(centre(values, receiver), expected.reshape(-1, 2), atol=1e-12)


@pytest.mark.parametrize("p", [0.0, 0.5, 1.0])
def test_fixing_the_gauge_gives_back_the_mixed_force(p: float):
    h = 2.0 * np.stack([np.sin(m1), m1**0.5], axis=1)
    np.testing.assert_allclose(fix_gauge(planted(p, offset=2.0), m1, p, h), force @ ROTATION, atol=1e-9)
