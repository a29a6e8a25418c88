"""What all tests share: the same random numbers on every run, Ctrl-C works, and where real data are."""

from __future__ import annotations

import os
import signal
from collections import Counter
from pathlib import Path

import pytest
import torch
from hypothesis import settings

from spikebayes.machine import compiling

settings.register_profile("deterministic", derandomize=True, deadline=None)
settings.load_profile("deterministic")
compiling.PATIENCE = 3600.0  # tests read standard error: how long a kernel takes to compile is not their business
signal.signal(signal.SIGINT, signal.default_int_handler)  # a background job ignores it, and so would its children


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What stands beside the library, studies and benchmarks, is tested by ``make check`` alone; and their order."""
    for item in items:
        if {"studies", "benchmarks"} & set(item.path.relative_to(Path(__file__).parents[1]).parts):
            item.add_marker(pytest.mark.slow)
    slow = Counter(item.path for item in items if item.get_closest_marker("slow"))
    items.sort(key=lambda item: -slow[item.path])  # files with the longest tests first: no worker ends with one


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """A test, and the fixtures made for it, draw the same numbers whichever tests ran before in its process."""
    torch.manual_seed(0)


@pytest.fixture(scope="session")
def real() -> Path:
    """The folder that holds the real ``uci_regression/``."""
    named = os.environ.get("SPIKEBAYES_DATA")
    folder = Path(named) if named else Path(__file__).parents[2] / "shared" / "data"
    if not (folder / "uci_regression").is_dir():
        pytest.skip(f"no UCI sets in {folder}; set SPIKEBAYES_DATA")
    return folder
