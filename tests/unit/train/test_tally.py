import pytest
import torch

from gnn_distill.data.graphs import Subset
from gnn_distill.train.lit import NEVER, WATCH_EVERY, LossWatch, Totals, averages, blame


def test_averages_are_those_of_the_summed_batches():
    totals = Totals(torch.zeros(2, dtype=torch.float64))
    totals.add(torch.tensor(12.0), torch.tensor(0.5), graphs=2, values=16)
    totals.add(torch.tensor(3.0), torch.tensor(2.0), graphs=1, values=8)
    assert averages("val", totals.tensor()) == pytest.approx(
        {"val/mae": 15 / 24, "val/mae_per_graph": 5.0, "val/regulariser": 1.0}
    )


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_watch_finds_the_first_bad_loss_and_forgets(bad: float):
    watch, here = LossWatch(), torch.device("cpu")
    assert int(watch.first_bad(here)) == NEVER
    for k in range(WATCH_EVERY):
        due = watch.see(torch.tensor(bad if k in (7, 9) else 1.0), 100 + k)
        assert due == (k == WATCH_EVERY - 1)
    assert int(watch.first_bad(here)) == 107
    assert int(watch.first_bad(here)) == NEVER


def test_blame_tells_data_from_weights():
    x, a = torch.randn(8, 4, 6), torch.randn(8, 4, 2)
    assert "weights have diverged" in blame(Subset(x, a), 2, 37)
    assert all(
        word in blame(Subset(x, a), 2, 37) for word in ("batch 37", "epoch 2", "profile.learning_rate")
    )
    a[5, 1, 0] = torch.inf
    text = blame(Subset(x, a), 2, 37)
    assert "data are to blame, accelerations of 1 of its 8 graphs" in text and "row 5" in text
    x[3, 0, 0] = torch.nan
    assert "features of 1 of its 8 graphs" in blame(Subset(x, a), 2, 37)
