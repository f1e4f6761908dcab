"""Settings, wrong in every way, through the command line: they work, or are refused on one screen."""

from __future__ import annotations

import re
import traceback
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from omegaconf import OmegaConf

from gnn_distill.pipeline.config import composed
from gnn_distill.report.sweep.labels import flatten
from tests.fuzz.test_own_files import table

CONF = Path(__file__).parents[2] / "conf"
GROUPS = sorted(p.name for p in CONF.iterdir() if p.is_dir() and p.name not in ("__pycache__", "hydra"))
OPTIONS = {g: sorted(p.stem for p in (CONF / g).glob("*.yaml")) for g in GROUPS}
SAFE = ["stages=[]", "hydra.run.dir=run", "hydra.output_subdir=null"]
SETTINGS = {"deadline": None, "suppress_health_check": list(HealthCheck)}
CHOICES = [
    [],
    ["variant=kl"],
    ["dataset=own", "dataset.path=tracks.csv"],
    ["symbolic=given", "symbolic.expression=r"],
    ["symbolic=pysr", "logger=tensorboard"],
]
LINES = 30
VALUES = [
    "nan", "inf", "-inf", "-1", "0", "1", "2", "3", "7", "0.5", "1e-300", "1e400", "2147483648", "9" * 30,
    "null", "true", "false", "''", "' '", "[]", "[1,2]", "[null]", "{}", "{a:1}", "{a:{b:[]}}", "abc", "ä→π",
    "'\\n'", "a.b", "/", "..", "../x", "x" * 300, "${nothing}", "${seed}", "${oc.env:NO_SUCH_VARIABLE}",
    "${oc.env:WANDB_API_KEY}", "${", "???", "[", "{", "'", '"', "a=b", "1,2", "<script>", "[/red]", "@", "",
    "auto", "share", "std", "cpu", "bf16-mixed", "0x10", "1_000", "１", "\u202e", "None", "*", "glob(*)",
]  # fmt: skip


def leaves() -> list[str]:
    """Every key of the smallest configuration of each option, but those that choose code or whole runs."""
    found: dict[str, Any] = {}
    for choice in ([], ["dataset=own"], ["variant=kl"], ["symbolic=given"], ["trainer=ddp"]):
        found |= flatten(OmegaConf.to_container(composed(["profile=smoke", *choice]), resolve=False))
    return sorted(k for k in found if not k.endswith("_target_") and k not in ("stages", "gpus"))


KEYS = leaves()
PARENTS = sorted({key.rpartition(".")[0] for key in KEYS} - {""})
JUNK = st.text("abz._-/@:~+ é[]", max_size=8)
OTHER_KEY = st.one_of(
    st.sampled_from(PARENTS),
    st.sampled_from(GROUPS),
    st.sampled_from(KEYS).map(lambda key: key[:-1]),
    JUNK,
)
OTHER_VALUE = st.one_of(
    st.integers().map(str),
    st.floats().map(str),
    st.text(max_size=12),
    st.sampled_from([o for options in OPTIONS.values() for o in options]),
)
NUMBER = st.one_of(st.integers(-2, 300).map(str), st.floats(0, 2).map(str))


@st.composite
def overrides(draw: st.DrawFn) -> str:
    """One argument of a command line."""
    odds = st.integers(0, 9)  # most arguments name a key that there is, and are well formed
    key = draw(st.sampled_from(KEYS) if draw(odds) < 8 else OTHER_KEY)
    kind = draw(odds)
    value = draw(st.sampled_from(VALUES) if kind < 4 else NUMBER if kind < 8 else OTHER_VALUE)
    mark = draw(st.sampled_from(["+", "++", "~"])) if draw(odds) == 9 else ""
    text = f"{mark}{key}={value}" if draw(odds) < 9 else draw(st.sampled_from([f"{mark}{key}", value]))
    return text.replace("\0", "").replace("_target_", "target").replace("hydra.", "hydr.")


def harmless(text: str) -> bool:
    """Whether the argument is an override, rather than a flag with a meaning of its own."""
    return not text.startswith("-") and text.isprintable() | ("\n" in text)


def fault(text: str, code: object, message: str) -> str | None:
    """What is wrong with the way in which the command line took an argument; None if nothing is."""
    if code == 0:
        return None
    if "Traceback" in message or len(message.splitlines()) > LINES:
        return "more than one screen"
    if code == 1:
        return None if "memory is exhausted" in message else "exit code 1"
    if code != 2 or "error" not in message:
        return f"exit code {code}"
    words = re.findall(r"\w+", text) or ["="]
    named = any(word in message for word in (*words, "variant=kl", "override"))
    return None if named else "it names nothing"


def fuzz(command_line: Any, examples: int, **more: Any) -> None:
    """Collect what goes wrong, so that one pass shows all of it."""
    Path("tracks.csv").write_text("\n".join(",".join(row) for row in table(400, 3)))
    faults: dict[str, str] = {}
    codes: Counter[object] = Counter()

    @settings(max_examples=examples, phases=[Phase.generate], **SETTINGS, **more)
    @given(st.sampled_from(CHOICES), overrides().filter(harmless))
    def each(choice: list[str], text: str) -> None:
        try:
            code, message = command_line("profile=smoke", "threads=1", *choice, text, *SAFE)
            wrong = fault(text, code, message)
        except Exception as error:
            last = traceback.extract_tb(error.__traceback__)[-1]
            code, message = "raised", repr(error)
            wrong = f"{type(error).__name__} in {Path(last.filename).name}:{last.lineno}"
        codes[code] += 1
        if wrong:
            faults.setdefault(wrong, f"{[*choice, text]} -> {code}: {message[-600:]}")

    each()
    print(f"{codes.total()} cases, exit codes {dict(codes)}")
    assert not faults, "\n\n".join(f"{wrong}: {note}" for wrong, note in faults.items())


def test_overrides(command_line):
    fuzz(command_line, 25, derandomize=True)


@pytest.mark.slow
@pytest.mark.timeout(7200)
def test_many_overrides(command_line):
    fuzz(command_line, 600)
