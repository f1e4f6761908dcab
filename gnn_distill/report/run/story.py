"""A run in numbers and sentences: what the page and the terminal both tell."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

from gnn_distill.distil.verdict.extrapolate import ROUGHLY
from gnn_distill.distil.verdict.judge import STILL
from gnn_distill.report.equations import plain_distance
from gnn_distill.report.published import OLS_R2, ROBUST_R2, TEST_LOSS, cell
from gnn_distill.report.text import capitalised, law_title, mean, number, r2_text, with_signs
from gnn_distill.runs.load import Run, law_of

GAP = 0.02
"""Force R² this far below the best gauge's is explained to the reader."""
GOOD = 0.98
LITTLE = 0.5
"""Error of the network, as a share of the mean |a|, from which on it has learned little."""
RIGHT = 0.02
"""Error of an equation on test accelerations, as a share of their mean, below which it holds whatever the
network, which unseen edges are read off, may say."""
OPEN = "The law behind these data is not known here: the equations were not checked against one."
NONE = "No equation found holds on unseen edges: this is no law yet."
MORE = "More runs, with other masses, charges and distances, help most."


@dataclass(frozen=True)
class Scores:
    """One row of the R² table, per component; `interval_text` is that of the robust mean."""

    name: str
    label: str
    meaning: str
    robust: list[float | None]
    ols: list[float | None]
    interval_text: str = ""

    @property
    def robust_mean(self) -> float | None:
        """Mean over components; None if one of them is undefined."""
        return mean(self.robust)

    @property
    def ols_mean(self) -> float | None:
        """Mean over components; None if one of them is undefined."""
        return mean(self.ols)


class Outcome(NamedTuple):
    """The overall verdict: `level` sets the colour, `details` hold one line per component."""

    level: Literal["good", "partial", "bad", "open"]
    headline: str
    details: list[str]


def told(run: Run) -> dict[str, Any]:
    """What page and terminal both tell, by the names that the page's template has for it."""
    return {
        "title": capitalised(law_title(run)),
        "variant": run.config.get("variant"),
        "share": share_text(run, network_mae(run)),
        "law_share": share_text(run, run.law["test"]["mae"]) if run.law else "",
        "published": published(run),
        "rows": r2_rows(run.analysis),
        "explanations": explanations(run),
        "plain": plain_distance(run.law or {}),
        "outcome": outcome(run),
        "missing": [*doubts(run), *missing(run)],
    }


def published(run: Run) -> dict[str, float | None]:
    """R25's test loss and R² against the force for this law and variant; None where it has none."""
    law, data = law_of(run.config), run.config.get("dataset") or {}
    key = (law.name if law else None, str(run.config.get("variant")), data.get("n"), data.get("dim"))
    tables = {"mae_per_graph": TEST_LOSS, "robust": ROBUST_R2, "ols": OLS_R2}
    return {name: cell(table, *key) for name, table in tables.items()}


def r2_rows(analysis: dict[str, Any] | None) -> list[Scores]:
    """The R² table; empty where the law is unknown or nothing was analysed."""
    if not analysis or not analysis.get("r2"):
        return []
    gauge = analysis.get("gauge") or {}
    p, off = number(gauge.get("p"), 3), ", each receiver's mean taken off" if gauge.get("centred") else ""
    rows = {
        "force": ("force F", "messages against F"),
        "acceleration": ("acceleration F/m₁", "messages against F/m₁"),
        "gauge": ("fitted gauge", f"messages against F·m₁^(−p) with p = {p} fitted{off}"),
        "pullback": ("pull-back", "contributions to the acceleration against F/m₁, on y = x"),
    }
    scores = []
    for name, words in rows.items():
        if found := analysis["r2"].get(name):
            limits = (analysis.get("r2_interval") or {}).get(name, {}).get("robust_mean") or [None]
            interval = "" if None in limits else " – ".join(map(r2_text, limits))
            scores.append(Scores(name, *words, found["robust"], found["ols"], interval))
    return [*scores[:-1], *_all_messages(analysis), *scores[-1:]]


def _all_messages(analysis: dict[str, Any]) -> list[Scores]:
    """The row of the best linear map from all messages, for the target that it reaches best."""
    found = analysis.get("subspace") or {}
    targets = {"force": "F", "acceleration": "F/m₁", "gauge": "F·m₁^(−p)"}
    means = {name: mean(found[name]["robust"]) for name in targets if name in found}
    known = {name: value for name, value in means.items() if value is not None}
    if not known:
        return []
    name = max(known, key=lambda k: known[k])
    dims = analysis.get("active_dims")
    meaning = f"best linear map from all {dims} unpruned messages to {targets[name]}, trajectories held out"
    return [Scores("subspace", "all messages", meaning, found[name]["robust"], found[name]["ols"])]


def explanations(run: Run) -> list[str]:
    """Sentences that keep a reader from misreading the R² table; made from its numbers."""
    rows = {row.name: row for row in r2_rows(run.analysis)}
    force, pulled = (rows[name].robust_mean if name in rows else None for name in ("force", "pullback"))
    best = ((run.analysis or {}).get("best") or {}).get("robust_mean")
    if force is None or best is None:
        return []
    found = []
    if best - force > GAP:
        found.append(_gauge_sentence(run.analysis or {}, force, best))
    if pulled is not None and pulled - best > GAP and pulled > 0.9:
        dims = (run.analysis or {}).get("active_dims")
        found.append(
            f"The selected components alone reach R² = {number(best, 3)}: the network spreads the force over "
            f"its {dims} active message dimensions or turns it with the receiver's features. Read "
            f"through the node model (pull-back), the contributions match F/m₁ with R² = {r2_text(pulled)}."
        )
    return found


def _gauge_sentence(analysis: dict[str, Any], force: float, best: float) -> str:
    p, centred = float(analysis["gauge"]["p"]), analysis["gauge"]["centred"]
    add = " and add another" if centred else ""
    off = ", each receiver's mean taken off" if centred else ""
    follow = "F/m₁ (acceleration)" if abs(p - 1) < 0.1 else f"F·m₁^(−{p:.2f})".replace("−-", "")
    freedom = (
        f"The network may multiply the messages to each receiver by any function of that receiver's own "
        f"features{add} without changing a prediction; here the factor is m₁^(−p) with p = {p:.2f}{off}."
    ).replace("-", "−")
    if best >= GOOD:
        rest = f"So the messages follow {follow} with R² = {r2_text(best)}, and R² against F alone is "
        return f"{freedom} {rest}{number(force, 2)} although nothing is wrong."
    rest = f"That raises R² from {number(force, 2)} against F alone to {number(best, 3)}; "
    return f"{freedom} {rest}such a factor does not explain the rest of the gap."


def component_name(entry: dict[str, Any]) -> str:
    """`x` for a Cartesian component, `message 28` for a message dimension."""
    label = str(entry["dim"])
    return label[1:] if label in ("dx", "dy", "dz") else f"message {label}"


def shown_equation(entry: dict[str, Any]) -> int:
    """Index on the front of the equation to show: the recovered one, else the engine's choice."""
    found = (entry.get("verdict") or {}).get("equation")
    extrapolates = (entry.get("extrapolation") or {}).get("equation")
    picked = [found, extrapolates, entry.get("choice"), entry.get("score_pick"), 0]
    return int(next(index for index in picked if index is not None))


def outcome(run: Run) -> Outcome:
    """Recovered or not, in words; only a verdict that says so counts as recovered."""
    entries = (run.equations or {}).get("components") or []
    if not entries:
        return Outcome("open", "No equations yet: the search for equations has not been run.", [])
    verdicts = [entry.get("verdict") for entry in entries]
    if None in verdicts:
        told = [(component_name(e), (e.get("extrapolation") or {}).get("reason")) for e in entries]
        lines = [f"{name}: {with_signs(text)}" for name, text in told if text]
        left = share(run, run.law["test"]["mae"]) if run.law else None
        return Outcome("open", headline(entries, bool(doubts(run)), left), lines)
    details = [verdict_line(entry) for entry in entries]
    recovered = [v.get("recovered") is True for v in verdicts if v.get("reason") != STILL]
    law, count = law_title(run), {1: "the one component", 2: "both components"}
    every = count.get(len(recovered), f"all {len(recovered)} components")
    if recovered and all(recovered):
        return Outcome("good", f"This is {law}: recovered on {every}.", details)
    if any(recovered):
        found = f"{sum(recovered)} of {len(recovered)} components"
        return Outcome("partial", f"Only partly recovered: {law} was found on {found}.", details)
    return Outcome("bad", f"Not recovered: no equation found is {law} and fits these data.", details)


def verdict_line(entry: dict[str, Any]) -> str:
    """What is thought of one component, in a line."""
    verdict = entry["verdict"]
    word = "recovered" + (f" {verdict['marks']}" if verdict.get("marks") else "")
    word = word if verdict.get("recovered") is True else "not recovered"
    return f"{component_name(entry)}: {word} – {with_signs(str(verdict.get('reason') or 'no reason given'))}"


def share(run: Run, mae: float | None) -> float | None:
    """A mean absolute error of test accelerations as a share of the mean |a|; None if unknown."""
    data = run.data
    if mae is None or not data:
        return None
    mean = data["mean_abs_acceleration_per_graph"] / (data["particles"] * data["dim"])
    return float(mae / mean) if mean > 0 else None


def share_text(run: Run, mae: float | None) -> str:
    """`6 % of the mean |a|`; empty if unknown."""
    part = share(run, mae)
    return "" if part is None else f"{_percent(part)} of the mean |a|"


def network_mae(run: Run) -> float | None:
    """The network's error on the test set; None if it was not analysed."""
    test = (run.analysis or {}).get("test")
    return test["mae"] if test else None


def _percent(part: float) -> str:
    if part < 1e-4:
        return "below 0.01 %"
    return f"{100 * part:.{0 if part >= 0.095 else 1 if part >= 0.0095 else 2}f} %"


def doubts(run: Run) -> list[str]:
    """Sentences about data and network that a reader of the law should know first; usually none."""
    found = ended(run) + [f"{text}." for text in (run.data or {}).get("doubts") or []]
    part = share(run, network_mae(run))
    if part is not None and part >= LITTLE:
        found.append(
            f"The network's error is {_percent(part)} of the mean |a|, where always saying zero would have "
            "100 %: it has learned little, so do not trust equations of it."
        )
    return found


def ended(run: Run) -> list[str]:
    """That somebody ended the training, in a sentence; nothing where nobody did."""
    train = (run.status.get("stages") or {}).get("train") or {}
    if train.get("ended") != "by hand":
        return []
    done = f"{train['epochs']:g} of {train['of']} epochs"
    return [f"Training was ended by hand after {done}: a full run may say more."]


def missing(run: Run) -> list[str]:
    """What the run directory lacks, and how to make it."""
    judged = (run.path / "law.json").exists()
    gaps = [
        (not run.metrics, "train", "loss curves and the network"),
        (run.analysis is None, "analyse", "test losses, R² and most figures"),
        (run.equations is None or not judged, "distil", "the equations and the verdict"),
    ]
    lines = [f"The last attempt stopped: {error}"] if (error := run.status.get("error")) else []
    pulled = (run.equations or {}).get("target") != "functions"  # else the page's first words say it
    if run.equations is not None and run.law is None and judged and pulled:
        lines.append(
            "No law was put together: these message components do not span a force. "
            "The pull-back always gives one: symbolic.target=pullback."
        )
    lines += [
        f"Stage {stage} has not been run: {what} are missing." for absent, stage, what in gaps if absent
    ]
    if stages := [stage for absent, stage, _ in gaps if absent]:
        again = f"stages=[{','.join([*stages, 'report'])}] hydra.run.dir={run.path}"
        lines.append(f"To fill the gap, give the command of this run again with {again}")
    return lines


def headline(entries: Sequence[dict[str, Any]], doubted: bool, left: float | None) -> str:
    """What to think of the components of `equations.json`.

    Args:
        entries: the components.
        doubted: something else is said to be wrong with data or network, which more data would not mend.
        left: error of the law on test accelerations, as a share of the mean |a|; None if unknown.
    """
    if left is not None and left >= ROUGHLY:
        found = f"The equation found is off by {left:.0%} of the mean |a|: this is no law yet."
    elif (left is not None and left < RIGHT) or all(map(holds, entries)):
        return OPEN
    else:
        found = NONE
    return found if doubted else f"{found} {MORE}"


def holds(entry: dict[str, Any]) -> bool:
    """Whether a component's chosen equation holds at least roughly on unseen edges, inside and beyond.

    Without a record of that it counts as holding.
    """
    extrapolation = entry.get("extrapolation") or {}
    tried = [extrapolation[where] for where in ("inside", "beyond") if extrapolation.get(where)]
    errors = [errors[extrapolation["equation"]] for errors in tried]
    return all(error is not None and error < ROUGHLY for error in errors)
