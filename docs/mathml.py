"""Turn the equations of a page into MathML while the site is built: no script, no font, no request."""

from __future__ import annotations

import html
import re
from typing import Any

from latex2mathml.converter import convert

EQUATION = re.compile(
    r'<(?P<tag>span|div) class="arithmatex">\s*\\[(\[](?P<tex>.*?)\\[)\]]\s*</(?P=tag)>', re.DOTALL
)


def on_page_content(content: str, **_: Any) -> str:
    """MkDocs' hook: the HTML of a page, with its equations as MathML."""
    return EQUATION.sub(_mathml, content)


def _mathml(found: re.Match[str]) -> str:
    block = found["tag"] == "div"
    display = "block" if block else "inline"
    written = convert(html.unescape(found["tex"]).strip(), display=display)
    return f'<div class="equation">{written}</div>' if block else written
