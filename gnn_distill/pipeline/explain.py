"""Errors of the command line on one screen: what was wrong, and what to do."""

from __future__ import annotations

import difflib
import errno
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from hydra.errors import HydraException
from omegaconf.errors import OmegaConfBaseException
from rich.console import Console
from rich.markup import escape

from gnn_distill.errors import DivergedError, InputError
from gnn_distill.pipeline.config import Config
from gnn_distill.runs.secrets import redacted

OF_INPUT = (InputError, HydraException, OmegaConfBaseException)
"""Exceptions that a user's input causes."""

OF_PLACE = {
    errno.EACCES: "it may not be written",
    errno.EPERM: "it may not be written",
    errno.EROFS: "its disk is read-only",
    errno.ENOTDIR: "a part of it is a file",
    errno.EEXIST: "there is a file in its place",
    errno.EISDIR: "there is a folder in its place",
    errno.ENOENT: "a part of it does not exist",
    errno.ENAMETOOLONG: "its name is too long",
    errno.ELOOP: "its links go round in a circle",
}
"""What is wrong with a place that the user has named."""
PARSERS = ("hydra", "omegaconf", "antlr4", "yaml")
FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
OUT_OF_MEMORY = ("can't allocate memory", "out of memory", "bad_alloc", "Cannot allocate memory")


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


def explain(error: BaseException) -> str:
    """What was wrong and what to do, from an exception of ours, Hydra's or OmegaConf's."""
    if isinstance(origin(error), InputError | DivergedError):
        return str(origin(error))
    if (spent := exhausted(error)) is not None:
        return f"{spent}; what is complete is kept, and hydra.run.dir=FOLDER goes on in the run's folder"
    if isinstance(error, OSError) and error.errno in OF_PLACE:
        place = error.filename2 or error.filename
        fix = "give another place, as in hydra.run.dir=FOLDER or cache=FOLDER"
        return f"{place} cannot be used: {OF_PLACE[error.errno]} ({error.strerror}): {fix}"
    key = getattr(error, "full_key", None)
    for cause in _causes(error):
        key = key or getattr(cause, "full_key", None)
    text = "\n".join(dict.fromkeys(line for cause in _causes(error) for line in str(cause).splitlines()))
    if not isinstance(error, OF_INPUT) and _of_parsing(error):
        text = f"{text}\none of these settings cannot be read: {' '.join(sys.argv[1:])[:400]}"
    near = difflib.get_close_matches(str(key).split(".")[0], Config.__dataclass_fields__, n=1) if key else []
    hint = f"\ndid you mean {near[0]}?" if near and near[0] != key else ""
    return f"{text}{hint}\ngnn-distill --help lists groups and keys; HYDRA_FULL_ERROR=1 shows the traceback"


def exit_code(error: BaseException) -> int | None:
    """2 for bad input, 1 for a diverged training or an exhausted machine; None for a fault of the program."""
    if isinstance(origin(error), InputError):
        return 2
    if isinstance(error, DivergedError) or exhausted(error):
        return 1
    if isinstance(error, OF_INPUT):
        return 2
    if isinstance(error, OSError) and error.errno in OF_PLACE and error.filename is not None:
        return 2
    return 2 if _of_parsing(error) else None


def _of_parsing(error: BaseException) -> bool:
    """Whether Hydra or OmegaConf stumbled over what they were given, without an exception of their own."""
    place, inner = error.__traceback__, ""
    while place is not None:
        inner, place = str(place.tb_frame.f_globals.get("__name__")), place.tb_next
    return inner.split(".")[0] in PARSERS


def exhausted(error: BaseException) -> str | None:
    """What the machine has run out of, and what to do; None where it has not."""
    return next((spent for cause in _causes(error) if (spent := _spent(cause))), None)


def _spent(error: BaseException) -> str | None:
    if isinstance(error, OSError) and error.errno in FULL:
        where = f" while {error.filename} was written" if error.filename else ""
        return f"the disk is full{where} ({error.strerror}): make room, then give the command again"
    memory = isinstance(error, OSError) and error.errno == errno.ENOMEM
    told = isinstance(error, RuntimeError) and any(words in str(error) for words in OUT_OF_MEMORY)
    if not (memory or told or isinstance(error, MemoryError)):
        return None
    reason = (str(error) or type(error).__name__).splitlines()[0][:200]
    return (
        f"memory is exhausted ({reason}): take smaller profile.simulations, profile.width, "
        "profile.batch_size or symbolic.jobs, or a machine with more, then give the command again"
    )


def origin(error: BaseException) -> BaseException:
    """The error of ours that an exception was raised from, else the exception itself."""
    return next((cause for cause in _causes(error) if isinstance(cause, InputError | DivergedError)), error)


def _causes(error: BaseException | None) -> list[BaseException]:
    found: list[BaseException] = []
    while error is not None and error not in found:
        found.append(error)
        error = error.__cause__
    return found
