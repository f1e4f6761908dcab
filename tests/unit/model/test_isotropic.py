"""The isotropic basis: what its pairs and its h may depend on, in numbers."""

import math

import pytest
import torch

from gnn_distill.data.graphs import Subset, complete_graph
from gnn_distill.errors import InputError
from gnn_distill.model.heads import GaussianHead
from gnn_distill.model.network import ParticleGNN
from gnn_distill.read.pairs import pair_functions


def network(dim: int = 2, box=None, **options) -> ParticleGNN:
    torch.manual_seed(0)
    model = ParticleGNN(dim, dim, width=16, layers=2, basis="isotropic", box=box, **options).double()
    x = graphs(40, dim=dim)
    model.calibrate(x, torch.randn(40, 4, dim, dtype=torch.float64) * 3)
    return model.eval()


def graphs(count: int = 5, n: int = 4, dim: int = 2) -> torch.Tensor:
    x = torch.randn(count, n, 2 * dim + 2, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    x[..., -1] = x[..., -1].exp()
    return x


def pairs(model: ParticleGNN, x: torch.Tensor) -> torch.Tensor:
    """Accelerations without h, [B, n, D]."""
    return (model(x)[0] - model.node(x, torch.zeros_like(x[..., : model.dim]))).detach()


def turned(x: torch.Tensor, turn: torch.Tensor) -> torch.Tensor:
    dim = len(turn)
    moved = x.clone()
    moved[..., :dim], moved[..., dim : 2 * dim] = x[..., :dim] @ turn.T, x[..., dim : 2 * dim] @ turn.T
    return moved


def orthogonal(dim: int, sign: float) -> torch.Tensor:
    drawn = torch.randn(dim, dim, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    turn = torch.linalg.qr(drawn).Q
    turn[:, 0] *= sign * torch.linalg.det(turn).sign()
    return turn


@pytest.mark.parametrize("dim", [2, 3])
@pytest.mark.parametrize("transverse", [False, True])
@pytest.mark.parametrize("sign", [1.0, -1.0], ids=["rotation", "reflection"])
def test_pairs_turn_with_the_particles(dim: int, transverse: bool, sign: float):
    model, x, turn = network(dim, transverse=transverse), graphs(dim=dim), orthogonal(dim, sign)
    same = torch.allclose(pairs(model, turned(x, turn)), pairs(model, x) @ turn.T)
    assert same == (sign > 0 or not transverse)  # what acts across Δ has a handedness


@pytest.mark.parametrize("dim", [2, 3])
def test_pairs_know_neither_place_nor_common_motion_and_h_knows_both(dim: int):
    model, x = network(dim, transverse=True), graphs(dim=dim)
    for part in (model.columns.position, model.columns.velocity):
        moved = x.clone()
        moved[..., part] += 1.7
        torch.testing.assert_close(pairs(model, moved), pairs(model, x))
        assert (model(moved)[0] - model(x)[0]).abs().min() > 1e-6


def test_h_knows_the_receiver_alone():
    model, x = network(), graphs()
    other = x.clone()
    other[:, 1:] = graphs(6)[1:, 1:]
    own = (model(data)[0] - pairs(model, data) for data in (x, other))
    torch.testing.assert_close(*(h[:, 0] for h in own))


@pytest.mark.parametrize("dim", [2, 3])
@pytest.mark.parametrize("transverse", [False, True])
def test_reciprocal_pairs_conserve_momentum(dim: int, transverse: bool):
    x = graphs(dim=dim)
    rates = []
    for reciprocal in (True, False):
        model = network(dim, transverse=transverse, reciprocal=reciprocal)
        force = x[..., model.columns.mass, None] * pairs(model, x)
        rates.append(float(force.sum(1).abs().max()))
        assert force.abs().max() > 0.1
    assert rates[0] < 1e-9 and rates[1] > 0.1


@pytest.mark.parametrize("dim", [2, 3])
@pytest.mark.parametrize("box", [None, [2.0, None]])
def test_dense_path_gives_the_reference_paths_numbers(dim: int, box):
    box = box and [*box, 3.0][:dim]
    model, x = network(dim, transverse=True, box=box), graphs(dim=dim)
    receiver, sender = complete_graph(4)
    shift = 4 * torch.arange(5)[:, None]
    index = torch.stack([(sender + shift).flatten(), (receiver + shift).flatten()])
    dense, messages = model(x)
    reference, edges = model(x.flatten(0, 1), index)
    torch.testing.assert_close(dense.flatten(0, 1), reference)
    torch.testing.assert_close(messages.value.flatten(0, 1), edges.value)


def test_first_order_motion_is_no_function_of_the_velocity():
    model, x = network(velocities=False, transverse=True), graphs()
    other = x.clone()
    other[..., model.columns.velocity] = 5.0
    torch.testing.assert_close(model(other)[0], model(x)[0], rtol=0, atol=0)
    assert set(pair_functions(model, Subset(x, x[..., :2])).functions) == {"u", "t"}


def test_a_box_shows_the_nearest_image_and_has_no_end():
    model, x = network(box=[4.0, None]), graphs()
    moved = x.clone()
    moved[:, 1, 0] += 4.0
    moved[:, 2, 0] -= 8.0
    torch.testing.assert_close(model(moved)[0], model(x)[0])
    moved[:, 1, 1] += 4.0  # the other axis is open
    assert (model(moved)[0] - model(x)[0]).abs().max() > 1e-3


@pytest.mark.parametrize(("dim", "transverse"), [(2, False), (2, True), (3, True)])
def test_functions_and_h_sum_to_the_prediction(dim: int, transverse: bool):
    model, x = network(dim, transverse=transverse, scale_output=True), graphs(dim=dim)
    found = pair_functions(model, Subset(x, x[..., :dim]))
    receiver, sender = complete_graph(4)
    one, two = x[:, receiver].flatten(0, 1), x[:, sender].flatten(0, 1)
    delta, w = (one[:, k : k + dim] - two[:, k : k + dim] for k in (0, dim))
    u = delta / delta.norm(dim=1, keepdim=True)
    aside = torch.stack([-u[:, 1], u[:, 0]], 1) if dim == 2 else torch.linalg.cross(u, w)
    along = {"u": u, "w": w, "t": aside}
    parts = [torch.from_numpy(f)[:, None] * along[name] for name, f in found.functions.items()]
    total = torch.stack(parts).sum(0).reshape(5, 4, 3, dim).sum(2)
    torch.testing.assert_close(total + torch.from_numpy(found.own).reshape(5, 4, dim), model(x)[0].detach())


def test_functions_are_those_of_the_edges_that_exist():
    model, x = network(), graphs()
    mask = torch.rand(5, 12, generator=torch.Generator().manual_seed(3)) > 0.5
    some, every = (pair_functions(model, Subset(x, x[..., :2], m)) for m in (mask, None))
    assert some.functions["u"].tolist() == every.functions["u"][mask.flatten().numpy()].tolist()


def test_columns_that_never_vary_are_not_read():
    x = graphs(40)
    x[..., 4], x[..., 5] = 1e-19, 3.0
    model = network()
    model.calibrate(x, x[..., :2])
    before = model(x)[0]
    assert before.isfinite().all()
    x[..., 4:] = 0.0
    assert float(model.frame.inertia(x).max()) < 1e-5  # the power of the mass alone sees it
    torch.testing.assert_close(model.frame.own(x), model.frame.own(x + torch.tensor([0, 0, 0, 0, 7.0, 7.0])))


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"message_dim": 100}, "model.message_dim.*2 components"),
        ({"head": GaussianHead()}, "model.head.*DeterministicHead"),
        ({"dim": 3, "message_dim": 3, "velocities": False, "transverse": True}, "model.transverse"),
    ],
)
def test_what_does_not_fit_the_basis_is_refused(options: dict, words: str):
    with pytest.raises(InputError, match=words):
        ParticleGNN(**{"dim": 2, "message_dim": 2, "basis": "isotropic"} | options)


def test_pairs_and_a_trap_are_told_apart():
    """Six hundred steps on 12 particles: exponential repulsion in a trap with drag, from single states."""
    torch.manual_seed(0)
    x = torch.zeros(500, 6, 6)
    x[..., :4], x[..., 5] = 1.5 * torch.randn(500, 6, 4), 1.0
    delta = x[:, :, None, :2] - x[:, None, :, :2]
    d = delta.norm(dim=-1, keepdim=True).clamp(min=1e-9)
    force = 2.0 * torch.exp(-d / 0.7)
    own = -0.8 * x[..., :2] - 0.3 * x[..., 2:4]
    a = (force * delta / d).sum(2) + own
    model = ParticleGNN(2, 2, width=48, basis="isotropic", scale_output=True, silent_start=True)
    model.calibrate(x, a)
    optimiser = torch.optim.Adam(model.parameters(), 5e-3)
    for step in range(600):
        for group in optimiser.param_groups:
            group["lr"] = 5e-3 * 0.5 * (1 + math.cos(math.pi * step / 600))
        some = torch.randint(400, (32,))
        loss = (model(x[some])[0] - a[some]).abs().mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    test = Subset(x[400:], a[400:])
    found = pair_functions(model, test)
    receiver, sender = complete_graph(6)
    truth = force[400:, receiver, sender, 0].flatten().numpy()
    assert abs(found.functions["u"] - truth).mean() < 0.03 * truth.mean()
    assert abs(found.functions["w"]).mean() < 0.03 * truth.mean()
    assert abs(found.own - own[400:].reshape(-1, 2).numpy()).mean() < 0.03 * float(own.abs().mean())
