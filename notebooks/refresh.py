"""Runs notebooks at their normal size and stores light outputs: `python notebooks/refresh.py [NAME ...]`.

Each runs in a temporary folder. Minutes per notebook on one core.
"""

from __future__ import annotations

import base64
import io
import sys
import tempfile
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from PIL import Image

FOLDER = Path(__file__).parent
METADATA = {
    "kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"},
    "language_info": {"name": "python"},
}
COLOURS = 96
TIMEOUT = 7200


def refresh(path: Path) -> None:
    """Run one notebook and write it back."""
    notebook = nbformat.read(path, as_version=4)
    with tempfile.TemporaryDirectory() as folder:
        resources = {"metadata": {"path": folder}}
        NotebookClient(notebook, timeout=TIMEOUT, coalesce_streams=True, resources=resources).execute()
    lighten(notebook)
    nbformat.validate(notebook)
    nbformat.write(notebook, path)


def lighten(notebook: nbformat.NotebookNode) -> None:
    """Drop metadata of this machine, and reduce the colours of pictures."""
    notebook.metadata = nbformat.from_dict(METADATA)
    for cell in notebook.cells:
        cell.metadata = {}
        for output in cell.get("outputs", []):
            if "metadata" in output:
                output["metadata"] = {}
            if "image/png" in output.get("data", {}):
                output["data"]["image/png"] = fewer_colours(output["data"]["image/png"])


def fewer_colours(picture: str) -> str:
    """A base64 PNG with a palette; one that has a palette stays as it is."""
    with Image.open(io.BytesIO(base64.b64decode(picture))) as image:
        if image.mode == "P":
            return picture
        small = io.BytesIO()
        image.convert("RGB").quantize(COLOURS, dither=Image.Dither.NONE).save(small, "PNG", optimize=True)
    return base64.b64encode(small.getvalue()).decode("ascii")


if __name__ == "__main__":
    for name in sys.argv[1:] or sorted(p.stem for p in FOLDER.glob("*.ipynb")):
        refresh(FOLDER / f"{name}.ipynb")
