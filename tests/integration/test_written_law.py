"""A law in text: what it brings with it, what is refused, and one tiny run through all stages."""

import json

import numpy as np
import pytest

from gnn_distill.errors import InputError
from gnn_distill.pipeline.build import build
from gnn_distill.pipeline.progress import Reporter
from tests.conftest import TINY

FORCE = "dataset.along_distance='exp(-d)'"
TRAP = "dataset.one_body=[-0.8*x,-0.8*y]"


@pytest.mark.parametrize(
    ("typed", "expected"),
    [
        ([FORCE], ("isotropic", "tracks", "none")),
        (["dataset.law._target_=gnn_distill.physics.laws.Spring", TRAP], ("isotropic", "tracks", "none")),
        (["dataset.law._target_=gnn_distill.physics.laws.Spring"], ("polar", "quick", "pruning")),
        ([TRAP, "profile=smoke"], ("isotropic", "smoke", "none")),
        ([FORCE, "model=additive"], ("polar", "tracks", "pruning")),
    ],
)
def test_it_chooses_a_model_unless_the_user_does(typed, expected, compose):
    cfg = compose("dataset=custom", *typed)
    assert (cfg.model.basis, cfg.profile.name, cfg.variant) == expected


def test_other_models_are_refused_with_the_fix(compose):
    for model in ("additive", "published"):
        with pytest.raises(InputError, match="model=isotropic"):
            build(compose("dataset=custom", FORCE, f"model={model}"), Reporter())
    with pytest.raises(InputError, match="velocities"):
        first = ["dataset.dynamics=first_order", "model.velocities=true"]
        build(compose("dataset=custom", FORCE, *first), Reporter())


def test_noise_alone_takes_any_model(compose, cache):
    experiment = build(compose("dataset=spring", "+dataset.noise=1e-3", *TINY, f"cache={cache}"), Reporter())
    assert experiment.module.model.basis == "polar" and experiment.source.observed


def test_a_tiny_run_goes_through_all_stages(command_line, tmp_path, cache):
    size = ["profile=smoke", "profile.frames=40", "profile.simulations=30", *TINY[2:5]]
    heat = ["dataset.dynamics=first_order", "dataset.diffusion=0.01", "dataset.noise=0.001", "dataset.n=3"]
    given = ["symbolic=given", "symbolic.expression='exp(-r)'", "symbolic.rollouts=1", "threads=1"]
    typed = ["dataset=custom", FORCE, TRAP, *heat, *size, *given, f"cache={cache}", "hydra.run.dir=run"]
    code, told = command_line(*typed)
    assert code == 0, told
    equations, data = (
        json.loads((tmp_path / f"run/{name}.json").read_text()) for name in ("equations", "data")
    )
    assert set(equations["verdict"]["parts"]) >= {"u", "one_body"}
    assert "exp(-d)" in data["law"]["formula"] and "localisation noise 0.001" in data["notes"][0]
    page = (tmp_path / "run/report.html").read_text()
    assert "the law that was simulated" in page.casefold()
    messages = np.load(tmp_path / "run/messages.npz")
    d = np.linalg.norm(messages["delta"], axis=1)
    true = np.exp(-d)[:, None] * messages["delta"] / d[:, None]
    np.testing.assert_allclose(messages["force"] / messages["m1"][:, None], true, rtol=1e-5, atol=1e-9)
