"""Networks whose messages are pair vectors, read like any other."""

import numpy as np
import pytest
import torch

from gnn_distill.analyse.scores import analyse
from gnn_distill.api.fits import pull_back
from gnn_distill.data.graphs import Subset
from gnn_distill.errors import InputError
from gnn_distill.model.network import ParticleGNN
from gnn_distill.read.pairs import pair_functions
from gnn_distill.read.probe import designed, pairs_of, pulled_back
from gnn_distill.read.record import Reading, record


def planted(dim: int, **options) -> tuple[ParticleGNN, Subset]:
    torch.manual_seed(0)
    model = ParticleGNN(
        dim, dim, width=12, layers=2, basis="isotropic", scale_output=True, **options
    ).double()
    x = torch.randn(30, 5, 2 * dim + 2, dtype=torch.float64)
    x[..., -1] = x[..., -1].exp()
    a = 4.0 * torch.randn(30, 5, dim, dtype=torch.float64)
    model.calibrate(x, a)
    mask = torch.rand(30, 20) > 0.3
    return model.eval(), Subset(x, a, mask, box=options.get("box"))


@pytest.mark.parametrize(
    ("dim", "options"),
    [
        (2, {}),
        (3, {"transverse": True}),
        (2, {"box": (2.5, None)}),
        (2, {"velocities": False, "reciprocal": True}),
    ],
)
def test_contributions_and_h_are_the_prediction(dim: int, options: dict):
    model, data = planted(dim, **options)
    recording = record(model, data, None, Reading("pair"))
    found = pair_functions(model, data)
    total = found.own.copy()
    np.add.at(total, recording.edges.receiver, recording.pullback)
    predicted = model(data.features, edge_mask=data.edge_mask)[0].detach().flatten(0, 1).numpy()
    np.testing.assert_allclose(total, predicted, rtol=1e-9, atol=1e-9)
    if dim == 2 and "velocities" in options:  # central: f_u is the length along Δ of the same edges
        d = np.linalg.norm(recording.edges.delta, axis=1)
        along = (recording.pullback * recording.edges.delta).sum(1) / d
        np.testing.assert_allclose(found.functions["u"], along, rtol=1e-6, atol=1e-9)
    assert analyse(recording, "trajectories")["pullback"] == {
        "kind": "pair",
        "path_difference": pytest.approx(0),
    }
    assert np.isfinite(recording.field.pullback).all()


def test_designed_states_are_read_whole():
    model, data = planted(2)
    pairs = designed(pairs_of(model, data, np.arange(50)), 40, np.random.default_rng(0))
    two = torch.stack([pairs.one, pairs.two], 1)
    exact = pair_functions(model, Subset(two, two[..., :2]))
    alone = model(two)[0].detach().flatten(0, 1).numpy() - exact.own
    np.testing.assert_allclose(pulled_back(model, pairs), alone.reshape(40, 2, 2)[:, 0], atol=1e-9)


def test_other_networks_have_no_pair_functions():
    model, data = ParticleGNN(2, 4, width=8), planted(2)[1]
    with pytest.raises(InputError, match="model=isotropic"):
        pair_functions(model, data)
    with pytest.raises(InputError, match="kind"):
        pull_back(model, data.features, kind="pair")
