"""What ``torch.compile`` made, run as it was written: compiled code calls no function that masks look for."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from threading import Lock

import torch

_counting = Lock()
_held = ExitStack()  # puts the compiler's stance back as it was
_users = 0


@contextmanager
def eager() -> Iterator[None]:
    """While any such block runs, in whichever thread, modules and functions that were compiled run as written."""
    global _users
    if "torch._dynamo" not in sys.modules:  # nothing was compiled, and its import would take seconds
        yield
        return
    with _counting:
        if _users == 0:
            _held.enter_context(torch.compiler.set_stance("force_eager"))
        _users += 1
    try:
        yield
    finally:
        with _counting:
            _users -= 1
            if _users == 0:
                _held.close()
