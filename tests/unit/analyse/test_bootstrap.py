import numpy as np
import pytest

from gnn_distill.analyse.bootstrap import Resamples, interval
from gnn_distill.analyse.linear import TRIM, fit_column, r_squared

rng = np.random.default_rng(0)
TRAJECTORIES, EACH = 40, 50
trajectory = np.repeat(rng.permutation(TRAJECTORIES), EACH)
x = rng.standard_normal((TRAJECTORIES * EACH, 2)) * np.exp(rng.standard_normal(TRAJECTORIES * EACH))[:, None]
y = 3.0 + x @ [0.5, -1.0] + rng.standard_normal(len(x)) + 0.5 * rng.standard_normal(TRAJECTORIES)[trajectory]


def drawn(draws: Resamples, k: int) -> np.ndarray:
    """Edges of the k-th draw, repeated as often as their trajectory was drawn."""
    return np.repeat(np.arange(len(x)), draws.weights[k].astype(int)[draws.group])


@pytest.mark.parametrize("trim", [0.0, TRIM])
def test_draws_are_fits_to_resampled_trajectories(trim: float):
    draws = Resamples.of(trajectory, draws=20)
    assert (draws.weights.sum(1) == TRAJECTORIES).all()
    fit = fit_column(x, y, trim)
    found = draws.fitted_r2(x, y, fit.kept)
    for k in range(20):
        edges = drawn(draws, k)
        edges = edges[fit.kept[edges]]
        assert found[k] == pytest.approx(fit_column(x[edges], y[edges]).r2, abs=1e-9)


def test_draws_of_predictions_as_they_stand():
    draws = Resamples.of(trajectory, draws=20)
    predicted, everything = 3.0 + x @ [0.5, -1.0], np.ones(len(x), dtype=bool)
    found = draws.plain_r2(y, predicted, everything)
    for k in range(20):
        edges = drawn(draws, k)
        assert found[k] == pytest.approx(r_squared(y[edges], predicted[edges]), abs=1e-9)


def test_interval_covers_the_truth_about_as_often_as_it_says():
    """Scores of clustered data, drawn anew: the 95 % interval of the mean R² holds the true one."""
    hits = 0
    for seed in range(100):
        r = np.random.default_rng(seed)
        group = np.repeat(np.arange(60), 20)
        z = r.standard_normal((1200, 1))
        v = z[:, 0] + 0.5 * r.standard_normal(60)[group] + 0.5 * r.standard_normal(1200)
        low, high = interval(Resamples.of(group, seed=seed).fitted_r2(z, v, np.ones(1200, dtype=bool)))
        hits += low < 1 / 1.5 < high
    assert 85 <= hits <= 100


def test_one_trajectory_has_no_width():
    draws = Resamples.of(np.zeros(len(x), dtype=np.int64), draws=10)
    low, high = interval(draws.fitted_r2(x, y, np.ones(len(x), dtype=bool)))
    assert low == pytest.approx(high)
