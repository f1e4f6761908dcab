"""What page, terminal and notebook tell of a run whose law consists of functions: the law first."""

from __future__ import annotations

import math
from collections.abc import Sequence
from html import escape
from pathlib import Path
from typing import Any, NamedTuple

from gnn_distill.report.formula import Text, digits, shortened, spoken
from gnn_distill.report.groups import in_words
from gnn_distill.report.headline import WAYS, Headline, headline, images
from gnn_distill.report.run.story import Outcome, component_name, doubts, ended, missing
from gnn_distill.report.text import capitalised, law_title, number, with_signs
from gnn_distill.runs.load import Run

COLOURS = {"exact": "good", "systematic": "partial", "level": "partial", "none": "bad"}
"""How far a law holds, and how the page shows it."""
GAUSS = math.sqrt(2 / math.pi)
"""Mean size of a normal error of RMS one."""
LINES, COLUMNS = 13, 95
"""Of the terminal's last page, beside the path of the report; columns a little less, for words that wrap."""
BEST = 6
"""Compared forms that the page shows of each function."""
NOTHING = "No law yet: no closed form was found for what the network has learned."


class Error(NamedTuple):
    """An error of accelerations (velocities, in first order) of unseen runs."""

    name: str
    size: str
    share: str


def of_motion(run: Run) -> bool:
    """Whether equations and law of a run are those of a network of pair functions."""
    return (run.equations or {}).get("target") == "functions" or "names" in (run.law or {})


def told(run: Run) -> dict[str, Any] | None:
    """What page and terminal tell of such a run, by the names of the template; None for another one."""
    if not of_motion(run):
        return None
    law = run.law or {}
    found = headline(law) if law else None
    return {
        "title": title(run),
        "formula": found,
        "images": images(found.tex) if found else [],
        "cases": [(case, images(case.tex)) for case in found.cases] if found else [],
        "names": names(law),
        "units": units(run),
        "outcome": judged(run) or trust(run),
        "quantity": "accelerations" if _order(run) == 2 else "velocities",
        "errors": errors(law),
        "doubts": list(dict.fromkeys(f"{text.rstrip('.')}." for text in _doubts(run))),
        "missing": missing(run),
        "level": level(law),
        "estimates": [
            (name.replace("_", " "), number(value), f"{number(low)} to {number(high)}")
            for name, (value, low, high) in (law.get("estimates") or {}).items()
        ],
        "potential": potential(law),
        "individuals": individuals(law),
        "compared": compared(run),
    }


def _doubts(run: Run) -> list[str]:
    """Those of the data; that of a network with large errors only where the law has no verdict."""
    found, of_data = doubts(run), len(ended(run)) + len((run.data or {}).get("doubts") or [])
    law = run.law or {}
    return [*(found[:of_data] if law.get("trust") else found), *(law.get("doubts") or ())]


def title(run: Run) -> str:
    """What the data are, in a few words: the name of a file, or of a known law."""
    path = (run.config.get("dataset") or {}).get("path")
    files = path if isinstance(path, list) else [path]
    if not files or not files[0]:
        return capitalised(law_title(run))
    return Path(str(files[0])).name + (f" and {len(files) - 1} more" if len(files) > 1 else "")


def names(law: dict[str, Any]) -> str:
    """The names of the law's parts in one line; empty where none has one."""
    pairs = {text for text in (law.get("names") or {}).values() if text not in ("", "given", "nothing")}
    alone = [text for text in law.get("own") or () if text]
    parts = {"pair": sorted(pairs), "one-body": list(map(with_signs, alone))}
    told = [f"{kind}: {', '.join(found)}" for kind, found in parts.items() if found]
    shared = ["one law for pairs of all kinds"] if law.get("kinds") and not law.get("laws") else []
    return "; ".join([*told, *shared])


def units(run: Run) -> str:
    """In which units constants are, in one sentence."""
    known = (run.data or {}).get("units") or {}
    if not known:
        simulated = "simulations" in (run.config.get("dataset") or {})
        return f"Units are those of the {'simulation (dimensionless)' if simulated else 'data'}."
    plural = {"length": "lengths", "time": "times", "mass": "masses", "charge": "charges"}
    return capitalised(", ".join(f"{plural[name]} in {unit}" for name, unit in known.items()) + ".")


def judged(run: Run) -> Outcome | None:
    """Whether this is the true law, part by part, and how far it holds; None where the truth is not known."""
    verdict = (run.equations or {}).get("verdict")
    if not verdict or not verdict["parts"]:
        return None
    parts, law = verdict["parts"], law_title(run)
    right = [key for key, part in parts.items() if part["recovered"]]
    lines = [
        f"{part_name(key)}: {'' if part['recovered'] else 'not '}recovered – {with_signs(part['reason'])}"
        for key, part in parts.items()
    ]
    details = [trust(run).headline, *lines]
    if verdict["recovered"]:
        return Outcome("good", f"This is {law}: recovered.", details)
    if right:
        found = f"{len(right)} of {len(parts)} parts"
        return Outcome("partial", f"Only partly recovered: {law} was found in {found}.", details)
    return Outcome("bad", f"Not recovered: what was found is not {law}.", details)


def trust(run: Run) -> Outcome:
    """How far the law holds."""
    told = (run.law or {}).get("trust") or (run.equations or {}).get("trust") or {}
    if told:
        return Outcome(COLOURS.get(told["level"], "open"), str(told["sentence"]), [])  # type: ignore[arg-type]
    if run.law is None:
        return Outcome("bad", NOTHING, [])
    return Outcome("open", "How far this law holds has not been judged.", [])


def _order(run: Run) -> int:
    return int((run.law or {}).get("order", 2))


def errors(law: dict[str, Any]) -> list[Error]:
    """Mean absolute errors of law, network and labels, with their shares of the mean label."""
    test, network = (law.get(key) or {} for key in ("test", "network"))
    rows = [("the law", test.get("mae"), test.get("share"))]
    rows.append(("the network", network.get("mae"), network.get("share")))
    if noise := GAUSS * (law.get("noise") or 0.0):
        usual = test["mae"] / test["share"] if test.get("share") else None
        rows.append(("noise of the data, estimated", noise, noise / usual if usual else None))
    return [Error(name, number(mae, 3), percent(share)) for name, mae, share in rows if mae is not None]


class Individual(NamedTuple):
    """What an individual brings to the law: values with their intervals, empty where all have the same."""

    name: str
    source: str
    response: str
    kind: str
    sightings: str


def individuals(law: dict[str, Any]) -> dict[str, Any] | None:
    """Strengths of individuals, and what is to be said of them; None where they have none."""
    table, mode = law.get("hidden") or {}, law.get("hidden_mode")
    if not table and not law.get("hidden_told"):
        return None
    rows = [
        Individual(
            name,
            _with_interval(one["source"]) if mode not in ("response", "kinds") else "",
            _with_interval(one["response"]) if mode in ("response", "both") else "",
            f"{one['kind']} ({percent(one['sure'])})" if one["kind"] else "",
            f"{one['sightings']:,}",
        )
        for name, one in table.items()
    ]
    columns = {"s": "source", "t": "response", "kind": "kind"}
    used = [title for title, field in columns.items() if any(getattr(row, field) for row in rows)]
    return {"rows": rows, "used": used, "told": [f"{text}." for text in law.get("hidden_told") or ()]}


def _with_interval(found: Sequence[float]) -> str:
    value, *around = found
    count = digits(value or max(map(abs, around)), around, 7) + 1
    if around[0] == around[1]:
        return shortened(value, 4)
    low, high = (shortened(end, count) for end in around)
    return f"{shortened(value, count)} [{low} to {high}]"


def percent(share: float | None) -> str:
    """A share in percent with two digits; empty if unknown."""
    return "" if share is None else "below 0.01 %" if share < 1e-4 else f"{float(f'{100 * share:.2g}'):g} %"


def level(law: dict[str, Any], *, brief: bool = False) -> list[str]:
    """Other forms that these data cannot tell from the law, with what would tell them."""
    found = []
    for key, forms in (law.get("level") or {}).items():
        for form in forms:
            name, expression = form.get("name") or "", form.get("expression")
            text = f"f_{key} = {spoken(expression)}" if expression else ""
            if brief:
                found.append(name or text)
                continue
            told = f"{name} ({text})" if name and text else name or text
            if told and (apart := form.get("apart")):
                one, other = number(apart["law"]), number(apart["other"])
                told += f"; pairs at d = {number(apart['d'])} would tell, {one} or {other}"
            found.append(told)
    return list(dict.fromkeys(filter(None, found)))


def potential(law: dict[str, Any]) -> str:
    """The potential of the pair force in one line; empty where there is none, or several."""
    known = law.get("potential") or {}
    if not known.get("expression") or law.get("laws"):  # each group has one of its own
        return ""
    where = f", {known['reference']}" if known.get("reference") else ""
    return f"U = {spoken(known['expression'])}{where}"


def compared(run: Run) -> list[dict[str, Any]]:
    """The best of the forms that were compared on unseen runs, function by function, and the one chosen."""
    entries = (run.equations or {}).get("components") or []
    picked, found = (run.law or {}).get("names") or {}, []
    for entry in entries:
        key, rows = str(entry["dim"]), entry.get("compared") or []
        named = [row for row in rows if row["name"] and row["name"] == picked.get(key)]
        best = min((row["loss"] for row in named), default=0.0)  # some have an exponent more
        chosen = min(
            (row for row in named if row["loss"] <= 1.1 * best), key=lambda r: r["constants"], default=None
        )
        shown = [row | {"chosen": row is chosen} for k, row in enumerate(rows) if k < BEST or row is chosen]
        if shown:
            found.append({"name": component(entry), "rows": shown, "more": len(rows) - len(shown)})
    return found


def component(entry: dict[str, Any]) -> str:
    """The name of a component of `equations.json`, which may be a function."""
    key = str(entry["dim"])
    way, _, group = key.partition(":")
    if way not in WAYS:
        return component_name(entry)
    return function_name(way) + (f", {in_words(group.split(','))}" if group else "")


def part_name(key: str) -> str:
    """The name of a part of a law: a function, or what acts on a particle by itself."""
    return function_name(key) if key in WAYS else "on each particle"


def function_name(key: str) -> str:
    """`f_u, along Δ/d`: a function and its direction."""
    vector, over = WAYS[key]
    return f"f_{key}, along {Text(str).name(vector)}{f'/{over}' if over else ''}"


def lines(run: Run) -> list[tuple[str, str]]:
    """The last page in the terminal, the law first: each line with the name of its colour."""
    content = told(run) or {}
    formula: Headline | None = content["formula"]
    outcome: Outcome = content["outcome"]
    found = [("", f"{content['title']} · variant {run.config.get('variant')}")]
    if formula:
        values = [f"{c.value} [{c.interval}] {c.unit}".rstrip() for c in formula.constants if c.interval]
        only = "no law, the best of the forms that were tried: " if outcome.level == "bad" else ""
        found.append(("law", only + formula.text))
        found += [("law", f"  {case.name}: {case.text}") for case in formula.cases]
        found.append(("small", " · ".join(filter(None, [content["names"], *formula.meanings]))))
        found.append(("small", f"constants [95 % interval]: {', '.join(values)}" if values else ""))
    found.append((outcome.level, outcome.headline))
    found += [("", text) for text in outcome.details[:1]]
    rows = [f"{e.name} {e.size}{f' ({e.share})' if e.share else ''}" for e in content["errors"]]
    if rows:
        found.append(("", f"error on {content['quantity']} of unseen runs: {', '.join(rows)}"))
    if others := level(run.law or {}, brief=True):
        found.append(("doubt", f"These data cannot tell it from: {'; '.join(others)}"))
    found += [("doubt", text) for text in [*content["doubts"], *content["missing"]]]
    return _fitting([(style, text) for style, text in found if text])


def _fitting(found: list[tuple[str, str]]) -> list[tuple[str, str]]:
    """As many as fit on `LINES`; what is small goes first, then the last doubts."""
    if _height(found) > LINES:
        found = [line for line in found if line[0] != "small"]
    while _height(found) > LINES - 1 and found[-1][0] == "doubt":
        found = found[:-1]
    return found


def _height(found: list[tuple[str, str]]) -> int:
    return sum(-(-len(text) // COLUMNS) for _, text in found)


def html(run: Run) -> str | None:
    """The head of the page for a notebook; None for a run of another kind."""
    content = told(run)
    if content is None:
        return None
    formula = content["formula"]
    law = f"<p><code>{escape(formula.text)}</code></p>" if formula else ""
    if content["images"]:
        style = "display: inline; max-width: 100%; margin: 0; vertical-align: middle"
        law = "".join(f'<img src="{src}" alt="" style="{style}">' for src in content["images"])
        law = f'<p role="img" aria-label="{escape(formula.text)}">{law}</p>'
    outcome = content["outcome"]
    rest = [content["names"], outcome.headline, *outcome.details[:1], *content["doubts"]]
    return law + "".join(f"<p>{escape(text)}</p>" for text in rest if text)
