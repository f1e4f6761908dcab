import multiprocessing
import sys
import time
from pathlib import Path

import pytest
from omegaconf import OmegaConf

from gnn_distill.data.cache import load_or_simulate
from gnn_distill.pipeline.source import make_source, simulated_ahead

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="a second process simulates on Linux only")
SIMULATION = "gnn_distill.physics.simulate.Simulation"


def config(cache: Path, **changed: object):
    law = {"_target_": "gnn_distill.physics.laws.Spring", "rest_length": 1.0}
    dataset = {"_target_": SIMULATION, "law": law, "simulations": 6, "frames": 4} | changed
    stages = ["simulate", "train"]
    return OmegaConf.create({"dataset": dataset, "cache": str(cache), "stages": stages, "threads": 1})


def test_another_process_makes_the_dataset_that_this_one_asks_for(tmp_path):
    cfg, simulated = config(tmp_path), []
    with simulated_ahead(cfg) as ask:
        ask()
        data = load_or_simulate(make_source(cfg.dataset), tmp_path, lambda *told: simulated.append(told))
    assert data.features.shape == (24, 4, 6) and not simulated
    assert not multiprocessing.active_children()


@pytest.mark.parametrize("changed", [{"n": 1}, {"law": {"_target_": "os.system"}}, {"nonsense": 1}])
def test_what_is_wrong_is_left_to_the_first_process(changed: dict, tmp_path, capfd):
    with simulated_ahead(config(tmp_path, **changed)) as ask:
        (child,) = multiprocessing.active_children()
        ask()
        child.join(60)
        assert child.exitcode == 0
    assert not list(tmp_path.iterdir())
    assert capfd.readouterr() == ("", "")


def test_nothing_is_written_before_this_process_asks(tmp_path):
    with simulated_ahead(config(tmp_path)):
        time.sleep(3)
        assert not list(tmp_path.iterdir())


def test_it_ends_with_the_run(tmp_path):
    with pytest.raises(KeyboardInterrupt), simulated_ahead(config(tmp_path, simulations=2_000_000)):
        assert len(multiprocessing.active_children()) == 1
        raise KeyboardInterrupt
    assert not multiprocessing.active_children()


@pytest.mark.parametrize("other", [{"stages": ["train"]}, {"dataset": {"_target_": "a.OwnData"}}])
def test_nothing_is_simulated_that_nobody_asks_for(other: dict, tmp_path):
    with simulated_ahead(OmegaConf.merge(config(tmp_path), other)):
        assert not multiprocessing.active_children()
