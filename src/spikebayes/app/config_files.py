"""``--config FILE``: options as plain YAML, bounded in size and depth.

A few hundred bytes of YAML can stand for more than memory holds (aliases of aliases), and whatever path is given is
opened, be it a table of gigabytes or a device that never ends.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from spikebayes.errors import ConfigError

LARGEST, DEEPEST = 1 << 20, 20  # bytes of a file, and lists within lists
LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def read_options(path: Path) -> dict[str, Any]:
    """The options of a file, by name, with underscores.

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
    return {name.replace("-", "_"): value for name, value in found.items()}


def _plain_yaml(text: str) -> Any:
    """The value of a YAML text without aliases, and no deeper than options are (else YAMLError)."""
    if not text.isprintable() and any(0xD800 <= ord(c) < 0xE000 for c in text):
        raise yaml.YAMLError("it has bytes that are not text")  # names of files may
    depth = 0
    for event in yaml.parse(text, LOADER):
        if isinstance(event, yaml.AliasEvent):
            raise yaml.YAMLError(f"it has an alias, *{event.anchor}; write out what it stands for")
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if depth > DEEPEST:
            raise yaml.YAMLError(f"its lists are more than {DEEPEST} deep")
    return yaml.load(text, LOADER)
