"""Simulated data with noise: what a camera would see of them, derived as recordings are; else exact."""

import json
from dataclasses import replace

import numpy as np
import pytest

from gnn_distill.data.cache import cache_key, load_or_simulate
from gnn_distill.physics.laws import Spring
from gnn_distill.physics.simulate import Simulation, simulate

SPEC = Simulation(one_body=["-x", "-y"], along_distance="exp(-d)", simulations=12, frames=60, n=3)


def test_exact_labels_are_those_of_the_law(tmp_path):
    data, t = load_or_simulate(SPEC, tmp_path), simulate(SPEC)
    np.testing.assert_array_equal(
        data.accelerations.reshape(t.accelerations.shape), np.float32(t.accelerations)
    )
    assert (data.order, data.softening, data.noise, data.kernel) == (2, 0.0, 0.0, ())
    assert load_or_simulate(replace(SPEC, dynamics="first_order"), tmp_path).order == 1


def test_noise_is_seen_and_labels_are_derived_with_their_kernel(tmp_path):
    spec = replace(SPEC, noise=1e-3)
    first, again = (load_or_simulate(spec, tmp_path) for _ in range(2))
    exact = simulate(SPEC).accelerations
    half = len(first.kernel) // 2
    assert first.frames == 60 - 2 * half and half > 0 and first.noise > 0
    smooth = sum(k * exact[:, i : i + first.frames] for i, k in enumerate(first.kernel))
    off = first.accelerations.reshape(12, -1, 3, 2) - smooth
    assert np.median(np.abs(off)) < 3 * first.noise < 0.3 * np.abs(exact).mean()
    assert "0.001" in first.notes[0] and again.notes == first.notes and again.kernel == first.kernel
    np.testing.assert_array_equal(first.features, again.features)


@pytest.mark.parametrize(("dynamics", "name"), [("first_order", "diffusion"), (None, "velocity_diffusion")])
def test_heat_is_estimated_as_in_recordings(tmp_path, dynamics: str | None, name: str):
    data = load_or_simulate(replace(SPEC, dynamics=dynamics, diffusion=0.2, n=6), tmp_path)
    value, low, high = data.estimates[name]
    assert value == pytest.approx(0.2, rel=0.1) and low < value < high
    assert data.order == (1 if dynamics else 2)


def test_new_settings_leave_no_trace_in_keys_where_they_are_not_used():
    spec = Simulation(Spring(), simulations=12, frames=5)
    assert cache_key(replace(spec, noise=0.0, diffusion=0.0, one_body=None)) == cache_key(spec)
    keys = [cache_key(replace(spec, **more)) for more in ({"noise": 0.1}, {"one_body": ["x", "0"]})]
    assert len({cache_key(spec), *keys}) == 3


def test_meta_tells_what_is_known_of_derived_labels(tmp_path):
    load_or_simulate(replace(SPEC, noise=1e-3), tmp_path)
    (meta,) = (json.loads(path.read_text()) for path in tmp_path.glob("custom-*/meta.json"))
    assert meta["noise"] > 0 and meta["frames"] < 60
