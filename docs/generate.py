"""Write docs/configuration.md from conf/ and the schema: `python docs/generate.py`."""

from __future__ import annotations

import dataclasses
import importlib
import inspect
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from gnn_distill.pipeline import config

ROOT = Path(__file__).resolve().parents[1]
CONF, PAGE = ROOT / "conf", ROOT / "docs/configuration.md"

HEAD = """# Configuration reference

<!-- Made by `python docs/generate.py` from conf/ and the schema; a test fails if it is stale. -->

`gnn-distill GROUP=OPTION KEY=VALUE` chooses options and changes single keys; keys of this page are
written as they are typed. A key that starts with `+` is one that the option's file leaves at the default
of its class: type the plus, too. `null` is nothing, lists are `[a,b]`, and what holds spaces or
parentheses is quoted twice: `"symbolic.expression='-2*(r - 1)'"`. `${profile.epochs}` takes the value of
another key.

`gnn-distill GROUP=OPTION --cfg job` prints what a command would run with, `--cfg job --package profile`
a part of it, `--cfg all` Hydra's own settings as well. Groups and options of your own: [Parts of your
own](extending.md).
"""

GROUPS = {
    "dataset": "Which particles: a force law to simulate, or a file.",
    "variant": "What makes the messages low-dimensional or sparse.",
    "profile": "How large and how long: data, network, training.",
    "model": "The network.",
    "regulariser": "What is added to the loss. Variants choose it.",
    "schedule": "How pruning proceeds (`variant=pruning`).",
    "symbolic": "Symbolic regression.",
    "trainer": "Where training runs. Any argument of `lightning.Trainer` may be added with `+trainer.…`.",
    "logger": "Where metrics go beside `metrics.csv`.",
    "experiment": "Published sweeps, for `gnn-distill -m experiment=…`; see [Sweeps](sweeps.md).",
    "hydra/launcher": "How the jobs of a sweep run. Hydra's own `basic`, one after another, is the default.",
}
SCHEMA = {
    "profile": config.ProfileConfig,
    "schedule": config.ScheduleConfig,
    "symbolic": config.SymbolicConfig,
}
VERBATIM = ("variant", "experiment")  # a few lines of YAML each, which say it best
BASES = {"dataset": "base/nbody"}
SET_ELSEWHERE = {"extra_features", "law", "head"}  # by the data, and by leaves of their own
COMMENT = re.compile(r"^# ?(?!@package)(.*)$")


class Row(NamedTuple):
    """One line of a table."""

    key: str
    kind: str
    default: str
    meaning: str


def markdown() -> str:
    """The whole page."""
    parts = [HEAD, "## Keys of the whole run\n", table(run_wide())]
    for group, sentence in GROUPS.items():
        parts += [f"## {group}\n", f"{sentence}{chosen(group)}\n", *section(group)]
    return "\n".join(parts)


def section(group: str) -> Iterator[str]:
    """Tables of one group."""
    if group == "profile":
        yield matrix(group)
        return
    if group in SCHEMA:
        yield "Keys of every option; below, what each option sets otherwise, and its own.\n"
        yield table(schema_rows(group))
    if group in BASES:
        yield "Every simulated dataset has these keys:\n"
        yield table(rows(CONF / group / f"{BASES[group]}.yaml", group))
    for path in sorted((CONF / group).glob("*.yaml")):
        yield f"### `{group}={path.stem}`\n"
        if (text := description(path)) and group not in VERBATIM:
            yield text + "\n"
        if group in VERBATIM:
            yield f"```yaml\n{without_directive(path)}```\n"
        elif found := rows(path, group):
            yield table(found)


def run_wide() -> list[Row]:
    """Keys of `config.yaml` itself, and of `augment`."""
    said, kinds = documented(config.Config), fields(config.Config)
    path, found = CONF / "config.yaml", []
    said |= {f"augment.{k}": v for k, v in documented(config.AugmentConfig).items()}
    kinds |= {f"augment.{k}": v for k, v in fields(config.AugmentConfig).items()}
    for key, node, comment in leaves(yaml.compose(path.read_text()), path):
        if key.split(".")[0] not in ("hydra", "defaults"):
            found.append(Row(key, kinds[key][0], shown(node), said.get(key) or comment))
    return found


def chosen(group: str) -> str:
    """The option that `config.yaml` chooses, as a sentence."""
    defaults = yaml.safe_load((CONF / "config.yaml").read_text())["defaults"]
    found = {k: v for d in defaults if isinstance(d, dict) for k, v in d.items()}.get(group)
    return f" Default: `{found}`." if found else ""


def schema_rows(group: str) -> list[Row]:
    """Keys that the schema gives every option of a group."""
    said = documented(SCHEMA[group])
    kept = [(k, v) for k, v in fields(SCHEMA[group]).items() if k not in ("engine", "function")]
    return [Row(f"{group}.{k}", kind, default, said.get(k, "")) for k, (kind, default) in kept]


def matrix(group: str) -> str:
    """One table of all options: a row for each key, a column for each option."""
    order = ("quick", "tracks", "laptop", "paper", "smoke")
    set_by = {o: yaml.safe_load((CONF / group / f"{o}.yaml").read_text()) for o in order}
    said, lines = documented(SCHEMA[group]), []
    for option in order:
        text = " ".join(description(CONF / group / f"{option}.yaml").split())
        lines.append(f"- `{option}`: {text}")
    lines += ["", table_head("key", "type", *(f"`{o}`" for o in order), "meaning")]
    for key, (kind, default) in fields(SCHEMA[group]).items():
        values = [plain(set_by[o][key]) if key in set_by[o] else default for o in order]
        if key != "name":
            lines.append(line(f"`{group}.{key}`", kind, *values, cell(said.get(key, ""))))
    return "\n".join(lines) + "\n"


def rows(path: Path, group: str) -> list[Row]:
    """Keys that one option's file sets, then those of its classes that it leaves alone."""
    tree = yaml.compose(path.read_text())
    head = path.read_text().splitlines()[0]
    package = head.split()[2] if head.startswith("# @package") else group.replace("/", ".")
    found: list[Row] = []
    owners = {
        ".".join(k.split(".")[:-1]): n.value for k, n, _ in leaves(tree, path) if k.endswith("_target_")
    }
    for key, node, comment in leaves(tree, path):
        owner, _, name = key.rpartition(".")
        target = owners.get(owner, "")
        if key.startswith("defaults") or name == "_partial_":
            continue
        if name == "_target_":
            about = first_paragraph(target)
            found.append(Row(f"{package}.{key}", "class", shown(node), about or comment))
            continue
        kind = arguments(target).get(name, ("", ""))[0]
        said = documented(target).get(name, "")
        if group in SCHEMA and not owner:
            kind, default = fields(SCHEMA[group])[name]
            said = documented(SCHEMA[group]).get(name, "")
            if default == shown(node):
                continue
        meaning = said or comment
        found.append(Row(f"{package}.{key}", kind or type_of(node), shown(node), meaning))
    named = {r.key for r in found}
    for owner, target in owners.items():
        said, prefix = documented(target), f"{package}.{owner}".removesuffix(".")
        for name, (kind, default) in arguments(target).items():
            if name in said and name not in SET_ELSEWHERE and f"{prefix}.{name}" not in named:
                found.append(Row(f"+{prefix}.{name}", kind, default, said[name]))
    return found


def leaves(node: Any, path: Path, prefix: str = "") -> Iterator[tuple[str, Any, str]]:
    """(dotted key, YAML node, comment on its line) of every leaf."""
    lines = path.read_text().splitlines()
    for key, value in node.value if isinstance(node, yaml.MappingNode) else ():
        name = f"{prefix}{key.value}"
        if isinstance(value, yaml.MappingNode) and value.value:
            yield from leaves(value, path, f"{name}.")
        else:
            mark = value.end_mark
            rest = lines[mark.line][mark.column :] if mark.line < len(lines) else ""
            yield name, value, rest.partition("#")[2].strip()


def documented(target: Any) -> dict[str, str]:
    """What the `Args` or `Attributes` of a docstring say of each name."""
    thing = load(target) if isinstance(target, str) else target
    own = {} if thing is None else dict(entries(inspect.getdoc(thing) or ""))
    return own or (
        {} if thing is None else dict(entries(inspect.getdoc(getattr(thing, "__init__", None)) or ""))
    )


def entries(text: str) -> Iterator[tuple[str, str]]:
    """(name, text) of the entries of a Google docstring."""
    body = re.search(r"^(?:Args|Attributes):\n((?:(?: +.*)?\n?)*)", text, re.MULTILINE)
    for name, said in re.findall(
        r"^ {4}(\w[\w, ]*): (.*(?:\n {5,}.*)*)", body[1] if body else "", re.MULTILINE
    ):
        for one in name.split(", "):
            yield one, " ".join(said.split())


def load(target: str) -> Any:
    """The class or function of this package that `target` names; None for other packages'."""
    module, _, name = target.rpartition(".")
    return getattr(importlib.import_module(module), name) if module.startswith("gnn_distill") else None


def first_paragraph(target: str) -> str:
    """What the class says of itself."""
    thing = load(target)
    return " ".join((inspect.getdoc(thing) or "").split("\n\n")[0].split()) if thing else ""


def arguments(target: str) -> dict[str, tuple[str, str]]:
    """(type, default) of each argument of a class of this package."""
    thing = load(target)
    if not inspect.isclass(thing):
        return {}
    found = {}
    for name, p in inspect.signature(thing).parameters.items():
        default = "" if p.default is p.empty else plain(default_of(p.default))
        found[name] = (typed(p.annotation), default)
    return found


def default_of(value: Any) -> Any:
    """A default as plain data."""
    return list(value) if isinstance(value, tuple) else value


def fields(schema: Any) -> dict[str, tuple[str, str]]:
    """(type, default) of each field of a schema."""
    found = {}
    for f in dataclasses.fields(schema):
        missing = f.default in ("???", dataclasses.MISSING)
        found[f.name] = (typed(f.type), "" if missing else plain(f.default))
    return found


def typed(annotation: Any) -> str:
    """An annotation in the words of YAML."""
    text = annotation if isinstance(annotation, str) else getattr(annotation, "__name__", str(annotation))
    text = {"Any": "", "_empty": ""}.get(text, text).replace("tuple[str, ...]", "list[str]")
    return text.replace(" | ", " or ").replace("None", "null").split(".")[-1]


def type_of(node: Any) -> str:
    """The type of a YAML value."""
    if isinstance(node, yaml.SequenceNode):
        return "list"
    kind = node.tag.rpartition(":")[2]
    return (
        {"int": "int", "float": "float", "bool": "bool", "str": "str"}.get(kind, "")
        if "${" not in str(node.value)
        else ""
    )


def shown(node: Any) -> str:
    """A YAML value as it is typed."""
    if isinstance(node, yaml.SequenceNode):
        return f"`[{', '.join(n.value for n in node.value)}]`"
    return "`{}`" if isinstance(node, yaml.MappingNode) else f"`{node.value}`"


def plain(value: Any) -> str:
    """A Python value as it is typed."""
    text = {None: "null", True: "true", False: "false"}.get(value) if not isinstance(value, list) else None
    listed = f"[{', '.join(value)}]" if isinstance(value, list) else str(value)
    return f"`{text if value is None or isinstance(value, bool) else listed}`"


def description(path: Path) -> str:
    """The comment at the head of an option's file."""
    found = []
    for text in path.read_text().splitlines():
        if text.startswith("# @package"):
            continue
        if not (match := COMMENT.match(text)):
            break
        found.append(f"\n    {match[1].strip()}\n" if match[1].startswith("  ") else match[1])
    return "\n".join(found).strip()


def without_directive(path: Path) -> str:
    """The file but for Hydra's `@package`."""
    return "".join(t for t in path.read_text().splitlines(True) if not t.startswith("# @package"))


def table(found: list[Row]) -> str:
    """Rows as Markdown."""
    body = [line(f"`{r.key}`", r.kind, r.default, cell(r.meaning)) for r in found]
    return "\n".join([table_head("key", "type", "default", "meaning"), *body]) + "\n"


def table_head(*names: str) -> str:
    """The two lines that begin a table."""
    return f"{line(*names)}\n|{'---|' * len(names)}"


def line(*cells: str) -> str:
    """One line of a table."""
    return f"| {' | '.join(cells)} |"


def cell(text: str) -> str:
    """Text without what would break a table."""
    return text.replace("|", "\\|")


if __name__ == "__main__":
    PAGE.write_text(markdown(), encoding="utf-8")
