"""Errors of the command line on one screen: what was wrong, and what to do."""

from __future__ import annotations

import difflib
import errno
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException
from rich.console import Console
from rich.markup import escape

from gnn_distill.errors import DivergedError, InputError
from gnn_distill.pipeline.config import Config
from gnn_distill.runs.secrets import redacted

OF_INPUT = (InputError, HydraException, OmegaConfBaseException)
"""Exceptions that a user's input causes."""

PARSERS = ("hydra", "omegaconf", "antlr4", "yaml")
FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
NO_MEMORY = re.compile("allocate memory|out of memory", re.IGNORECASE)
"""How torch and the system say so."""
MOVED = ("node", "charge_scale", "scale_output", "silent_start")
"""Settings of the model that were keys of the profile once."""


@contextmanager
def as_input(key: str, value: object) -> Iterator[None]:
    """Turn an exception of Hydra's or OmegaConf's into an `InputError` about `key`; ours stay as they are."""
    try:
        yield
    except OF_INPUT as error:
        first = origin(error)
        if isinstance(first, InputError):
            raise first from error
        raise InputError(key, value, explain(error)) from error


def show(error: BaseException) -> None:
    """Print the error on standard error."""
    text = f"[bold red]error[/] {escape(redacted(explain(error)))}"
    Console(stderr=True, soft_wrap=True).print(text, highlight=False)


@contextmanager
def as_typed(cfg: DictConfig) -> Iterator[None]:
    """Report a bad value under the key that was typed.

    The model knows its width as `model.width`; its value comes from `profile.width`, which was typed.
    """
    try:
        yield
    except Exception as error:
        first = origin(error)
        if not isinstance(first, InputError):
            raise
        key = typed_key(OmegaConf.to_container(cfg, resolve=False), first.key)
        raise InputError(key, first.value, first.fix) from error


def typed_key(config: Any, key: str) -> str:
    """`key`, or where its value is `${another.key}` that one.

    One step is enough: what a constructor checks is at most a preset's copy of the key that people know.
    """
    value = config
    for name in key.split("."):
        value = value.get(name) if isinstance(value, dict) else None
    taken = re.fullmatch(r"\$\{([\w.]+)\}", value) if isinstance(value, str) else None
    return taken[1] if taken else key


def explain(error: BaseException) -> str:
    """What was wrong and what to do, from an exception of ours, Hydra's or OmegaConf's."""
    first = origin(error)
    if isinstance(first, InputError | DivergedError):
        return str(first)
    if (spent := exhausted(error)) is not None:
        return f"{spent}; what is complete is kept, and hydra.run.dir=FOLDER goes on in the run's folder"
    if isinstance(error, OSError) and error.filename is not None:
        fix = "give another place, as in hydra.run.dir=FOLDER or cache=FOLDER"
        return f"{error.filename2 or error.filename} cannot be used: {error.strerror}: {fix}"
    causes = _causes(error)
    key = next((key for cause in causes if (key := getattr(cause, "full_key", None))), None)
    text = "\n".join(dict.fromkeys(line for cause in causes for line in str(cause).splitlines()))
    if not isinstance(error, OF_INPUT) and _of_parsing(error):
        text = f"{text}\none of these settings cannot be read: {' '.join(sys.argv[1:])[:400]}"
    hint = f"\ndid you mean {near}?" if (near := _near(str(key or ""))) else ""
    return f"{text}{hint}\ngnn-distill --help lists groups and keys; HYDRA_FULL_ERROR=1 shows the traceback"


def _near(key: str) -> str | None:
    """A key that may be meant by one that there is not."""
    root, _, name = key.partition(".")
    if root == "profile" and name in MOVED:
        return f"model.{name}"
    close = difflib.get_close_matches(root, Config.__dataclass_fields__, n=1)
    return next((name for name in close if name != root), None)


def exit_code(error: BaseException) -> int | None:
    """2 for bad input, 1 for a diverged training or an exhausted machine; None for a fault of the program."""
    if isinstance(origin(error), InputError):
        return 2
    if isinstance(error, DivergedError) or exhausted(error):
        return 1
    of_place = isinstance(error, OSError) and error.filename is not None
    return 2 if isinstance(error, OF_INPUT) or of_place or _of_parsing(error) else None


def _of_parsing(error: BaseException) -> bool:
    """Whether Hydra or OmegaConf stumbled over what they were given, without an exception of their own."""
    place, inner = error.__traceback__, ""
    while place is not None:
        inner, place = str(place.tb_frame.f_globals.get("__name__")), place.tb_next
    return inner.split(".")[0] in PARSERS


def exhausted(error: BaseException) -> str | None:
    """What the machine has run out of, and what to do; None where it has not."""
    for cause in _causes(error):
        reason = (str(cause) or type(cause).__name__).splitlines()[0][:200]
        if isinstance(cause, OSError) and cause.errno in FULL:
            return f"the disk is full ({reason}): make room, then give the command again"
        told = isinstance(cause, OSError | RuntimeError) and NO_MEMORY.search(reason)
        if told or isinstance(cause, MemoryError):
            smaller = "smaller profile.simulations, profile.width, profile.batch_size or symbolic.jobs"
            fix = f"take {smaller}, or a machine with more, then give the command again"
            return f"memory is exhausted ({reason}): {fix}"
    return None


def origin(error: BaseException) -> BaseException:
    """The error of ours that an exception was raised from, else the exception itself."""
    return next((cause for cause in _causes(error) if isinstance(cause, InputError | DivergedError)), error)


def _causes(error: BaseException | None) -> list[BaseException]:
    found: list[BaseException] = []
    while error is not None and error not in found:
        found.append(error)
        error = error.__cause__
    return found
