"""What `dataset=own` and `model=isotropic` bring with them, and what they refuse."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from omegaconf import OmegaConf

from gnn_distill.data.graphs import Subset
from gnn_distill.data.own.dataset import OwnData
from gnn_distill.data.particles import ParticleData
from gnn_distill.errors import InputError
from gnn_distill.pipeline.build import build, squares
from gnn_distill.pipeline.progress import Reporter
from gnn_distill.train.lit import averages


@pytest.fixture
def own(tmp_path: Path) -> list[str]:
    positions = np.random.default_rng(0).standard_normal((400, 3, 2)).cumsum(0)
    np.savez(tmp_path / "tracks.npz", positions=positions)
    return ["dataset=own", f"dataset.path={tmp_path}/tracks.npz", "dataset.time_step=0.1", "threads=1"]


@pytest.fixture
def built(compose):
    return lambda *overrides: build(compose(*overrides), Reporter())


@pytest.mark.parametrize(
    ("typed", "expected"),
    [
        ([], ("isotropic", "tracks", "none")),
        (["model=additive"], ("polar", "tracks", "none")),
        (["model=published", "profile=paper", "variant=l1"], ("raw", "paper", "l1")),
        (["profile=smoke"], ("isotropic", "smoke", "none")),
        (["model=additive", "variant=bottleneck", "profile=quick"], ("polar", "quick", "bottleneck")),
    ],
)
def test_own_data_choose_a_model_unless_the_user_does(typed: list[str], expected: tuple, compose):
    for order in (["dataset=own", *typed], [*typed, "dataset=own"]):
        cfg = compose(*order)
        assert (cfg.model.basis, cfg.profile.name, cfg.variant) == expected


def test_a_variant_that_was_not_typed_is_none(compose, built):
    assert compose("model=isotropic").variant == "none" and compose().variant == "pruning"
    assert built("model=isotropic", "variant=standard").module.model.message_dim == 2
    assert OmegaConf.to_container(compose("model=isotropic"))["callbacks"] == {}


@pytest.mark.parametrize("variant", ["pruning", "bottleneck", "l1", "kl", "kl_tuned"])
def test_a_typed_variant_without_a_meaning_is_refused(variant: str, built, own):
    for data in (["dataset=spring", "model=isotropic"], own):
        with pytest.raises(InputError, match="model=additive"):
            built(*data, f"variant={variant}")


@pytest.mark.parametrize(
    "typed", ["regulariser=l1", "+callbacks={p: {_target_: gnn_distill.train.prune.PruneMessages}}"]
)
def test_so_is_what_a_variant_is_made_of(typed: str, built):
    with pytest.raises(InputError, match="model=additive"):
        built("model=isotropic", typed)


def test_the_pair_reading_is_for_pair_vectors_alone(built):
    assert built("model=isotropic").pullback == "pair" and built("dataset=damped").pullback == "odd"
    assert built("model=isotropic", "pullback=share").pullback == "share"
    with pytest.raises(InputError, match="pullback.*isotropic"):
        built("pullback=pair")


def test_motion_of_first_order_gives_the_network_no_velocities(built, own, monkeypatch):
    assert built(*own, "dataset.dynamics=second_order").module.model.frame.velocities
    load = OwnData.load
    first = {"order": 1, "box": (5.0, None)}
    monkeypatch.setattr(OwnData, "load", lambda self: replace(load(self), **first))
    experiment = built(*own)
    model = experiment.module.model
    assert model.frame.names == ("u",) and model.columns.box == (5.0, None)
    assert experiment.datamodule.batch_size == round(2000 / 6) and experiment.module.squared
    with pytest.raises(InputError, match="model.velocities"):
        built(*own, "model.velocities=true")


def test_positions_are_not_moved_where_h_has_to_know_them(built):
    still, moved = (built(f"model={name}").module.augment.scale for name in ("isotropic", "additive"))
    assert (still, moved) == (0.0, 3.0)


@pytest.mark.parametrize(
    ("loss", "noise", "order", "expected"),
    [
        ("auto", 0.0, 2, False),
        ("auto", 0.19, 2, False),
        ("auto", 0.21, 2, True),
        ("auto", 0.0, 1, True),
        ("squared", 0.0, 2, True),
        ("absolute", 1.0, 1, False),
    ],
)
def test_errors_are_squared_where_labels_are_noisy(loss: str, noise: float, order: int, expected: bool):
    a = np.full((4, 3, 2), -3.0, dtype=np.float32)
    data = ParticleData(np.zeros((4, 3, 6), np.float32), a, 2, noise=3.0 * noise, order=order)
    assert squares(loss, data) is expected


def test_squares_are_what_is_minimised_and_absolute_errors_what_is_told(built):
    module = built("model=isotropic").module
    batch = Subset(torch.randn(3, 4, 6), torch.randn(3, 4, 2))
    module.model.output_scale.fill_(2.0)
    apart = module.model(batch.features)[0] - batch.accelerations
    module.squared = True
    error, _ = module._terms("val", apart + batch.accelerations, module.model(batch.features)[1], batch)
    assert float(error) == pytest.approx(float(apart.square().sum()) / 2)
    totals = module._totals["val"]
    assert averages("val", totals)["val/mae"] == pytest.approx(float(apart.abs().mean()))
    assert float(totals[4]) == pytest.approx(float(error))
