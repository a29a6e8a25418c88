"""Products that do not depend on a row's position, in processes of their own: MKL is asked once for good."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest
import torch

from spikebayes.machine.products import full_precision

BACKENDS: Any = torch.backends  # torch's types do not have all of it

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


@pytest.fixture
def asked() -> Iterator[None]:
    """Whatever a test asks torch for is taken back."""
    yield
    for place in (
        BACKENDS,
        BACKENDS.cuda.matmul,
        BACKENDS.mkldnn.matmul,
        BACKENDS.mkldnn.conv,
    ):
        place.fp32_precision = "none"
    torch.set_float32_matmul_precision("highest")


@pytest.mark.parametrize("precision", ["highest", "high", "medium"])
def test_products_are_those_of_float32_though_less_is_asked_for(precision: str, asked: None) -> None:
    torch.set_float32_matmul_precision(precision)
    before = BACKENDS.mkldnn.matmul.fp32_precision
    with full_precision():
        with full_precision():
            assert torch.get_float32_matmul_precision() == "highest"
        assert torch.get_float32_matmul_precision() == "highest"
        assert BACKENDS.cuda.matmul.fp32_precision == BACKENDS.mkldnn.matmul.fp32_precision == "ieee"
    assert torch.get_float32_matmul_precision() == precision
    assert BACKENDS.mkldnn.matmul.fp32_precision == before


def test_so_are_those_for_which_less_is_asked_by_backend(asked: None) -> None:
    places = BACKENDS.mkldnn.matmul, BACKENDS.mkldnn.conv
    for place in places:
        place.fp32_precision = "bf16"
    with full_precision():
        assert [place.fp32_precision for place in places] == ["ieee", "ieee"]
    assert [place.fp32_precision for place in places] == ["bf16", "bf16"]


def test_convolutions_on_a_gpu_are_those_of_float32() -> None:
    assert BACKENDS.cudnn.allow_tf32  # torch's own choice
    with full_precision():
        assert not BACKENDS.cudnn.allow_tf32
        assert BACKENDS.cudnn.conv.fp32_precision != "tf32"
    assert BACKENDS.cudnn.allow_tf32
    BACKENDS.cudnn.conv.fp32_precision = "ieee"  # by the newer settings, beside which the older one is an error
    with full_precision():
        assert BACKENDS.cudnn.conv.fp32_precision == "ieee"
    BACKENDS.cudnn.conv.fp32_precision = "tf32"
    with full_precision():
        assert BACKENDS.cudnn.conv.fp32_precision != "tf32"
    assert BACKENDS.cudnn.conv.fp32_precision == "tf32"
