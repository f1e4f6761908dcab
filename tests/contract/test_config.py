"""Every option of every group composes and builds; bad input is refused before any work."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from omegaconf import OmegaConf

from gnn_distill.errors import InputError
from gnn_distill.pipeline.build import build
from gnn_distill.pipeline.keys import relevant, stage_keys
from gnn_distill.pipeline.progress import Reporter
from tests.conftest import TINY

CONF = Path(__file__).parents[2] / "conf"
GROUPS = sorted(p.name for p in CONF.iterdir() if p.is_dir() and p.name != "__pycache__")
OPTIONS = [(g, p.stem) for g in GROUPS for p in sorted((CONF / g).glob("*.yaml"))]
LAWS = sorted({p.stem for p in (CONF / "dataset").glob("*.yaml")} - {"own", "custom"})
VARIANTS = sorted(p.stem for p in (CONF / "variant").glob("*.yaml"))


@pytest.fixture
def tracks(tmp_path: Path) -> str:
    positions = np.random.default_rng(0).standard_normal((400, 3, 2)).cumsum(0)
    np.savez(tmp_path / "tracks.npz", positions=positions)
    return str(tmp_path / "tracks.npz")


@pytest.fixture
def built(compose):
    return lambda *overrides: build(compose(*overrides), Reporter())


@pytest.mark.parametrize(("group", "option"), OPTIONS)
def test_every_option_builds(group: str, option: str, tracks: str, built):
    if option == "gpu" and not torch.cuda.is_available():
        pytest.skip("no GPU here")
    needed = {
        "own": [f"dataset.path={tracks}", "dataset.time_step=0.1"],
        "custom": ["dataset.law._target_=gnn_distill.physics.laws.Spring"],
        "kl": ["variant=kl"],
        "given": ["symbolic.expression='-2*(r - 1)/m1'"],
    }
    built(f"{group}={option}", "threads=1", *needed.get(option, []))


@pytest.mark.parametrize("experiment", [o for g, o in OPTIONS if g == "experiment"])
@pytest.mark.parametrize("engine", [o for g, o in OPTIONS if g == "symbolic"])
def test_every_experiment_takes_every_engine(experiment: str, engine: str, built):
    chosen = [f"experiment={experiment}", f"symbolic={engine}", "threads=1"]
    built(*chosen, *(["symbolic.expression='-2*(r - 1)/m1'"] if engine == "given" else []))


@pytest.mark.parametrize("dataset", LAWS)
@pytest.mark.parametrize("variant", VARIANTS)
def test_every_law_builds_with_every_variant(dataset: str, variant: str, built):
    experiment = built(f"dataset={dataset}", f"variant={variant}", "threads=1")
    assert experiment.source.law.name == dataset
    assert experiment.config["variant"] == variant


def test_variants_are_those_of_the_protocol(built):
    width = {v: built(f"variant={v}").module.model.message_dim for v in VARIANTS}
    assert width.pop("none") == 100
    assert width == {"standard": 100, "bottleneck": 2, "l1": 100, "kl": 100, "kl_tuned": 100, "pruning": 100}
    kl = built("variant=kl").module
    assert type(kl.model.head).__name__ == "GaussianHead" and kl.regulariser.weight == 1.0
    assert built("variant=kl_tuned").module.regulariser.weight == 0.01
    assert built("variant=l1").module.regulariser.weight == 0.01
    (prune,) = built("variant=pruning", "schedule.end=0.75").callbacks
    assert (prune.end, prune.target_dims, prune.schedule(0.5)) == (0.75, 2, pytest.approx(0.5))
    assert built("variant=standard").callbacks == []
    wide = built("variant=pruning", "dataset.dim=3")
    assert wide.callbacks[0].target_dims == 3


def test_paper_profile_is_the_published_setting(built):
    experiment = built("profile=paper")
    p, model = experiment.config["profile"], experiment.module.model
    assert (p["simulations"] * p["frames"], p["epochs"], p["batch_size"]) == (1_000_000, 100, 64)
    assert (p["learning_rate"], p["lr_schedule"], p["warmup"], p["weight_decay"]) == (
        1e-3,
        "cosine",
        0.0,
        1e-8,
    )
    hidden = [layer.out_features for layer in model.edge_net if hasattr(layer, "out_features")]
    assert hidden == [300, 300, 300, 100]
    assert (model.basis, model.scale_output) == ("raw", False) and (model.input_scale == 1).all()
    assert built("profile=paper", "variant=kl").module.regulariser.warmup == 0
    assert type(model.node_net).__name__ == "MLPNode"
    assert experiment.module.augment.scope == "graph" and experiment.module.augment.scale == 3.0


ADDITIVE = {"node": "power", "charge_scale": 4.0, "scale_output": True, "silent_start": True}
PUBLISHED = {"node": "mlp", "charge_scale": 1.0, "scale_output": False, "silent_start": False}
PROFILES = {"quick": ("polar", 96), "laptop": ("polar", 128), "smoke": ("delta", 32), "paper": ("raw", 300)}


@pytest.mark.parametrize("profile", PROFILES)
@pytest.mark.parametrize("typed", [[], ["model=published"], ["model=additive"]], ids=str)
def test_the_profile_chooses_a_model_unless_the_user_does(profile: str, typed: list[str], compose):
    chosen = compose(f"profile={profile}", *typed), compose(*typed, f"profile={profile}")
    assert chosen[0] == chosen[1]
    model = OmegaConf.to_container(chosen[0], resolve=True)["model"]
    basis, width = PROFILES[profile]
    published = typed == ["model=published"] or (profile == "paper" and not typed)
    expected = {"basis": basis, "width": width, **(PUBLISHED if published else ADDITIVE)}
    assert {key: model[key] for key in expected} == expected
    assert (model["position_scale"], model["layers"], model["message_dim"]) == (0.1, 3, 100)


def test_stage_keys_change_with_what_the_stage_depends_on(built):
    def keys(*overrides: str) -> dict[str, str]:
        return stage_keys(built(*overrides).config)

    base = keys()
    assert keys() == base
    symbolic = keys("symbolic.points=100")
    assert [s for s in base if base[s] != symbolic[s]] == ["distil", "report"]
    trained = keys("profile.epochs=3")
    assert [s for s in base if base[s] != trained[s]] == ["train", "analyse", "distil", "report"]
    assert all(base[s] != keys("seed=1")[s] for s in base)
    assert keys("threads=1") == base
    assert keys("trainer=ddp", "trainer.accelerator=cpu") == base  # begun on one device, ended on two


def test_a_given_equation_of_unknown_columns_is_refused_before_anything_is_done(built):
    with pytest.raises(InputError, match="symbolic.expression.*size1"):
        built("symbolic=given", "symbolic.expression='2*size1'")


def test_building_leaves_random_numbers_and_threads_alone(built):
    torch.manual_seed(7)
    before, threads = torch.random.get_rng_state(), torch.get_num_threads()
    first, second = built("threads=1").module.model, built("threads=1").module.model
    assert torch.equal(torch.random.get_rng_state(), before) and torch.get_num_threads() == threads
    assert all(torch.equal(a, b) for a, b in zip(first.parameters(), second.parameters(), strict=True))
    assert not torch.equal(first.edge_net[0].weight, built("seed=1").module.model.edge_net[0].weight)


def test_every_trainer_has_the_same_settings_but_for_the_place(compose):
    found = {}
    for option in ("cpu", "gpu", "ddp"):
        trainer = compose("profile=laptop", f"trainer={option}").trainer
        found[option] = relevant(OmegaConf.to_container(trainer, resolve=True), "trainer")
    assert found["cpu"] == found["gpu"] == found["ddp"] and found["cpu"]["limit_train_batches"] == 300


BAD = [
    ("datset=spring", ["datset", "did you mean dataset"]),
    ("dataset=own", ["dataset.path", "give the file"]),
    ("dataset=custom", ["dataset.law._target_", "my_module.Yukawa"]),
    ("dataset=foo", ["dataset/foo", "charge", "spring"]),
    ("profile.epochs=-1", ["profile.epochs", "-1", "[1"]),
    ("profile.epochs=many", ["profile.epochs", "many", "Integer"]),
    ("profile.epoch=3", ["epoch", "profile.epoch"]),
    ("schedule.end=1.5", ["schedule.end", "1.5", "(0, 1]"]),
    ("schedule.target_dims=0", ["schedule.target_dims", "0"]),
    ("dataset.n=1", ["dataset.n", "1"]),
    ("dataset.dim=4", ["dataset.dim", "4", "[2, 3]"]),
    ("dataset.law.rest_length=-1", ["rest_length", "-1"]),
    ("model.node=gru", ["model.node", "gru", "linear, mlp"]),
    ("model.head._target_=torch.nn.ReLU", ["model.head", "GaussianHead"]),
    ("augment.scope=node", ["augment.scope", "node", "batch, graph"]),
    ("stages=[train,publish]", ["stages", "publish", "analyse"]),
    ("split=random", ["split", "random", "frames, trajectories"]),
    ("symbolic.target=messages", ["symbolic.target", "messages", "pullback"]),
    ("symbolic.target=[pullback,pullback]", ["symbolic.target", "once"]),
    ("symbolic.engine.restarts=0", ["symbolic.engine.restarts", "0"]),
    ("symbolic.engine.time_limit=0", ["symbolic.engine.time_limit", "0"]),
    ("symbolic.engine.functions=[exp,tan]", ["symbolic.engine.functions", "tan", "exp, log, pow"]),
    ("symbolic.sample=grid", ["symbolic.sample", "grid", "random, stratified"]),
    ("symbolic.weights=1", ["symbolic.weights", "1", "decades, equal"]),
    ("symbolic.points=49", ["symbolic.points", "49", "[50"]),
    ("symbolic=given", ["symbolic.expression", "None", "give an expression"]),
    ("profile.lr_schedule=step", ["profile.lr_schedule", "step", "cosine, onecycle"]),
    ("profile.learning_rate=0", ["profile.learning_rate", "0"]),
    ("threads=0", ["threads", "0"]),
    ("seed=-1", ["seed", "-1"]),
    ("regulariser.wieght=1", ["wieght"]),
    ("trainer.precision=7", ["trainer", "precision", "7"]),
    ("regulariser=kl", ["regulariser", "kl", "variant=kl"]),
    ("model.message_dim=1", ["schedule.target_dims", "2", "model.message_dim = 1"]),
    ("trainer.devices=3", ["profile.batch_size", "128", "processes, 3"]),
    ("+trainer.strategy=ddp_spawn", ["trainer.strategy", "trainer=ddp"]),
    ("compile=fast", ["compile", "fast", "reduce-overhead"]),
    ("checkpoint_steps=0", ["checkpoint_steps", "0"]),
    ("dataset.law._target_=no.such.Law", ["no.such.Law"]),
    ("profile.width=0", ["profile.width = 0"]),
    ("model.width=0", ["model.width = 0"]),
    ("profile.basis=angles", ["profile.basis = 'angles'", "delta, isotropic, polar, raw"]),
    ("profile.simulations=0", ["profile.simulations = 0"]),
    ("dataset.simulations=0", ["dataset.simulations = 0"]),
    ("schedule.end=2", ["schedule.end = 2"]),
    ("callbacks.prune.end=2", ["callbacks.prune.end = 2"]),
    ("profile.node=power", ["profile.node", "did you mean model.node?"]),
]


@pytest.mark.parametrize(("override", "words"), BAD, ids=[b[0] for b in BAD])
def test_bad_input_names_key_value_and_fix(override: str, words: list[str], tmp_path, capsys, monkeypatch):
    from gnn_distill.cli import main as cli

    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GNN_DISTILL_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("HYDRA_FULL_ERROR", "0")
    monkeypatch.setattr("sys.argv", ["gnn-distill", override])
    with pytest.raises(SystemExit) as stop:
        cli.main()
    assert stop.value.code == 2
    message = capsys.readouterr().err
    assert all(word in message for word in words), message
    assert "Traceback" not in message and len(message.splitlines()) <= 20
    assert not (tmp_path / "cache").exists()


def test_schema_has_no_key_without_a_default(compose):
    assert "???" not in OmegaConf.to_yaml(compose(*TINY), resolve=True)
