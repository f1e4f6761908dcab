"""What a person sees and types: on a terminal, which a pseudo-terminal stands in for, and elsewhere."""

import io
import os
import pty
import re
import sys

import pytest
from rich.console import Console

from gnn_distill.pipeline import progress
from gnn_distill.pipeline.progress import Reporter, clock


@pytest.fixture
def typed(monkeypatch):
    """A terminal as standard input; returns what types into it."""
    keyboard, terminal = pty.openpty()
    with os.fdopen(terminal, "r") as stdin:
        monkeypatch.setattr(sys, "stdin", stdin)
        monkeypatch.setattr(
            os, "tcgetpgrp", lambda fd: os.getpgrp()
        )  # a test may have no terminal to control
        yield lambda text: os.write(keyboard, text.encode())
    os.close(keyboard)


def test_q_and_enter_ask_for_the_end_and_nothing_else_does(typed):
    reporter = Reporter(Console(file=io.StringIO()), keys=True)
    assert not reporter.asked_to_end()
    typed("quite another word\n\n")
    assert not reporter.asked_to_end()
    typed("q")
    assert not reporter.asked_to_end()  # not without Enter
    typed("\n")
    assert reporter.asked_to_end()
    assert not reporter.asked_to_end()  # once


def test_what_is_typed_is_the_shells_while_we_are_in_the_background(typed, monkeypatch):
    reporter = Reporter(Console(file=io.StringIO()), keys=True)
    monkeypatch.setattr(os, "tcgetpgrp", lambda fd: os.getpgrp() + 1)
    typed("q\n")
    assert not reporter.asked_to_end()
    monkeypatch.undo()


@pytest.mark.parametrize("keys", [True, False])
def test_nobody_is_listened_to_without_a_terminal_or_unasked(keys: bool, typed, monkeypatch):
    if keys:
        monkeypatch.setattr(sys, "stdin", io.StringIO("q\n"))
    typed("q\n")
    assert not Reporter(Console(file=io.StringIO()), keys=keys).asked_to_end()


def test_one_line_in_place_on_a_terminal(monkeypatch):
    now = iter(range(1000))
    monkeypatch.setattr(progress.time, "perf_counter", lambda: float(next(now)))
    screen = io.StringIO()
    reporter = Reporter(Console(file=screen, force_terminal=True, width=100))
    with reporter.stage("train", "2/5"):
        reporter.progress(10, 100, "steps")
        reporter.progress(40, 100, "steps")
        line = reporter._text().plain
        assert re.match(r"2/5 train  ━{12}─{18}  40 of 100 steps  0:0\d left", line)
        reporter.note("  epoch   3/15  val 0.2")
        assert "epoch   3/15  val 0.2  0:" in reporter._text().plain
    printed = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", screen.getvalue()).splitlines()
    assert printed[-1].startswith("✓ train")
    assert [line for line in printed if line.startswith("  epoch")] == []  # in the line, not below it


def test_plain_lines_now_and_then_elsewhere(monkeypatch):
    seconds = [0.0]
    monkeypatch.setattr(progress.time, "perf_counter", lambda: seconds[0])
    log = io.StringIO()
    reporter = Reporter(Console(file=log, width=100))
    with reporter.stage("train", "2/5"):
        for step in range(0, 100):
            seconds[0] = float(step)
            reporter.progress(step, 200, "steps")
        reporter.note("  epoch   3/15")
    lines = log.getvalue().splitlines()
    assert lines[0] == "train ..."
    assert lines[1:4] == [
        "  30 of 200 steps  2:50 left",
        "  60 of 200 steps  2:20 left",
        "  90 of 200 steps  1:50 left",
    ]
    assert lines[4:] == ["  epoch   3/15", "✓ train  99.0 s"]


def test_clock():
    assert [clock(s) for s in (3.9, 75, 3725)] == ["0:03", "1:15", "1:02:05"]
