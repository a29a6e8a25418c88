"""A call of a verb as it would be typed: to be copied into a shell."""

from __future__ import annotations

import inspect
import json
import shlex
from collections.abc import Callable, Mapping
from typing import Any


def command_text(verb: str, function: Callable[..., None], options: Mapping[str, Any]) -> str:
    """The command that calls a verb's function with these options, quoted for a shell.

    Args:
        verb: what is typed behind ``spikebayes``.
        function: its signature says which options there are; what is its default is left out.
        options: by the names of the signature; others are left out.

    Example:
        >>> def fit(data: str, *, hidden: list[int] = [100], resume: bool = False): ...
        >>> command_text("fit", fit, {"data": "my table.csv", "hidden": [50, 50], "resume": True, "seed": 1})
        "spikebayes fit 'my table.csv' --hidden 50 50 --resume"
    """
    words = ["spikebayes", verb]
    for name, parameter in inspect.signature(function).parameters.items():
        value = options.get(name, parameter.default)
        if value is None or value == parameter.default:
            continue
        option = f"--{name.replace('_', '-')}"
        parts = [_typed(part) for part in (value if isinstance(value, list | tuple) else [value])]
        if parameter.kind is not parameter.KEYWORD_ONLY and not parts[0].startswith("-"):
            words += parts
        elif value is True:
            words.append(option)
        else:  # what begins with a dash would be an option itself
            words += [f"{option}={parts[0]}"] if parts[0].startswith("-") else [option, *parts]
    return shlex.join(words)


def _typed(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False) if isinstance(value, Mapping | bool) else str(value)
