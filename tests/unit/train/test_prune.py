import math

import pytest

from gnn_distill.errors import InputError
from gnn_distill.train.prune import PruneMessages, active_dims, cosine, exponential, linear

SCHEDULES = {
    "linear": (linear, lambda s: s),
    "exp": (exponential, lambda s: (1 - math.exp(-3 * s)) / (1 - math.exp(-3))),
    "cosine": (cosine, lambda s: 1 - 0.5 * (1 + math.cos(math.pi * s))),
}


@pytest.mark.parametrize("name", SCHEDULES)
def test_schedules_run_from_zero_to_one(name: str):
    schedule, formula = SCHEDULES[name]
    assert schedule(0.0) == 0.0 and schedule(1.0) == pytest.approx(1.0, abs=1e-15)
    for k in range(101):
        assert schedule(k / 100) == pytest.approx(formula(k / 100), abs=1e-15)


@pytest.mark.parametrize("name", SCHEDULES)
@pytest.mark.parametrize("end", [0.65, 0.75, 0.85])
def test_active_dims_follow_the_formula_over_100_epochs(name: str, end: float):
    schedule, formula = SCHEDULES[name]
    counts = [active_dims(t, end * 100, 100, 2, schedule) for t in range(100)]
    assert counts[0] == 100
    for t in range(1, 100):
        fraction = formula(t / (end * 100)) if t < end * 100 else 1.0
        pruned = 98 * fraction
        whole = abs(pruned - round(pruned)) < 1e-9  # but for rounding
        assert counts[t] == 100 - (round(pruned) if whole else math.ceil(pruned))
        assert counts[t] <= counts[t - 1]
    assert counts[round(end * 100)] == 2 and counts[-1] == 2


def test_known_counts():
    # T = 65: linear at t = 13 has pruned ceil(98 / 5) = 20; cosine at t = 32.5 half of 98
    assert active_dims(13, 65, 100, 2, linear) == 80
    assert active_dims(1, 2, 100, 2, cosine) == 51
    assert active_dims(1, 2, 100, 2, linear) == 51


@pytest.mark.parametrize(
    ("key", "bad"), [("end", 1.5), ("end", 0.0), ("target_dims", 0), ("sample", 0), ("schedule", "cosine")]
)
def test_bad_values_are_named(key: str, bad: object):
    with pytest.raises(InputError, match=f"callbacks.prune.{key}"):
        PruneMessages(**{"schedule": cosine, key: bad})
