"""``--config FILE``: options as plain YAML, bounded in size and depth.

A few hundred bytes of YAML can stand for more than memory holds (aliases of aliases), and whatever path is given is
opened, be it a table of gigabytes or a device that never ends.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml
from jsonargparse import (
    ActionConfigFile,  # pyright: ignore[reportPrivateImportUsage]
    ArgumentParser,
    Namespace,
    get_loader,
    set_loader,
)

from spikebayes.errors import ConfigError

PLAIN = "plain_yaml"  # what a parser is told to read options by
LARGEST, DEEPEST = 1 << 20, 20  # bytes of a file, and lists within lists
LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class ConfigFile(ActionConfigFile):
    """The option: its file is read once, and no further than options may go."""

    def __call__(self, parser: ArgumentParser, cfg: Namespace, values: str, option_string: str | None = None) -> None:
        path = Path(values)
        self.apply_config(parser, cfg, self.dest, _read(path))
        cfg[self.dest][-1] = path


def _read(path: Path) -> str:
    """The text of a file of options, as one line if it is empty.

    Raises:
        ConfigError: it cannot be read, or is no such file.
    """
    try:
        with path.open("rb") as file:
            content = file.read(LARGEST + 1)
        if len(content) > LARGEST:
            raise ConfigError(f"cannot read {path}: it has more than {LARGEST:,} bytes; is it a file of options?")
        text = content.decode()
        found = _plain_yaml(text)
    except OSError as error:
        raise ConfigError(f"cannot read {path}: {error.strerror}") from error
    except (UnicodeDecodeError, yaml.YAMLError) as error:
        reason = "it is no text in UTF-8" if isinstance(error, UnicodeDecodeError) else error
        raise ConfigError(
            f"cannot read {path}: {reason}; expected YAML, a line NAME: VALUE for each option"
        ) from error
    if not isinstance(found, dict):
        raise ConfigError(f"{path} holds no options; expected YAML, a line NAME: VALUE for each option")
    return text


def _plain_yaml(text: str) -> Any:
    """The value of a YAML text without aliases, and no deeper than options are (else YAMLError)."""
    if not text.isprintable() and any(0xD800 <= ord(c) < 0xE000 for c in text):
        raise yaml.YAMLError("it has bytes that are no text")  # names of files may
    depth = 0
    for event in yaml.parse(text, LOADER):
        if isinstance(event, yaml.AliasEvent):
            raise yaml.YAMLError(f"it has an alias, *{event.anchor}; write out what it stands for")
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if depth > DEEPEST:
            raise yaml.YAMLError(f"its lists are more than {DEEPEST} deep")
    return get_loader("yaml")(text)


set_loader(PLAIN, _plain_yaml, exceptions=(yaml.YAMLError,))
