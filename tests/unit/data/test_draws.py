import pytest
import torch

from gnn_distill.data.draws import Share, step_seed
from gnn_distill.train.lit import Augmentation


def test_seed_differs_with_run_epoch_and_batch():
    seeds = {step_seed(s, e, b) for s in range(5) for e in range(20) for b in range(100)}
    assert len(seeds) == 5 * 20 * 100
    assert step_seed(0, 3, 7) == step_seed(0, 3, 7) < 2**63


@pytest.mark.parametrize("scope", ["graph", "batch"])
@pytest.mark.parametrize("world", [2, 3])
def test_processes_together_draw_what_one_draws(scope: str, world: int):
    x = torch.randn(6, 4, 6)
    augment = Augmentation(scope, 3.0)

    def shifted(rank: int, world: int) -> torch.Tensor:
        share = Share(rank, world)
        torch.manual_seed(5)
        return augment(share.rows(x), 2, share)

    whole = shifted(0, 1)
    assert not torch.allclose(whole[..., :2], x[..., :2]) and (whole[..., 2:] == x[..., 2:]).all()
    for rank in range(world):
        assert (shifted(rank, world) == whole[rank::world]).all()


@pytest.mark.parametrize("scope", ["graph", "batch"])
def test_translations_are_in_the_unit_of_length(scope: str):
    x, augment = torch.zeros(6, 4, 6), Augmentation(scope, 3.0)

    def shift(length: torch.Tensor | None) -> torch.Tensor:
        torch.manual_seed(5)
        return augment(x, 2, Share(), length)[..., :2]

    torch.testing.assert_close(shift(torch.tensor(150.0)), 150 * shift(None))
