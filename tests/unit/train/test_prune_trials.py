from dataclasses import asdict

import pytest

from gnn_distill.errors import InputError
from gnn_distill.train.prune import Trials


def test_cuts_stand_while_the_loss_allows():
    trials = Trials(tolerance=1.5, patience=2)
    assert trials.judge(1.0)  # nothing was cut yet
    assert trials.cut(100, 10) == 10
    assert trials.judge(1.4) and trials.best == 1.0
    assert trials.cut(90, 7) == 7


def test_a_refused_cut_is_halved_down_to_one_dim_until_patience_ends():
    trials = Trials(tolerance=1.5, patience=2)
    trials.judge(1.0)
    sizes = []
    while not trials.over(10):
        sizes.append(trials.cut(10, 5))
        assert not trials.judge(2.0)
    assert sizes == [5, 2, 1, 1] and trials.cut(10, 5) == 0


def test_what_larger_cuts_were_refused_for_is_not_tried_again():
    trials, active, seen = Trials(patience=2), 8, []
    trials.judge(1.0)
    while not trials.over(active):
        left = active - trials.cut(active, active - 2)
        seen.append(left)
        if trials.judge(9.0 if left < 3 else 1.0):
            active = left
    assert seen == [2, 5, 2, 4, 3] and active == 3


def test_a_refusal_counts_for_its_number_of_dims_only():
    trials = Trials(patience=2)
    trials.judge(1.0)
    for active, loss, stands in [(6, 9.0, False), (6, 1.0, True), (5, 9.0, False), (5, 0.9, True)]:
        assert trials.cut(active, 1) == 1
        assert trials.judge(loss) is stands
    assert not trials.over(4) and trials.best == 0.9


def test_a_loss_that_is_not_a_number_refuses_the_cut():
    trials = Trials()
    trials.judge(1.0)
    trials.cut(5, 1)
    assert not trials.judge(float("nan"))


def test_state_round_trip():
    trials = Trials(tolerance=2.0)
    trials.judge(1.0)
    trials.cut(5, 4)
    assert Trials(**asdict(trials)) == trials


@pytest.mark.parametrize(("key", "bad"), [("tolerance", 1.0), ("patience", 0)])
def test_bad_values_are_named(key: str, bad: float):
    with pytest.raises(InputError, match=f"callbacks.prune.{key}"):
        Trials(**{key: bad})
