"""The public face as text, a line for each name: ``python tests/public_face.py`` writes it anew.

It refuses while CHANGELOG.md does not name what was added, changed or removed since the text was written.
"""

from __future__ import annotations

import inspect
import re
import sys
from enum import EnumType
from importlib import import_module
from pathlib import Path
from typing import get_origin

ROOT = Path(__file__).parents[1]
FACE, CHANGELOG = Path(__file__).with_suffix(".txt"), ROOT / "CHANGELOG.md"
PACKAGES = (
    *("", "nn", "nn.zoo", "training", "data", "data.combo", "evaluate", "export"),
    *("network", "network.operators", "sklearn", "plot"),
)


def face() -> list[str]:
    """``package.name(signature)``, sorted; of a class its constructor and public methods."""
    lines = []
    for package in PACKAGES:
        full = f"spikebayes.{package}".rstrip(".")
        module = import_module(full)
        for name in module.__all__:
            value = getattr(module, name)
            if inspect.ismodule(value):
                continue
            lines.append(f"{full}.{name}{_signature(value)}")
            if inspect.isclass(value):
                for member, method in sorted(vars(value).items()):
                    if not member.startswith("_") and (
                        callable(method) or isinstance(method, property | classmethod)
                    ):
                        lines.append(f"{full}.{name}.{member}{_signature(method)}")
    return sorted(lines)


def changed(before: list[str], after: list[str]) -> set[str]:
    """Public names, without their packages, whose lines differ."""
    return {_name(line) for line in set(before) ^ set(after)}


def unnamed(names: set[str], changelog: str) -> set[str]:
    """Those that the section of what is not released does not name."""
    section = changelog.split("## Unreleased", 1)[-1].split("\n## ", 1)[0]
    return {name for name in names if not re.search(rf"\b{re.escape(name)}\b", section)}


def _name(line: str) -> str:
    """The public name that a line is about: of a method, its class."""
    told = line.split("(")[0]
    homes = (f"spikebayes.{package}".rstrip(".") + "." for package in PACKAGES)
    home = max((home for home in homes if told.startswith(home)), key=len)
    return told.removeprefix(home).split(".")[0]


def _signature(value: object) -> str:
    """Names of parameters, and which of them have defaults; nothing of what has none to tell."""
    if isinstance(value, property):
        return ""
    function = value.__func__ if isinstance(value, classmethod) else value
    if isinstance(value, EnumType) or get_origin(value) is not None:  # which Python versions tell differently
        return ""
    try:
        parameters = inspect.signature(function).parameters.values()  # pyright: ignore[reportArgumentType]
    except (TypeError, ValueError):
        return ""
    said, starred = [], False
    for p in parameters:
        if p.kind is p.KEYWORD_ONLY and not starred:
            said, starred = [*said, "*"], True
        mark = {p.VAR_POSITIONAL: "*", p.VAR_KEYWORD: "**"}.get(p.kind, "")
        starred |= mark == "*"
        said.append(f"{mark}{p.name}" + ("" if p.default is p.empty else "="))
    return f"({', '.join(said)})"


def main() -> int:
    """Write the text."""
    before = FACE.read_text("utf-8").splitlines() if FACE.exists() else []
    after = face()
    missing = unnamed(changed(before, after), CHANGELOG.read_text("utf-8")) if before else set()
    if missing:
        print(f"CHANGELOG.md, under Unreleased, does not name {', '.join(sorted(missing))}", file=sys.stderr)
        return 1
    FACE.write_text("\n".join(after) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
