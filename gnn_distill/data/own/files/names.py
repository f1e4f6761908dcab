"""What headings of columns and names of arrays mean, and the units that stand in them.

Programs that track or simulate particles each have words of their own; all that is known of them is here.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

LABELS = ("trajectory", "particle")
MEANINGS = {
    "particle": (
        "particle", "particles", "track_id", "trackid", "track", "track_n°", "particle_id", "particleid",
        "agent_id", "agent", "ped_id", "person", "id", "atom", "name", "label",
    ),
    "trajectory": ("trajectory", "trajectories", "run", "simulation", "sim", "experiment", "video"),
    "time": ("time", "times", "t", "position_t", "timestamp", "seconds"),
    "frame": (
        "frame", "frames", "fr", "frame_number", "frame_id", "frameid", "slice", "slice_n°", "step",
        "timestep",
    ),
    "mass": ("mass", "masses", "m"),
    "charge": ("charge", "charges", "q"),
    "kind": ("kind", "kinds", "element", "species", "symbol", "type", "types"),
}  # fmt: skip
"""Headings of columns, in lower case, underscores for blanks; where several are there the first is taken."""
CELL = ("cell_lx", "cell_xy", "cell_ly", "cell_xz", "cell_yz", "cell_lz")
"""The cell of each row where it is tilted or changes; see `gnn_distill.physics.variables.nearest_image`."""
HEADING = re.compile(r"theta|e[xyz]|heading(_?[xyz])?")
"""Where a particle looks: further inputs that are taken without being asked for."""
SPOTS = {"ecc", "signal", "raw_mass", "ep"}
"""Columns of a program that finds bright spots, whose `mass` is a brightness."""

_WORDS = (
    "km|m|dm|cm|mm|um|µm|μm|microns?|nm|pm|å|angstroms?|px|pix|pixels?|au|"
    "s|sec|seconds?|ms|us|µs|μs|ns|ps|fs|min|h|days?|yr|years?|kg|g|mg|ug|u|amu|da|e|c|n|pn|ev|frames?"
)
_UNIT = rf"1?(?:{_WORDS})(?:\^?[-−]?\d)?(?:[/*·](?:{_WORDS})(?:\^?[-−]?\d)?)*"
_BRACKETED = re.compile(r"^(?P<name>[^\[(]+?)[\s_]*[\[(](?P<unit>[^\])]*)[\])]$")
_SLASHED = re.compile(rf"^(?P<name>[^/]+?)\s*/\s*(?P<unit>{_UNIT})$", re.IGNORECASE)
_TAILED = re.compile(rf"^(?P<name>.+?)_(?P<unit>{_WORDS})$", re.IGNORECASE)
_COMPONENT = re.compile(
    r"(?:(?P<v>v|vel|velo|velocity|velocities)_?|(?P<a>a|acc|acceleration)_?|(?P<f>f|force|forces)_?"
    r"|(?:pos|position)_)?(?P<axis>[xyz])"
)


@dataclass(frozen=True)
class Heading:
    """A heading as it is understood.

    Attributes:
        text: as the file has it.
        name: in lower case, without its unit.
        unit: None where there is none.
    """

    text: str
    name: str
    unit: str | None = None

    @classmethod
    def of(cls, text: str) -> Heading:
        """Split a heading into name and unit.

        >>> Heading.of("X (µm)")
        Heading(text='X (µm)', name='x', unit='µm')
        >>> Heading.of("v_x/cm/s").name, Heading.of("t_ms").unit, Heading.of("track ID").name
        ('vx', 'ms', 'track_id')
        """
        plain = text.strip().strip('"').strip()
        found = _BRACKETED.match(plain) or _SLASHED.match(plain)
        if found is None and (tail := _TAILED.match(plain)) and is_known(_plain(tail["name"])):
            found = tail
        name, unit = (found["name"], found["unit"].strip()) if found else (plain, None)
        return cls(plain, _plain(name), unit or None)


def _plain(name: str) -> str:
    """In lower case, blanks as underscores, components as `x`, `vx`, `ax`, `fx`."""
    name = re.sub(r"\s+", "_", name.strip().lower())
    if found := _COMPONENT.fullmatch(name):
        return "".join(prefix for prefix in "vaf" if found[prefix]) + found["axis"]
    return name


def is_known(name: str) -> bool:
    """Whether a name means something by itself."""
    return bool(re.fullmatch("[vaf]?[xyz]", name)) or any(name in words for words in MEANINGS.values())


def meanings(names: Sequence[str]) -> dict[str, str]:
    """Which of the names in `MEANINGS` each of these columns stands for, as {column: meaning}.

    A `trajectory` without any other name of a particle is that of a particle, as ImageJ has it.
    """
    found: dict[str, str] = {}
    for meaning, words in MEANINGS.items():
        word = next((word for word in words if word in names and word not in found), None)
        if word is not None:
            found[word] = meaning
    if "particle" not in found.values() and found.get("trajectory") == "trajectory":
        del found["trajectory"]
        runs = next((word for word in MEANINGS["trajectory"][1:] if word in names), None)
        found |= {"trajectory": "particle"} | ({runs: "trajectory"} if runs else {})
    return found
