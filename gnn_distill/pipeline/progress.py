"""What a person sees while a run works: stages, epochs, losses, time left."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.markup import escape
from rich.status import Status

BAR = 30  # characters of the progress bar


class Reporter:
    """Prints the progress of stages to a console; a live line on a terminal, plain lines elsewhere.

    Args:
        console: where to print; standard error if None.
    """

    def __init__(self, console: Console | None = None) -> None:
        self.console = Console(stderr=True, highlight=False) if console is None else console
        self._live: Status | None = None

    def line(self, text: str) -> None:
        """Print one line that stays."""
        self.console.print(text)

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Announce a stage, and its seconds when it is done."""
        start = time.perf_counter()
        if not self.console.is_terminal:
            self.line(f"{name} ...")
            yield
        else:
            with self.console.status(f"{name} ...") as self._live:
                yield
            self._live = None
        self.done(name, time.perf_counter() - start)

    def done(self, stage: str, seconds: float) -> None:
        """Say what a stage has taken."""
        self.line(f"[green]✓[/] {stage}  {seconds:.1f} s")

    def simulated(self, done: int, total: int) -> None:
        """Progress of the simulation, on the live line; nothing where the console is not a terminal."""
        if self._live is not None:
            filled = BAR * done // max(1, total)
            bar = "━" * filled + "[dim]" + "━" * (BAR - filled) + "[/]"
            self._live.update(f"simulate  {bar}  {done:,} of {total:,} trajectories")


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
