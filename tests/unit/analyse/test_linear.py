from pathlib import Path

import numpy as np
import pytest
from scipy.optimize import minimize

from gnn_distill.analyse.linear import TRIM, fit_column, r_squared
from gnn_distill.physics.laws import InverseDistance, InverseSquare, Spring

RECORDED = Path(__file__).parents[4] / "shared" / "data"
LAWS = {"r1_bottleneck": InverseDistance(), "r2_bottleneck": InverseSquare(), "spring_pruning": Spring()}

rng = np.random.default_rng(0)


def planted(edges: int, outliers: float, noise: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    x = rng.standard_normal((edges, 2))
    beta = np.array([0.7, -1.3])
    y = 0.4 + x @ beta + noise * rng.standard_normal(edges)
    wild = rng.random(edges) < outliers
    y[wild] += rng.standard_normal(wild.sum()) * 50 + 30
    return x, y, beta


def test_ordinary_fit_is_least_squares():
    x, y, _ = planted(500, 0.0, 0.5)
    fit = fit_column(x, y)
    expected, residual, *_ = np.linalg.lstsq(np.column_stack([np.ones(500), x]), y, rcond=None)
    np.testing.assert_allclose([fit.offset, *fit.slope], expected, rtol=1e-9)
    assert fit.r2 == pytest.approx(1 - residual[0] / ((y - y.mean()) ** 2).sum())
    assert fit.kept.all()


def test_robust_fit_sees_through_outliers():
    x, y, beta = planted(4000, 0.08, 0.01)
    robust, ordinary = fit_column(x, y, TRIM), fit_column(x, y)
    np.testing.assert_allclose(robust.slope, beta, atol=2e-3)
    assert robust.r2 > 0.9995 and ordinary.r2 < 0.5
    assert robust.kept.sum() == 3600


def test_objective_is_never_worse_than_powells():
    def objective(beta: np.ndarray, x: np.ndarray, y: np.ndarray) -> float:
        squares = np.sort((y - beta[0] - x @ beta[1:]) ** 2)
        return float(squares[: round((1 - TRIM) * len(y))].mean())

    for outliers, noise in [(0.0, 0.3), (0.08, 0.01), (0.3, 0.1), (0.15, 1.0)]:
        x, y, _ = planted(1500, outliers, noise)
        fit = fit_column(x, y, TRIM)
        ours = objective(np.array([fit.offset, *fit.slope]), x, y)
        for start in ([0, 0, 0], [0.4, 0.7, -1.3]):
            powell = minimize(
                objective, start, (x, y), method="Powell", options={"xtol": 1e-8, "ftol": 1e-12}
            )
            assert ours <= powell.fun * (1 + 1e-6)


@pytest.mark.skipif(not RECORDED.exists(), reason="no recorded messages beside the clone")
@pytest.mark.parametrize("p", [0.0, 1.0])
@pytest.mark.parametrize("name", LAWS)
def test_learned_messages_are_fitted_no_worse_than_by_powell(name: str, p: float):
    """Heavy tails give the objective many minima; Powell starts from nothing, from one and from our fit.

    R² is compared on the points that our fit keeps: each fit on points of its own would score against
    another total.
    """
    stored = np.load(RECORDED / f"messages_{name}.npz")
    known = {key: stored[key].astype(np.float64) for key in stored.files}
    delta = np.column_stack([known["dx"], known["dy"]])
    force = LAWS[name].pair_force(delta, *(known[key] for key in ("m1", "m2", "q1", "q2")))
    x = force * known["m1"][:, None] ** -p

    def objective(beta: np.ndarray, y: np.ndarray) -> float:
        squares = (y - beta[0] - x @ beta[1:]) ** 2
        keep = round((1 - TRIM) * len(y))
        return float(np.partition(squares, keep - 1)[:keep].mean())

    for y in known["messages"].T:
        fit = fit_column(x, y, TRIM)
        ours = np.array([fit.offset, *fit.slope])
        for start in (np.zeros(3), np.ones(3), ours):
            powell = minimize(objective, start, (y,), method="Powell", options={"xtol": 1e-8, "ftol": 1e-12})
            assert objective(ours, y) <= powell.fun * (1 + 1e-9)
            predicted = powell.x[0] + x @ powell.x[1:]
            assert fit.r2 >= r_squared(y[fit.kept], predicted[fit.kept]) - 1e-6


def test_outliers_of_the_regressors_that_agree_with_each_other_are_left_out():
    """Nine in a hundred points far away on a line of their own: every ordinary start would follow them."""
    x, y, beta = planted(4000, 0.0, 0.1)
    wild = np.arange(4000) < 360
    x[wild] = 20.0 + 0.1 * rng.standard_normal((360, 2))
    y[wild] = -60.0 + 0.1 * rng.standard_normal(360)
    fit = fit_column(x, y, TRIM)
    np.testing.assert_allclose(fit.slope, beta, atol=0.02)
    assert not fit.kept[wild].any()


def test_a_regressor_that_never_varies_has_no_slope():
    x, y, beta = planted(4000, 0.08, 0.01)
    fit = fit_column(np.column_stack([x, np.zeros(4000)]), y, TRIM)
    np.testing.assert_allclose(fit.slope, [*beta, 0.0], atol=2e-3)


def test_unrelated_labels_score_nothing():
    x = rng.standard_normal((20_000, 2))
    assert abs(fit_column(x, rng.standard_normal(20_000)).r2) < 0.01
    assert abs(fit_column(x, rng.standard_normal(20_000), TRIM).r2) < 0.05


def test_r_squared_of_the_line_y_equals_x():
    y = rng.standard_normal(1000)
    assert r_squared(y, y) == 1.0
    assert r_squared(y, y + 1) < 0.1  # an offset counts: nothing is fitted
    wild = y.copy()
    wild[:50] += 100
    assert r_squared(y, wild, TRIM) == 1.0
    assert np.isnan(r_squared(np.zeros(10), np.zeros(10)))


def test_robust_fit_of_data_that_are_not_finite_is_undefined():
    x, y, _ = planted(100, 0.0, 0.1)
    y[3] = np.nan
    assert np.isnan(fit_column(x, y, TRIM).r2) and np.isnan(fit_column(x, y).slope).all()


def test_a_start_close_by_finds_the_same_fit():
    x, y, _ = planted(4000, 0.08, 0.01)
    first = fit_column(x, y, TRIM)
    again = fit_column(x, y, TRIM, near=fit_column(x, y + 0.01))
    np.testing.assert_allclose(again.slope, first.slope, atol=1e-6)
