"""The training step: what a GPU would have to wait for."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch._subclasses.fake_tensor import FakeTensorMode

from gnn_distill.data.graphs import Subset
from gnn_distill.model.heads import GaussianHead
from gnn_distill.model.network import ParticleGNN
from gnn_distill.train.lit import Augmentation, DistilModule, Regulariser
from gnn_distill.train.optim import Optimisation
from gnn_distill.train.penalties import KLPenalty, L1Penalty, NoPenalty


@pytest.mark.parametrize(
    ("head", "regulariser", "node", "optimiser", "masked"),
    [
        (None, NoPenalty(), "mlp", "adam", False),
        (GaussianHead(), KLPenalty(1.0, warmup=0.5, free_bits=0.1), "linear", "muon", False),
        (None, L1Penalty(), "power", "adam", True),
    ],
)
def test_a_step_asks_for_no_value(
    head: nn.Module | None, regulariser: Regulariser, node: str, optimiser: str, masked: bool
):
    """Tensors here have no values: to branch on one, or to shape another by it, is an error."""
    with FakeTensorMode():
        model = ParticleGNN(2, 20, width=32, head=head, basis="polar", node=node, scale_output=True)
        module = DistilModule(model, regulariser, Optimisation(optimiser=optimiser), Augmentation())
        exists = torch.ones(8, 12, dtype=torch.bool) if masked else None
        batch = Subset(torch.randn(8, 4, 6), torch.randn(8, 4, 2), exists)
        optim = module.optimisation.optimizer(module.parameters())
        for k in range(2):
            loss = module.training_step(batch, k)
            optim.zero_grad()
            loss.backward()
            optim.step()
        assert loss.shape == () and all(w.grad is not None for w in module.parameters())
