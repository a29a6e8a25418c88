"""Tests that take codes of few levels on purpose, of which convert warns."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

SAID = "under .* the network strays from the module"
coarse = pytest.mark.filterwarnings(f"ignore:{SAID}:UserWarning")


@contextmanager
def on_purpose() -> Iterator[None]:
    """Where no mark reaches."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", SAID, UserWarning)
        yield
