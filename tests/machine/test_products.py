"""Products that do not depend on a row's position, in processes of their own: MKL is asked once for good."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

SCRIPT = """
import sys, torch
if "early" in sys.argv:
    torch.randn(64, 13) @ torch.randn(13, 7)
import spikebayes
from spikebayes.machine import products
torch.set_num_threads(1)
steady = all(products._is_steady(m, k, n, dtype) for m in (64, 128, 256) for k in (2, 5, 13, 30, 100)
             for n in (1, 2, 7, 10, 33) for dtype in (torch.float32, torch.float64))
products.check_steady_products()
products.check_steady_products()
print(steady)
"""


def said(*arguments: str, **environment: str) -> tuple[bool, str]:
    """Whether products are steady in a new process, and what it says on standard error."""
    env = {k: v for k, v in os.environ.items() if k != "MKL_CBWR"} | environment
    command = [sys.executable, "-c", SCRIPT, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, env=env, check=True, timeout=300)
    return done.stdout.strip() == "True", done.stderr


@pytest.mark.slow
def test_importing_the_library_first_makes_products_steady() -> None:
    assert said() == (True, "")


@pytest.mark.slow
def test_whoever_multiplies_first_is_told_once_if_it_matters() -> None:
    steady, warned = said("early")
    assert steady == ("import spikebayes before the first product" not in warned)
    assert warned.count("UserWarning") == (not steady)


@pytest.mark.slow
def test_a_mode_that_the_user_chose_stays() -> None:
    assert said(MKL_CBWR="COMPATIBLE") == (True, "")
