"""Says that kernels are being compiled, while they are: loading those that are kept is no compilation."""

from __future__ import annotations

import sys
import threading
from typing import Any

from numba.core import event

PATIENCE = 1.0  # seconds of compiling after which a user is told what he waits for
WORDS = "compiling kernels for this machine, once (half a minute, if all are needed)"


class Compilations(event.Listener):
    """Hears of a package's kernels that numba compiles, and says so once if one takes longer than a moment."""

    package: str
    said: bool
    depth: int

    def __init__(self, package: str) -> None:
        self.package, self.said, self.depth = package, False, 0
        self.clock: threading.Timer | None = None

    def on_start(self, event: event.Event) -> None:
        if self.said or not self._is_ours(event):
            return
        self.depth += 1
        if self.depth == 1:
            self.clock = threading.Timer(PATIENCE, self._say)
            self.clock.daemon = True
            self.clock.start()

    def on_end(self, event: event.Event) -> None:
        if self.clock is None or not self._is_ours(event):
            return
        self.depth -= 1
        if self.depth == 0:
            self.clock.cancel()

    def _is_ours(self, event: Any) -> bool:
        return event.data["dispatcher"].py_func.__module__.partition(".")[0] == self.package

    def _say(self) -> None:
        self.said = True
        print(WORDS, file=sys.stderr, flush=True)
