"""All runs of some sweeps as one frame, a row for each run; the tables are pivots of it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import pandas as pd

from gnn_distill.physics import laws
from gnn_distill.report.equations import acceleration_text, law_terms
from gnn_distill.report.headline import headline
from gnn_distill.report.published import SETTING
from gnn_distill.report.sweep.labels import labels, schedule_of
from gnn_distill.report.text import law_title, mean
from gnn_distill.runs.load import Run, law_of
from gnn_distill.runs.sweep import Job, Sweep

TARGETS = ("components_raw", "components", "pullback")
"""What symbolic regression was given, in the order of the tables."""


class Winner(NamedTuple):
    """The pruning schedule with the best R² on validation graphs, in the mean over its runs.

    Attributes:
        schedule: option of the config group `schedule`.
        end: fraction of the epochs after which pruning is done.
        validation: robust R² in the best gauge, on validation graphs.
    """

    schedule: str
    end: float
    validation: float

    @property
    def overrides(self) -> str:
        """The schedule as `gnn-distill` takes it: `schedule=cosine schedule.end=0.65`."""
        return f"schedule={self.schedule} schedule.end={self.end:g}"


def frame(sweeps: Sequence[Sweep]) -> pd.DataFrame:
    """One row for each run that has left a config, in the order of the sweeps and their jobs.

    Where a run has no such number, the cell is NaN. The columns:

    - `sweep`: index of the run's sweep; `job`: its state and files; `state`: of the job;
    - `law`, `n` particles in `dim` dimensions, `variant`, `seed`: what was run;
    - `system`: the law, with n and dim where those are not the published ones (`usual` is false then);
    - `label`: settings besides these that tell the run apart from others of its system and variant;
      `extra`: the same without the pruning schedule; `row`: system and label, what a table's row is called;
    - `trained`: whether it has epochs behind it;
    - `schedule`, `end`: of a run that prunes;
    - `mae`, `mae_per_graph`: error of the network on test graphs; `law_mae`: of the distilled law;
    - `found`: that law in one line, its first component where it is written by components;
    - `force_robust`, `force_ols`, `pullback_robust`, `best_robust`, `best_ols`: R² of `analysis.json`, the
      mean over components; `best` is the best gauge, whose name is in `gauge`; `validation_robust`: the
      same on validation graphs;
    - `marks_components_raw`, `marks_components`, `marks_pullback`: for each component ✓ and its marks, or
      ✗; empty where there is no verdict, NaN where no equation was searched for.
    """
    rows: list[dict[str, Any]] = []
    for k, sweep in enumerate(sweeps):
        found = [(job, job.run) for job in sweep.jobs if job.run is not None and job.run.config]
        mine = [_row(job, run) | {"sweep": k} for job, run in found]
        groups = [(row["system"], row["variant"]) for row in mine]
        named = labels([run.config for _, run in found], groups)
        for row, (label, extra) in zip(mine, named, strict=True):
            whole = f"{row['system']}, {label}" if label else row["system"]
            rows.append(row | {"label": label, "extra": extra, "row": whole})
    return pd.DataFrame(rows)


def _row(job: Job, run: Run) -> dict[str, Any]:
    config, law = run.config, law_of(run.config)
    data, analysis = config.get("dataset") or {}, run.analysis or {}
    target = str((data.get("law") or {}).get("_target_", "")).rpartition(".")[2]
    name = law.name if law else getattr(getattr(laws, target, None), "name", law_title(run))
    place = {"n": data.get("n"), "dim": data.get("dim")}
    unusual = [f"{key} = {value}" for key, value in place.items() if value != SETTING[key] and value]
    test, r2, best = (analysis.get(key) or {} for key in ("test", "r2", "best"))
    validation = (analysis.get("validation") or {}).get("best") or {}
    schedule, end = schedule_of(config) or (None, None)
    return {
        "job": job,
        "state": job.state,
        "law": name,
        **place,
        "usual": place == SETTING,
        "system": ", ".join([name, *unusual]),
        "variant": str(config.get("variant")),
        "seed": config.get("seed"),
        "trained": bool(run.metrics),
        "schedule": schedule,
        "end": end,
        "mae": _number(test.get("mae")),
        "mae_per_graph": _number(test.get("mae_per_graph")),
        "found": _found(run),
        "law_mae": _number(((run.law or {}).get("test") or {}).get("mae")),
        **{
            f"{target}_{fit}": _number(mean((r2.get(target) or {}).get(fit) or []))
            for target, fit in (("force", "robust"), ("force", "ols"), ("pullback", "robust"))
        },
        "best_robust": _number(best.get("robust_mean")),
        "best_ols": _number(best.get("ols_mean")),
        "gauge": best.get("gauge"),
        "validation_robust": _number(validation.get("robust_mean")),
        **{f"marks_{target}": _marks(run.equations or {}, target) for target in TARGETS},
    }


def _found(run: Run) -> str | None:
    law = run.law
    if law is None:
        return None
    if "names" in law:
        return headline(law).text
    if law.get("radial"):
        return headline(law | {"functions": {"u": law["radial"]}}).text
    return next((acceleration_text(*terms) for terms in law_terms(law)), None)


def _number(value: float | None) -> float:
    return float("nan") if value is None else value


def _marks(equations: dict[str, Any], target: str) -> str | None:
    """The verdicts on a target's components in one line; empty without them, None if not searched for."""
    found = equations if equations.get("target") == target else (equations.get("also") or {}).get(target)
    if not isinstance(found, dict):
        return None
    components = found.get("components") or []
    verdicts = [c["verdict"] for c in components if isinstance(c.get("verdict"), dict)]
    if len(verdicts) < len(components):
        return ""
    marks = [f"✓{v.get('marks') or ''}" if v.get("recovered") is True else "✗" for v in verdicts]
    return " ".join(" ".join(marks).split())  # one line, whatever the file holds


def winner(runs: pd.DataFrame) -> Winner | None:
    """The winner among the runs of a `frame` that prune; None if none was scored on validation graphs."""
    if runs.empty:
        return None
    means = runs.groupby(["schedule", "end"], sort=False)["validation_robust"].mean().dropna()
    if means.empty:
        return None
    schedule, end = means.idxmax()
    return Winner(schedule, end, float(means.max()))
