"""What a person sees of a run at work (stages, losses, time left) and may type: `q` ends the training."""

from __future__ import annotations

import os
import select
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.live import Live
from rich.markup import escape
from rich.text import Text

BAR = 30  # characters of the progress bar
EVERY = 30.0  # seconds between two plain lines of one stage, where there is no live one
ENDS = "q + Enter ends it here"


class Reporter:
    """Prints the progress of stages to a console; one live line on a terminal, plain lines elsewhere.

    Args:
        console: where to print; standard error if None.
        keys: whether standard input is listened to, where it is a terminal.
    """

    def __init__(self, console: Console | None = None, keys: bool = False) -> None:
        self.console = Console(stderr=True, highlight=False) if console is None else console
        self._keys = keys and sys.stdin is not None and sys.stdin.isatty()
        self._live: Live | None = None
        self._first: tuple[int, float] | None = None
        self._begin("")

    def line(self, text: str) -> None:
        """Print one line that stays."""
        self._printed = time.perf_counter()
        self.console.print(text)

    def note(self, text: str) -> None:
        """Say how things stand: in the live line, or as a line of its own where there is none."""
        if self._live is None:
            self.line(text)
        else:
            self._note = text.strip()

    def progress(self, done: int, total: int, what: str = "") -> None:
        """Say how far the stage is, `done` of `total`, on the live line; now and then elsewhere."""
        now = time.perf_counter()
        if self._first is None:
            self._first = done, now
        self._done, self._total, self._what = done, total, what
        if self._live is None and now - self._printed >= EVERY:
            self.line(f"  {done:,} of {total:,} {what}  {self._clock()}")

    @contextmanager
    def stage(self, name: str, place: str = "") -> Iterator[None]:
        """Announce a stage, and its seconds when it is done; `place` says which one of how many it is."""
        self._begin(f"{place} {name}".strip())
        if not self.console.is_terminal:
            self.line(f"{name} ...")
            yield
        else:
            # `_text` is asked for the line several times a second, also while the stage is deep in its work
            live = Live(get_renderable=self._text, console=self.console, transient=True, refresh_per_second=4)
            with live as self._live:
                try:
                    yield
                finally:
                    self._live = None
        self.done(name, time.perf_counter() - self._start)

    def done(self, stage: str, seconds: float) -> None:
        """Say what a stage has taken."""
        self.line(f"[green]✓[/] {stage}  {seconds:.1f} s")

    def simulated(self, done: int, total: int) -> None:
        """Progress of the simulation."""
        self.progress(done, total, "trajectories")

    def asked_to_end(self) -> bool:
        """Whether somebody has typed q and Enter since; never where standard input is no terminal of ours."""
        while self._keys and select.select([sys.stdin], [], [], 0)[0]:
            if not _in_front(sys.stdin.fileno()):
                return False  # what is typed is the shell's, and to read it would stop us
            typed = os.read(sys.stdin.fileno(), 1024)
            self._keys = bool(typed)  # the terminal is gone where there is nothing to read
            if b"q" in typed.lower().split():
                return True
        return False

    @property
    def keys(self) -> bool:
        """Whether `asked_to_end` may ever be true."""
        return self._keys

    def _begin(self, name: str) -> None:
        self._name, self._start = name, time.perf_counter()
        self._note = self._what = ""
        self._done, self._total = 0, 0
        self._first = None
        self._printed = self._start

    def _text(self) -> Text:
        """The live line."""
        parts = [self._name]
        if self._total:
            filled = BAR * self._done // self._total
            parts.append("━" * filled + "─" * (BAR - filled))
        parts += [
            self._note or f"{self._done:,} of {self._total:,} {self._what}" if self._total else self._note
        ]
        parts.append(self._clock())
        if self._keys and self._name.endswith("train"):
            parts.append(ENDS)
        return Text("  ".join(filter(None, parts)), no_wrap=True, overflow="ellipsis")

    def _clock(self) -> str:
        """Time left if it can be told, else time spent."""
        now = time.perf_counter()
        if self._first is None or self._done == self._first[0]:
            return f"{clock(now - self._start)} so far"
        first, since = self._first
        return f"{clock((now - since) / (self._done - first) * (self._total - self._done))} left"


class JobReporter(Reporter):
    """Writes everything to the log of a sweep's job, and one line per stage to the terminal.

    Args:
        log: console of the log file.
        terminal: console that all jobs write to.
        name: of the job.
    """

    def __init__(self, log: Console, terminal: Console, name: str) -> None:
        super().__init__(log)
        self.terminal, self.name = terminal, name

    def done(self, stage: str, seconds: float) -> None:
        """Say on both consoles what a stage has taken."""
        super().done(stage, seconds)
        self.terminal.print(f"  [dim]{escape(self.name)}[/]  {stage}  {seconds:.1f} s")


def _in_front(terminal: int) -> bool:
    """Whether this process is not in the background of its terminal."""
    try:
        return os.tcgetpgrp(terminal) == os.getpgrp()
    except OSError:  # the terminal controls no processes
        return True


def clock(seconds: float) -> str:
    """Minutes and seconds, with hours where there are any."""
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"
