"""Messages with a planted gauge must be seen through: with the law, and without it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from gnn_distill.analyse.gauge import fix_gauge, receiver_offsets
from gnn_distill.analyse.linear import TRIM, r_squared
from gnn_distill.analyse.scores import analyse, gauge_fits
from gnn_distill.data.graphs import Subset
from gnn_distill.model.heads import Messages
from gnn_distill.model.network import ParticleGNN
from gnn_distill.physics.laws import InverseDistance, Spring
from gnn_distill.read.record import record
from gnn_distill.read.recording import Recording

N, M, GRAPHS = 4, 12, 400
MIX = torch.tensor([[1.3, -0.4], [0.6, 0.9]], dtype=torch.double)
LIVE = [7, 2]


class Planted(ParticleGNN):
    """Messages B·F m_i^(−p) + h(v_i) in two dimensions, larger ones in masked dimensions; φv undoes it."""

    def __init__(self, law: Spring | InverseDistance, p: float, offset: float, noise: float = 0.0) -> None:
        super().__init__(2, M, width=4)
        self.law, self.p, self.offset, self.noise = law, p, offset, noise
        self.mask[[k for k in range(M) if k not in LIVE]] = 0.0
        self.double()

    def h(self, v: torch.Tensor) -> torch.Tensor:
        mass = v[..., 5:].double()
        return self.offset * torch.cat([torch.sin(mass), 0.3 * v[..., 2:3].double() + mass.log()], -1)

    def edge_update(self, x_i: torch.Tensor, x_j: torch.Tensor) -> Messages:
        delta = (x_i - x_j)[..., :2].double().numpy()
        masses = (x[..., 5].double().numpy() for x in (x_i, x_j))
        force = torch.from_numpy(self.law.pair_force(delta, *masses, 1.0, 1.0))
        live = (force * x_i[..., 5:].double() ** -self.p) @ MIX.T + self.h(x_i)
        if self.noise:
            live = live + self.noise * scatter(x_i, x_j)
        e = 1e4 * torch.ones(*live.shape[:-1], M, dtype=torch.double) * x_j[..., :1]
        e[..., LIVE] = live
        return Messages(e * self.mask, e * self.mask, None)

    def node(self, x: torch.Tensor, total: torch.Tensor) -> torch.Tensor:
        inside = (total[..., LIVE] - (N - 1) * self.h(x)) @ torch.linalg.inv(MIX).T
        return inside * x[..., 5:].double() ** (self.p - 1)


def scatter(x_i: torch.Tensor, x_j: torch.Tensor) -> torch.Tensor:
    """Noise that depends on the edge alone: standard deviation 1, one edge in twenty fifty times as large."""
    seed = torch.cat([x_i, x_j], -1).double() @ torch.linspace(1.1, 2.3, 12, dtype=torch.double)
    uniform = torch.stack([torch.sin(seed * k) * 43758.5453 for k in (1.0, 1.7, 2.9)], -1).remainder(1.0)
    return (uniform[..., :2] - 0.5) * 12**0.5 * torch.where(uniform[..., 2:] < 0.05, 50.0, 1.0)


def planted(p: float, offset: float, noise: float = 0.0, law: Spring | None = None) -> Recording:
    x = torch.randn(GRAPHS, N, 6, generator=torch.Generator().manual_seed(0))
    x[..., 5] = (0.7 * x[..., 5]).exp()
    model = Planted(law or Spring(), p, offset, noise)
    a = model(x)[0].float()
    return record(model, Subset(x, a, trajectory=torch.arange(GRAPHS) // 20), model.law)


@pytest.mark.parametrize(
    ("p", "law"), [(0.0, Spring()), (0.5, Spring()), (1.0, Spring()), (0.5, InverseDistance())]
)
def test_power_and_offset_are_found_with_and_without_the_law(p: float, law: Spring | InverseDistance):
    rec = planted(p, offset=1.5, law=law)
    found = analyse(rec, "trajectories")
    assert set(rec.components) == set(LIVE)
    assert found["gauge"]["centred"] and found["gauge"]["p"] == pytest.approx(p, abs=2e-3)
    assert found["gauge"]["p_interval"] == pytest.approx([p, p], abs=5e-3)
    assert found["network_gauge"]["p"] == pytest.approx(p, abs=2e-3)
    assert found["network_gauge"]["p_interval"] == pytest.approx([p, p], abs=2e-3)
    assert min(found["r2"]["gauge"]["robust"]) == pytest.approx(1.0, abs=1e-3)
    assert min(found["r2"]["pullback"]["ols"]) == pytest.approx(1.0, abs=1e-5)

    h = Planted(law, p, 1.5).h(torch.from_numpy(features(rec)))[:, [LIVE.index(k) for k in rec.components]]
    spread = np.array([rec.std[k] for k in rec.components])
    planted_h = (h.numpy() - h.numpy().mean(0)) / spread
    e = rec.edges
    by_law = receiver_offsets(rec.selected, e.force, e.m1, gauge_fits(rec)["gauge"], e.receiver)
    for offset, here in [(by_law, planted_h), (rec.offset, planted_h[rec.sample])]:
        assert np.abs(offset - offset.mean(0) - (here - here.mean(0))).max() < 1e-3
    assert set(found["network_gauge"]["offset"]) >= {"m1", "v1"}
    assert found["network_gauge"]["offset"]["v1"] > 0.01 > found["network_gauge"]["offset"]["x1"]

    scale = found["network_gauge"]["scale"]
    assert scale["v1"] < 1e-3 and (scale["m1"] < 1e-3 if p == 0 else 0.2 * p < scale["m1"] < 1.5 * p)

    fixed = fix_gauge(rec.selected[rec.sample], e.m1[rec.sample], found["network_gauge"]["p"], rec.offset)
    for column in fixed.T:
        slope = np.linalg.lstsq(e.force[rec.sample], column, rcond=None)[0]
        assert np.abs(e.force[rec.sample] @ slope - column).max() < 1e-2 * np.abs(column).max()


def features(rec: Recording) -> np.ndarray:
    """Receivers' features of each edge as far as offsets read them."""
    x = torch.randn(GRAPHS, N, 6, generator=torch.Generator().manual_seed(0))
    x[..., 5] = (0.7 * x[..., 5]).exp()
    return x.flatten(0, 1).numpy()[rec.edges.receiver]


@pytest.mark.parametrize("p", [0.0, 1.0])
def test_r2_is_the_planted_one_under_noise_and_outliers(p: float):
    rec = planted(p, offset=0.0, noise=0.2)
    clean = planted(p, offset=0.0)
    order = [clean.components.index(k) for k in rec.components]
    signal = (clean.selected * clean.std[list(clean.components)])[:, order] / rec.std[list(rec.components)]
    signal = signal + np.median(rec.selected - signal, axis=0)
    found = analyse(rec, "trajectories")
    row = {0.0: "force", 1.0: "acceleration"}[p]
    for k, column in enumerate(rec.selected.T):
        assert found["r2"][row]["robust"][k] == pytest.approx(r_squared(column, signal[:, k], TRIM), abs=1e-3)
        assert found["r2"][row]["ols"][k] == pytest.approx(r_squared(column, signal[:, k]), abs=2e-3)
        low, high = found["r2_interval"][row]["robust"][k]
        assert low < found["r2"][row]["robust"][k] < high and high - low < 0.05
    assert found["r2"][row]["ols"][0] < 0.8 < 0.95 < found["r2"][row]["robust"][0]
    assert found["gauge"]["p"] == pytest.approx(p, abs=0.02)


def test_forces_of_other_edges_explain_nothing():
    rec = planted(0.5, offset=0.0)
    shuffled = np.random.default_rng(0).permutation(len(rec.selected))
    wrong = replace(rec, edges=replace(rec.edges, force=rec.edges.force[shuffled]))
    found = analyse(wrong, "trajectories")
    for row in ("force", "acceleration", "gauge"):
        assert max(found["r2"][row]["ols"]) < 0.01 and max(found["r2"][row]["robust"]) < 0.05
        assert max(found["subspace"][row]["ols"]) < 0.01
    assert max(found["r2"]["pullback"]["robust"]) < 0.05
