"""The summary of data: against hand computations, on a perturbed trajectory, on graphs."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pytest

from gnn_distill.data.particles import ParticleData, chain, to_graphs
from gnn_distill.data.summary import ENERGY_TRAJECTORIES, LONGEST, energy_drift, examples, summarise
from gnn_distill.physics.energy import conserves_energy
from gnn_distill.physics.laws import Coulomb, Damped, Discontinuous, ForceLaw, Spring, String, Superposition
from gnn_distill.physics.simulate import Simulation, simulate
from tests.conftest import LAWS


def made(law: ForceLaw, dim: int = 2, n: int = 4, sims: int = 12, frames: int = 10) -> ParticleData:
    spec = Simulation(law, n=n, dim=dim, simulations=sims, frames=frames)
    return to_graphs(simulate(spec), chain(n) if law.graph == "chain" else None)


def line(*places: float, frames: int = 1) -> ParticleData:
    """Particles at rest on the x-axis; every frame is its own graph of the same places."""
    x = np.zeros((frames, len(places), 6), dtype=np.float32)
    x[..., 0], x[..., 5] = places, 1.0
    return ParticleData(x, np.zeros((frames, len(places), 2), dtype=np.float32), frames)


def test_numbers_by_hand() -> None:
    data = line(0.0, 3.0, 7.0, frames=2)
    data.accelerations[0] = [[1, -2], [0, 4], [-8, 0]]
    data.accelerations[1] = [[0, 0], [0, 0], [0, -5]]
    found = summarise(replace(data, replaced=3), None)
    sizes = [1, 2, 0, 4, 8, 0, 0, 0, 0, 0, 0, 5]
    assert found["mean_abs_acceleration_per_graph"] == (15 + 5) / 2
    assert found["abs_acceleration"] == pytest.approx(
        {
            "p1": 0.0,
            "p50": np.median(sizes),
            "p99": np.quantile(sizes, 0.99),
            "p99.9": np.quantile(sizes, 0.999),
            "max": 8.0,
        }
    )
    assert found["closest_approach"] == pytest.approx({"min": 3.0, "p1": 3.0})
    counts = {k: found[k] for k in ("graphs", "trajectories", "frames", "particles", "dim", "replaced")}
    assert counts == {"graphs": 2, "trajectories": 1, "frames": 2, "particles": 3, "dim": 2, "replaced": 3}
    assert found["further"] == [] and found["energy_drift"] is None


def test_further_columns_and_three_dimensions() -> None:
    plain = made(Spring(), dim=3)
    more = np.concatenate([plain.features, np.full((120, 4, 2), 1e6, dtype=np.float32)], -1)
    found = summarise(replace(plain, features=more), Spring())
    assert found == summarise(plain, Spring()) | {"further": ["f1", "f2"]}
    x = plain.features[..., :3].astype(float)
    distance = np.linalg.norm(x[:, :, None] - x[:, None], axis=-1)[:, *np.triu_indices(4, 1)]
    assert found["closest_approach"]["min"] == pytest.approx(distance.min(), rel=1e-5)
    assert found["closest_approach"]["p1"] == pytest.approx(np.quantile(distance, 0.01), rel=1e-5)


def test_only_interacting_pairs_count() -> None:
    data = line(0.0, 5.0, 0.5, frames=2)  # along the chain 0–1–2 neighbours are 5 and 4.5 apart

    def closest(adjacency: np.ndarray | None) -> float | None:
        near = summarise(replace(data, adjacency=adjacency), None)["closest_approach"]
        return None if near is None else near["min"]

    directed, changing = np.zeros((3, 3), dtype=bool), np.zeros((2, 3, 3), dtype=bool)
    directed[1, 0] = True
    changing[0, 1, 0] = changing[1, 2, 1] = True
    assert closest(None) == 0.5
    assert closest(chain(3)) == 4.5
    assert closest(directed) == 5.0
    assert closest(changing) == 4.5
    changing[1] = False
    assert closest(changing) == 5.0
    assert closest(np.zeros((3, 3), dtype=bool)) is None
    assert closest(np.zeros((2, 3, 3), dtype=bool)) is None


def test_chunks_and_samples_change_nothing_but_quantiles() -> None:
    rng = np.random.default_rng(0)
    adjacency = rng.random((120, 4, 4)) < 0.5
    data = replace(made(Coulomb()), adjacency=adjacency)
    whole = summarise(data, None)
    parts = summarise(data, None, chunk=50)
    mean = "mean_abs_acceleration_per_graph"
    assert parts.pop(mean) == pytest.approx(whole.pop(mean), rel=1e-12)
    assert parts == whole
    fewer = summarise(data, None, chunk=50, sample=480)  # 60 of 120 graphs
    assert fewer["closest_approach"]["min"] == whole["closest_approach"]["min"]
    assert fewer["abs_acceleration"]["max"] == whole["abs_acceleration"]["max"]
    assert fewer["abs_acceleration"]["p50"] != whole["abs_acceleration"]["p50"]
    assert fewer["abs_acceleration"]["p50"] == pytest.approx(whole["abs_acceleration"]["p50"], rel=0.5)


@pytest.mark.parametrize("law", [law for law in LAWS if not isinstance(law, Damped | Discontinuous)])
def test_energy_is_kept_by_the_simulation_and_a_push_is_seen(law: ForceLaw) -> None:
    data = made(law, dim=3 if isinstance(law, Superposition) else 2)
    dim = data.accelerations.shape[-1]
    drift = energy_drift(data, law)
    assert drift is not None and drift["trajectories"] == 12
    assert 0 < drift["max"] < 1e-4 and drift["median"] < 2e-6
    pushed = data.features.copy()
    pushed[4 * 10 + 9, :, dim : 2 * dim] *= 1.5  # the last frame of trajectory 4
    seen = energy_drift(replace(data, features=pushed), law)
    assert seen is not None and seen["max"] > 1e-2 and seen["median"] < 2e-6


def test_energy_by_hand() -> None:
    data = line(0.0, 2.0, frames=2)
    data.features[1, :, 0] = 0.0, 4.0  # V = (r − 1)²: from 1.01² to 3.01²
    data.features[1, 1, [2, 5]] = 3.0, 2.0  # kinetic energy 9
    drift = energy_drift(data, Spring())
    expected = (3.01**2 + 9 - 1.01**2) / 1.01**2
    assert drift == pytest.approx({"median": expected, "max": expected, "trajectories": 1})
    data.features[1, :, 1] = -1.0  # both fall by 1, of masses 1 and 2
    string = energy_drift(replace(data, adjacency=chain(2)), String(gravity=10.0))
    assert string is not None
    assert string["max"] == pytest.approx((3.01**2 + 9 - 1.01**2 - 30) / -(1.01**2), rel=1e-5)


def test_no_energy_where_none_is_kept() -> None:
    spring = made(Spring())
    assert energy_drift(spring, None) is None
    assert energy_drift(made(Damped()), Damped()) is None
    assert energy_drift(made(Discontinuous()), Discontinuous()) is None
    assert energy_drift(replace(spring, frames=1), Spring()) is None
    assert energy_drift(replace(spring, adjacency=np.ones((120, 4, 4), dtype=bool)), Spring()) is None
    directed = np.triu(np.ones((4, 4), dtype=bool), 1)
    assert energy_drift(replace(spring, adjacency=directed), Spring()) is None


def test_a_kink_keeps_energy_and_a_jump_does_not() -> None:
    @dataclass(frozen=True)
    class Wall(ForceLaw):
        """A push inside r = 1 whose potential ends there at `step`."""

        step: float = 0.0
        name, time_step = "wall", 1e-2

        @staticmethod
        def potential(r, m1, m2, q1, q2, params):  # type: ignore[no-untyped-def]
            return (r < 1) * (m1 * m2 * (1 - r) + params[0])

        @staticmethod
        def magnitude(r, m1, m2, q1, q2, params):  # type: ignore[no-untyped-def]
            return (r < 1) * m1 * m2

    assert conserves_energy(Wall()) and not conserves_energy(Wall(step=0.1))
    assert conserves_energy(Discontinuous(cut=1.0)) and not conserves_energy(Discontinuous(cut=1.1))
    assert conserves_energy(Damped(drag=0.0)) and not conserves_energy(Damped(drag=0.1))


def test_energy_of_few_trajectories_only() -> None:
    drift = energy_drift(made(Spring(), sims=ENERGY_TRAJECTORIES + 10, frames=2), Spring())
    assert drift is not None and drift["trajectories"] == ENERGY_TRAJECTORIES


def test_examples_are_whole_trajectories() -> None:
    data = made(Coulomb(), dim=3)
    found = examples(data, count=4)
    assert found["positions"].shape == (4, 10, 4, 3) and found["positions"].dtype == np.float32
    assert found["trajectory"].tolist() == [0, 4, 7, 11] and found["frame"].tolist() == list(range(10))
    np.testing.assert_array_equal(found["positions"][2], data.features[70:80, :, :3])
    np.testing.assert_array_equal(found["charges"][2], data.features[70, :, 6])
    np.testing.assert_array_equal(found["masses"][2], data.features[70, :, 7])
    assert len(examples(made(Spring(), sims=3))["positions"]) == 3


def test_long_examples_are_thinned_from_first_to_last() -> None:
    data = line(0.0, 1.0, frames=3 * (LONGEST - 1) + 1)
    data.features[:, 1, 1] = np.arange(data.frames)
    found = examples(data)
    assert found["frame"].tolist() == list(range(0, data.frames, 3))
    np.testing.assert_array_equal(found["positions"][0], data.features[::3, :, :2])
