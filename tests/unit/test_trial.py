import pytest

from gnn_distill.errors import InputError
from gnn_distill.trial import Trials


def test_cuts_stand_while_the_loss_allows():
    trials = Trials(tolerance=1.5, patience=2)
    assert trials.judge(1.0)  # nothing was cut yet
    assert trials.cut(10) == 10
    assert trials.judge(1.4) and trials.best == 1.0
    assert trials.cut(7) == 7


def test_a_refused_cut_is_halved_down_to_one_dim_until_patience_ends():
    trials = Trials(tolerance=1.5, patience=2)
    trials.judge(1.0)
    sizes = []
    while not trials.over:
        sizes.append(trials.cut(5))
        assert not trials.judge(2.0)
    assert sizes == [5, 2, 1, 1] and trials.cut(5) == 0


def test_an_accepted_small_cut_resets_the_refusals():
    trials = Trials(patience=2)
    trials.judge(1.0)
    for loss, stands in [(9.0, False), (1.0, True), (9.0, False), (0.9, True)]:
        trials.cut(1)
        assert trials.judge(loss) is stands
    assert not trials.over and trials.best == 0.9


def test_a_loss_that_is_not_a_number_refuses_the_cut():
    trials = Trials()
    trials.judge(1.0)
    trials.cut(1)
    assert not trials.judge(float("nan"))


def test_state_round_trip():
    trials = Trials(tolerance=2.0)
    trials.judge(1.0)
    trials.cut(4)
    assert Trials(**trials.state_dict()) == trials


@pytest.mark.parametrize(("key", "bad"), [("tolerance", 1.0), ("patience", 0)])
def test_bad_values_are_named(key: str, bad: float):
    with pytest.raises(InputError, match=f"schedule.{key}"):
        Trials(**{key: bad})
