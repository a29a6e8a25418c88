"""Runs of numbers, of labels too, and of classes; and servers of them, each started once."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from problems import table
from served import Server, running, untrained
from spikebayes.app.table_run import TableRun


@pytest.fixture(scope="session")
def runs() -> dict[str, TableRun]:
    frame = table()
    return {
        "values": untrained(frame[["a", "b", "y"]], "y"),
        "mixed": untrained(frame[["a", "color", "y"]], "y"),
        "classes": untrained(frame[["a", "b", "kind"]], "kind"),
        "noisy": untrained(frame[["a", "b", "y"]], "y", "row"),
        "far": untrained(frame[["a", "b", "y"]] + [1e9, 0, 1e9], "y"),
    }


@pytest.fixture(scope="module")  # no server is there while other tests change what it stands on
def start(runs: dict[str, TableRun]) -> Iterator[Callable[..., Server]]:
    """Starts a server of a run by its name; a second call with the same arguments finds it running."""
    with ExitStack() as stack:
        found: dict[str, Server] = {}

        def start(name: str = "values", **settings: Any) -> Server:
            key = f"{name} {settings}"
            if key not in found:
                found[key] = stack.enter_context(running(runs[name], **settings))
            return found[key]

        yield start
