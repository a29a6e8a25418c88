"""``--config FILE``: options as plain YAML, bounded in size and depth.

A few hundred bytes of YAML can stand for more than memory holds (aliases of aliases), and whatever path is given is
opened, be it a table of gigabytes or a device that never ends.

Names and values stay the text that they are written as, because the option's type says what it means: ``no`` may be a
column or a class. A mapping becomes JSON, as the command line takes it.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, ClassVar

import yaml

from spikebayes.errors import ConfigError

LARGEST, DEEPEST = 1 << 20, 20  # bytes of a file, and lists within lists
FAST: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
TAG = "tag:yaml.org,2002:"
NULL, TEXT = f"{TAG}null", f"{TAG}str"
NUMBERS = {f"{TAG}{name}" for name in ("bool", "int", "float")}


class _TextLoader(FAST):
    """Values are text, lists, mappings of text, or nothing."""

    yaml_implicit_resolvers: ClassVar[dict[Any, Any]] = {
        first: [(tag, pattern) for tag, pattern in found if tag == NULL]
        for first, found in FAST.yaml_implicit_resolvers.items()
    }
    yaml_constructors: ClassVar[dict[Any, Any]] = {
        tag: FAST.yaml_constructors[tag] for tag in (NULL, TEXT, f"{TAG}seq", f"{TAG}map", None)
    } | dict.fromkeys([*NUMBERS, f"{TAG}timestamp"], FAST.yaml_constructors[TEXT])

    def construct_mapping(self, node: Any, deep: bool = False) -> dict[Any, Any]:
        for key, _ in node.value:
            if isinstance(key, yaml.ScalarNode):
                key.tag = TEXT
        return super().construct_mapping(node, deep)


def read_options(path: Path) -> dict[str, Any]:
    """The options of a file as text, lists or None, by name, with underscores.

    Raises:
        ConfigError: it cannot be read, or is no such file.
    """
    try:
        with path.open("rb") as file:
            content = file.read(LARGEST + 1)
        if len(content) > LARGEST:
            raise ConfigError(f"cannot read {path}: it has more than {LARGEST:,} bytes; is it a file of options?")
        found = _plain_yaml(content.decode())
    except OSError as error:
        raise ConfigError(f"cannot read {path}: {error.strerror}") from error
    except (UnicodeDecodeError, yaml.YAMLError, ValueError) as error:
        reason = "it is not UTF-8 text" if isinstance(error, UnicodeDecodeError) else error
        raise ConfigError(
            f"cannot read {path}: {reason}; expected YAML, a line NAME: VALUE for each option"
        ) from error
    if not isinstance(found, dict) or not all(isinstance(name, str) for name in found):
        raise ConfigError(f"{path} holds no options; expected YAML, a line NAME: VALUE for each option")
    return {
        name.replace("-", "_"): json.dumps(value, ensure_ascii=False) if isinstance(value, dict) else value
        for name, value in found.items()
    }


def plain_number(text: str) -> str:
    """A number or a truth value of YAML as Python writes it; other text is itself.

    Example:
        >>> plain_number("on"), plain_number(".inf"), plain_number("1_000"), plain_number("red")
        ('True', 'inf', '1000', 'red')
    """
    tag = yaml.resolver.Resolver().resolve(yaml.ScalarNode, text, (True, False))
    if tag not in NUMBERS:
        return text
    return str(yaml.constructor.SafeConstructor().construct_object(yaml.ScalarNode(tag, text)))


def _plain_yaml(text: str) -> Any:
    """The value of a YAML text without aliases, and no deeper than options are (else YAMLError)."""
    if not text.isprintable() and any(0xD800 <= ord(c) < 0xE000 for c in text):
        raise yaml.YAMLError("it has bytes that are not text")  # names of files may
    depth = 0
    for event in yaml.parse(text, _TextLoader):
        if isinstance(event, yaml.AliasEvent):
            raise yaml.YAMLError(f"it has an alias, *{event.anchor}; write out what it stands for")
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if depth > DEEPEST:
            raise yaml.YAMLError(f"its lists are more than {DEEPEST} deep")
    return yaml.load(text, _TextLoader)
