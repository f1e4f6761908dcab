"""Text from configs and files, made harmless where it is written."""

from __future__ import annotations

FORMULA = ("=", "+", "-", "@", "\t", "\r")
"""How a cell begins that a spreadsheet would compute, or let start a program."""


def in_markdown(text: str) -> str:
    """One line of Markdown that holds neither HTML nor links nor bars."""
    text = " ".join(text.splitlines()) if "\n" in text or "\r" in text else text
    text = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return text.replace("|", "\\|").replace("](", "]\\(").replace("`", "\\`")


def in_cell(value: object) -> object:
    """The value of a CSV cell; text that is no number does not begin like a formula."""
    if not isinstance(value, str) or not value.startswith(FORMULA):
        return value
    try:
        float(value)
    except ValueError:
        return f"'{value}"
    return value
