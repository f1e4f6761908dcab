"""Secrets stay out of files: what the environment keeps secret is never written down."""

from __future__ import annotations

import os
import re

_SECRET = re.compile(r"(^|_|API|ACCESS)(KEY|TOKEN|SECRET|PASSWORD|PASSWD|CREDENTIALS?)$", re.IGNORECASE)
SHORTEST = 8
"""Characters of a value that counts as a secret; shorter ones occur in ordinary text."""
HIDDEN = "(hidden)"


def is_secret(name: str) -> bool:
    """Whether an environment variable of this name holds a secret: WANDB_API_KEY, HF_TOKEN and the like."""
    return _SECRET.search(name) is not None


def redacted(text: str) -> str:
    """The text without the values of the environment's secrets."""
    found = {value for name, value in os.environ.items() if is_secret(name) and len(value) >= SHORTEST}
    for value in sorted(found, key=len, reverse=True):
        text = text.replace(value, HIDDEN)
    return text
