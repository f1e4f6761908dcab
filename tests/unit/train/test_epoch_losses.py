import pytest
import torch

from gnn_distill.data.graphs import Subset
from gnn_distill.model.network import ParticleGNN
from gnn_distill.train.lit import (
    NEVER,
    WATCH_EVERY,
    Augmentation,
    DistilModule,
    averages,
    blame,
    first_bad,
)
from gnn_distill.train.optim import Optimisation
from gnn_distill.train.penalties import L1Penalty


def test_averages_are_those_of_all_graphs_together():
    torch.manual_seed(0)
    model = ParticleGNN(2, 3, width=8, layers=1)
    module = DistilModule(model, L1Penalty(0.5), Optimisation(), Augmentation())
    x, a = torch.randn(8, 4, 6), torch.randn(8, 4, 2)
    for part in Subset(x, a).chunks(5):
        module.validation_step(part, 0)
    predicted, messages = model(x)
    error, penalty = (predicted - a).abs().sum(), 0.5 * messages.value.abs().sum()
    assert averages("val", module._totals["val"]) == pytest.approx(
        {
            "val/mae": float(error) / 64,
            "val/mae_per_graph": float(error) / 8,
            "val/regulariser": float(penalty) / 32,  # over the particles
        }
    )


def test_losses_are_looked_at_every_so_many_steps():
    module = DistilModule(ParticleGNN(2, 3, width=8, layers=1), L1Penalty(), Optimisation(), Augmentation())
    looks: list[list[int]] = []
    module.check_finite = lambda: (looks.append(list(module._losses)), module._losses.clear())
    batch = Subset(torch.randn(2, 4, 6), torch.randn(2, 4, 2))
    for k in range(2 * WATCH_EVERY + 1):
        module.training_step(batch, k)
    assert looks == [list(range(WATCH_EVERY)), list(range(WATCH_EVERY, 2 * WATCH_EVERY))]


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_the_first_bad_loss_is_found(bad: float):
    assert first_bad({}) == NEVER
    losses = {100 + k: torch.tensor(bad if k in (7, 9) else 1.0) for k in range(12)}
    assert first_bad(losses) == 107
    assert first_bad({5: torch.tensor(1.0)}) == NEVER


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
