"""Sweeps: where they go, which jobs they have, and what became of them.

`gnn-distill -m` writes a sweep to a folder whose name is made of the experiment (or of the swept keys) and
the settings that all jobs share, and each job to a folder named by its own settings. Nothing in these names
depends on when the command was given: the same command finds its jobs again and goes on.
"""

from __future__ import annotations

import hashlib
import importlib.util
import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from hydra.core.utils import JobReturn
from hydra.experimental.callback import Callback
from omegaconf import DictConfig, OmegaConf, flag_override
from rich.console import Console
from rich.markup import escape

from gnn_distill.errors import InputError
from gnn_distill.pipeline.explain import OF_INPUT, show
from gnn_distill.report.sweep.status import show_jobs
from gnn_distill.runs.directory import RunDirectory
from gnn_distill.runs.provenance import IRRELEVANT
from gnn_distill.runs.sweep import PLAN, load_plan, read_sweep

LONGEST = 120
"""Characters of a folder's name."""
BASIC = "hydra._internal.core_plugins.basic_sweeper.BasicSweeper"
EXTRAS = {f"hydra_{name}_launcher": name for name in ("joblib", "submitit", "ray")}
DIR, NAMELESS = "hydra.sweep.dir", "hydra.job.config.override_dirname.exclude_keys"


def safe_name(text: str) -> str:
    """A readable folder name: letters, digits and `=,._+-` stay; what else is lost, a hash tells apart."""
    plain = re.sub(r"[^\w=,.+\-]+", "-", text, flags=re.ASCII).strip(".-")
    if plain == text and len(plain) <= LONGEST:
        return plain
    return f"{plain[: LONGEST - 9]}~{hashlib.sha256(text.encode()).hexdigest()[:8]}"


def job_name(overrides: Sequence[str], nameless: Sequence[str]) -> str:
    """The folder of a job, from its overrides without those whose key is in `nameless`."""
    return safe_name(",".join(sorted(o for o in overrides if _key(o) not in nameless)) or "run")


def _key(override: str) -> str:
    return override.partition("=")[0].lstrip("+~")


OmegaConf.register_new_resolver("gnn_distill.job_name", job_name, replace=True)


@dataclass(frozen=True)
class Plan:
    """What a sweep consists of: the content of `sweep.json`.

    Attributes:
        experiment: its name; None for a sweep of the command line's own.
        fixed: settings that all jobs share.
        axes: the values of each swept key.
        jobs: folders, in the order of work; empty if a sweeper chooses them on the way.
    """

    experiment: str | None
    fixed: list[str]
    axes: dict[str, list[str]]
    jobs: list[str]


class SweepCallback(Callback):
    """Names the folders of a sweep before it starts, and tells at the end what became of the jobs.

    ```yaml
    hydra: {callbacks: {sweep: {_target_: gnn_distill.cli.sweep.SweepCallback}}}
    ```
    """

    def __init__(self) -> None:
        self.jobs: list[str] = []

    def on_multirun_start(self, config: DictConfig, **_: Any) -> None:
        """Settle folders and jobs; bad input ends the program with exit code 2."""
        try:
            with flag_override(config, ["struct", "readonly"], [False, False]):
                plan = prepare(config)
        except Exception as error:  # Hydra would go on with folders that are not settled
            show(error)
            raise SystemExit(2 if isinstance(error, OF_INPUT) else 1) from error
        self.jobs, folder = plan.jobs, Path(config.hydra.sweep.dir)
        console = Console(stderr=True, highlight=False, soft_wrap=True)
        count = len(plan.jobs) or "some"
        console.print(f"sweep [bold]{escape(str(folder))}[/], {count} job{'s' * (count != 1)}")

    def on_job_end(self, config: DictConfig, job_return: JobReturn, **_: Any) -> None:
        """Let go of the job's config, which Hydra would keep until the end of the sweep."""
        job_return.cfg = job_return.hydra_cfg = None

    def on_multirun_end(self, config: DictConfig, **_: Any) -> None:
        """Show all jobs of this command; exit code 1 unless each is complete."""
        found = read_sweep(config.hydra.sweep.dir).jobs
        jobs = [job for job in found if not self.jobs or job.name in self.jobs]
        show_jobs(jobs, Console(stderr=True))
        if any(job.state != "complete" for job in jobs):
            raise SystemExit(1)


def prepare(config: DictConfig) -> Plan:
    """Settle the folders of a sweep in its config, and write down its jobs.

    Raises:
        InputError: the launcher is not installed, or the folder holds a sweep with other settings.
    """
    parse = OverridesParser.create(config_loader=GlobalHydra.instance().config_loader()).parse_overrides
    check_launcher(config.hydra.launcher)
    sweep: Any = OmegaConf.to_container(config.hydra.sweep, resolve=False)
    check_subdir(str(sweep["subdir"]))
    params: dict[str, Any] = dict(config.hydra.sweeper.get("params") or {})
    given = parse(list(config.hydra.overrides.task))
    of_experiment = parse([f"{key}={value}" for key, value in params.items()])
    swept = set(params) | {o.key_or_group for o in given if o.is_sweep_override()}
    nameless = [k for k in (*OmegaConf.select(config, NAMELESS), *IRRELEVANT) if k not in swept]
    fixed = sorted(str(o.input_line) for o in given if o.key_or_group not in {*swept, *nameless})
    experiment = config.hydra.runtime.choices.get("experiment")
    if not _given(config, DIR):
        axes = [o.key_or_group for o in given if o.is_sweep_override()]
        name = safe_name(",".join([experiment or "_".join(axes) or "run", *fixed]))
        _set(config, DIR, str(Path(config.hydra.sweep.dir) / name))
    nameless += [_key(line) for line in fixed]
    _set(config, NAMELESS, nameless)
    values, jobs = _jobs(config, [*of_experiment, *given], nameless)
    plan = Plan(experiment, fixed, values, jobs)
    write_plan(Path(config.hydra.sweep.dir), plan)
    return plan


def _given(config: DictConfig, key: str) -> bool:
    """Whether the user has set a key of Hydra's."""
    return any(str(line).startswith(f"{key}=") for line in config.hydra.overrides.hydra)


def check_launcher(launcher: DictConfig) -> None:
    """Refuse a launcher whose plugin is not installed."""
    plugin = str(launcher._target_).split(".")[1]
    try:
        found = importlib.util.find_spec(f"hydra_plugins.{plugin}")
    except ModuleNotFoundError:  # no plugin of any kind
        found = None
    if plugin in EXTRAS and found is None:
        raise InputError("hydra/launcher", plugin, f"pip install 'gnn_distill[{EXTRAS[plugin]}]'")


def check_subdir(subdir: str) -> None:
    """Refuse run directories outside the sweep's folder, before Hydra makes them."""
    if ".." in Path(subdir).parts or Path(subdir).is_absolute():
        raise InputError("hydra.sweep.subdir", subdir, "give a folder inside the sweep's")


def _jobs(
    config: DictConfig, overrides: list[Override], nameless: list[str]
) -> tuple[dict[str, list[str]], list[str]]:
    """Axes and folders of all jobs, as Hydra's basic sweeper will make them."""
    if config.hydra.sweeper._target_ != BASIC or _given(config, "hydra.sweep.subdir"):
        return {}, []
    (combinations,) = BasicSweeper.split_arguments(overrides, None)
    axes: dict[str, list[str]] = {}
    for key, _, value in (line.partition("=") for lines in combinations for line in lines):
        axes.setdefault(key, [])
        axes[key] += [value] if value not in axes[key] else []
    jobs = [job_name(lines, nameless) for lines in combinations]
    return {key: values for key, values in axes.items() if len(values) > 1}, jobs


def _set(config: DictConfig, key: str, value: str | list[str]) -> None:
    """Set a key of Hydra's in this config and in those of all jobs."""
    OmegaConf.update(config, key, value)
    quoted = [f"'{v}'" for v in ([value] if isinstance(value, str) else value)]
    config.hydra.overrides.hydra.append(
        f"{key}={quoted[0]}" if isinstance(value, str) else f"{key}=[{','.join(quoted)}]"
    )


def write_plan(folder: Path, plan: Plan) -> None:
    """Write `sweep.json`; jobs that earlier commands or others at work in this folder asked for stay in it.

    Two commands that start in the same instant may miss each other's jobs here. That costs nothing but their
    names until they begin: a run directory has one writer (`RunDirectory.locked`), and `read_sweep` finds
    every run that has begun.

    Raises:
        InputError: the folder holds jobs with other settings.
    """
    before = load_plan(folder) or {}
    jobs = before.get("jobs", [])
    if before.get("fixed") != plan.fixed:
        if any((folder / job / "status.json").exists() for job in jobs):
            other = f"it holds a sweep with {' '.join(before.get('fixed') or ['no settings of its own'])}"
            raise InputError(DIR, str(folder), f"{other}: give another folder, or that sweep's settings")
        jobs = []
    jobs = [job for job in jobs if job not in plan.jobs] + plan.jobs
    RunDirectory(folder).write_json(PLAN, asdict(plan) | {"jobs": jobs})
