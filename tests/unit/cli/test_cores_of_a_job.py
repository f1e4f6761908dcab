"""What a job of a sweep may take of the machine."""

from __future__ import annotations

import os

import pytest
from omegaconf import OmegaConf

from gnn_distill.cli.job import cores_of_a_job, share_cores
from gnn_distill.pipeline.keys import stage_keys

RAY = {"ray": {"remote": {"num_cpus": 3}}}


@pytest.mark.parametrize(
    ("launcher", "cores", "share"),
    [
        ({}, 8, None),  # one after another: each has all
        ({"n_jobs": None}, 8, None),
        ({"n_jobs": 2}, 8, 4),
        ({"n_jobs": 3}, 8, 2),
        ({"n_jobs": 16}, 8, 1),
        ({"n_jobs": 1}, 8, 8),
        ({"n_jobs": -1}, 8, 1),
        ({"n_jobs": 2}, 1, 1),
        ({"cpus_per_task": 2}, 8, 2),
        ({"cpus_per_task": 16}, 8, 8),
        ({"cpus_per_task": None}, 8, None),
        (RAY, 8, 3),
    ],
)
def test_jobs_side_by_side_share_the_cores(launcher, cores, share, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(cores)), raising=False)
    assert cores_of_a_job(OmegaConf.create(launcher)) == share


@pytest.mark.parametrize(
    ("asked", "threads", "jobs"),
    [
        (["symbolic.jobs=3"], 2, 2),
        (["symbolic.jobs=1"], 2, 1),  # a share is no reason for more
        (["symbolic.jobs=3", "threads=1"], 1, 2),
    ],
)
def test_a_job_searches_no_more_components_at_a_time_than_it_has_cores(
    asked, threads, jobs, compose, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(4)), raising=False)
    config = compose(*asked)
    keys = stage_keys(OmegaConf.to_container(config, resolve=True))
    share_cores(config, OmegaConf.create({"n_jobs": 2}))
    assert (config.threads, config.symbolic.jobs) == (threads, jobs)
    # what is asked for stays the same
    assert stage_keys(OmegaConf.to_container(config, resolve=True)) == keys


def test_a_job_by_itself_has_what_it_asks_for(compose):
    config = compose("symbolic.jobs=3")
    share_cores(config, OmegaConf.create({}))
    assert (config.threads, config.symbolic.jobs) == (None, 3)
