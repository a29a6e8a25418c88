"""Compiled kernels are found again exactly as long as nothing they are made of has changed."""

from __future__ import annotations

import importlib
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numba
import pytest
from numba.core import config

import spikebayes
from spikebayes.machine import compiling, kernel_cache
from spikebayes.machine.compiling import WORDS
from spikebayes.machine.kernel_cache import compiled, sources_digest

KERNEL = """
from spikebayes.machine.kernel_cache import compiled
{imports}

@compiled(nogil=True)
def times(x):
    return x * {value}
"""
FORMS = {  # of importing a constant that lies in toy/inner/constants.py
    "name": ("from toy.inner.constants import FACTOR", "FACTOR"),
    "among others": ("from toy.inner.constants import (  # some (of them)\n    OTHER,\n    FACTOR,\n)", "FACTOR"),
    "module": ("from toy.inner import constants", "constants.FACTOR"),
    "second module": ("from toy.inner import empty, constants", "constants.FACTOR"),
    "continued": ("from toy.inner import empty, \\\n    constants as c", "c.FACTOR"),
    "whole name": ("import toy.inner.constants", "toy.inner.constants.FACTOR"),
    "other name": ("import os, toy.inner.constants as c", "c.FACTOR"),
    "relative": ("from .inner.constants import FACTOR", "FACTOR"),
    "relative module": ("from .inner import constants", "constants.FACTOR"),
    "handed on": ("from toy.handing_on import FACTOR", "FACTOR"),
    "package": ("from toy.inner import HANDED_ON", "HANDED_ON"),
    "guarded": ("try:\n    from toy.inner.constants import FACTOR\nexcept ImportError:\n    FACTOR = 0", "FACTOR"),
    "function": ("from toy.inner.constants import inlined", "inlined()"),
}


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder that kernels are kept in."""
    monkeypatch.setattr(config, "CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setattr(kernel_cache, "_said", [])
    return tmp_path / "cache" / "spikebayes" / "kernels"


Toy = Callable[..., Any]


@pytest.fixture
def toy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cache: Path) -> Toy:
    """Writes a package ``toy`` and gives its kernel as a fresh process would have it, not yet compiled."""
    home = tmp_path / "toy"
    (home / "inner").mkdir(parents=True)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(sys, "dont_write_bytecode", True)

    def write(form: str = "name", factor: int = 2, also: str = "") -> Any:
        imports, value = FORMS[form]
        inlined = f"@numba.njit(inline='always')\ndef inlined(): return {factor}\n"
        constants = f"import numba\nFACTOR, OTHER = {factor}, 0\n{inlined}"
        files = {
            "__init__": "",
            "kernel": KERNEL.format(imports=imports, value=value),
            "handing_on": "from toy.inner.constants import FACTOR as FACTOR",
            "unrelated": also,
            "inner/__init__": "from toy.inner.constants import FACTOR as HANDED_ON",
            "inner/constants": constants,
            "inner/empty": "",
        }
        for name, text in files.items():
            path = home / f"{name}.py"
            if not path.exists() or path.read_text() != text:
                path.write_text(text)
        for name in [name for name in sys.modules if name.partition(".")[0] == "toy"]:
            del sys.modules[name]
        importlib.invalidate_caches()
        kernel_cache._file.cache_clear()
        return importlib.import_module("toy.kernel").times

    return write


def found(kernel: Any) -> bool:
    """Whether a kernel that was called once came from the disk."""
    hits, misses = (sum(counter.values()) for counter in (kernel.stats.cache_hits, kernel.stats.cache_misses))
    assert hits + misses == 1
    return hits == 1


@pytest.mark.parametrize("form", FORMS)
def test_a_constant_changed_in_another_file_is_seen(toy: Toy, form: str) -> None:
    for factor, kept in [(2, False), (2, True), (3, False), (2, True), (3, True)]:
        kernel = toy(form, factor)
        assert (kernel(7), found(kernel)) == (7 * factor, kept)


def test_an_interruption_that_llvm_swallows_is_raised_afterwards(toy: Toy, cache: Path, monkeypatch: Any) -> None:
    kernel = toy()
    with monkeypatch.context() as patch:  # as an exception in the callback leaves it, which ctypes only prints
        patch.setattr(kernel.targetctx.codegen()._engine._ee, "_object_cache_notify", None)
        with pytest.raises(KeyboardInterrupt):
            kernel(7)
    assert not list(cache.glob("*/*"))
    assert kernel(7) == 14
    anew = toy()
    assert (anew(7), found(anew)) == (14, False)


def test_what_a_kernel_does_not_use_may_change(toy: Toy) -> None:
    assert [toy(also=text)(7) for text in ("", "A = 1")] == [14, 14]
    kernel = toy(also="A = 2")
    assert (kernel(7), found(kernel)) == (14, True)


@pytest.mark.parametrize(
    ("place", "name", "value"),
    [(numba, "__version__", "1"), (sys, "version", "1"), (config, "LOOP_VECTORIZE", 0), (config, "BOUNDSCHECK", 1)],
)
def test_versions_and_settings_count(
    toy: Toy, monkeypatch: pytest.MonkeyPatch, place: object, name: str, value: object
) -> None:
    toy()(7)
    before = sources_digest("toy.kernel")
    monkeypatch.setattr(place, name, value)
    kernel = toy()
    assert (kernel(7), found(kernel)) == (14, False)
    assert sources_digest("toy.kernel") != before


def test_each_signature_is_a_file(toy: Toy, cache: Path) -> None:
    kernel = toy()
    assert (kernel(7), kernel(0.5), kernel(True)) == (14, 1.0, 2)
    assert len([path for path in cache.glob("*/*") if path.name.startswith("times-")]) == 3
    kernel = toy()
    assert (kernel(7), kernel(0.5), kernel(True)) == (14, 1.0, 2)
    assert (sum(kernel.stats.cache_hits.values()), sum(kernel.stats.cache_misses.values())) == (3, 0)


@pytest.mark.parametrize(
    "damage",
    [
        lambda content: b"",
        lambda content: content[:20],
        lambda content: content[: len(content) // 2],
        lambda content: content[:-1],
        lambda content: content[:-1] + bytes([content[-1] ^ 1]),
        lambda content: bytes(len(content)),
        lambda content: content + b"\0",
    ],
)
def test_a_damaged_file_is_compiled_anew(toy: Toy, cache: Path, damage: Callable[[bytes], bytes]) -> None:
    toy()(7)
    (path,) = cache.glob("*/*")
    path.write_bytes(damage(path.read_bytes()))
    for kept in (False, True):
        kernel = toy()
        assert (kernel(7), found(kernel)) == (14, kept)


def test_another_kernels_file_is_not_taken(toy: Toy, cache: Path) -> None:
    kernel = toy()
    assert [kernel(x) for x in (7, 0.5)] == [14, 1.0]
    one, other = cache.glob("*/*")
    one.write_bytes(other.read_bytes())
    kernel = toy()
    assert (kernel(7), kernel(0.5)) == (14, 1.0)
    assert (sum(kernel.stats.cache_hits.values()), sum(kernel.stats.cache_misses.values())) == (1, 1)


def test_a_folder_in_the_place_of_a_kernel_is_said(toy: Toy, cache: Path) -> None:
    toy()(7)
    (path,) = cache.glob("*/*")
    path.unlink()
    path.mkdir()
    with pytest.warns(RuntimeWarning, match="it is a folder"):
        assert toy()(7) == 14


def test_where_nothing_can_be_kept_kernels_run_all_the_same(toy: Toy, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(config, "CACHE_DIR", "/proc/nowhere")
    kernel = toy()
    with pytest.warns(RuntimeWarning, match=r"cannot be kept \(.*/proc/nowhere.*; set NUMBA_CACHE_DIR") as caught:
        assert [kernel(x) for x in (7, 0.5)] == [14, 1.0]
    assert len(caught) == 1
    assert "\n" not in str(caught[0].message)


def test_kernels_that_can_only_be_read_are_used(toy: Toy, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError(13, "Permission denied")

    toy()(7)
    monkeypatch.setattr(os, "utime", refuse)  # as on a file system that is mounted to be read
    kernel = toy()
    assert (kernel(7), found(kernel)) == (14, True)


def test_folders_go_when_nobody_used_them_for_long(toy: Toy, cache: Path) -> None:
    toy(factor=2)(7)
    (two,) = cache.iterdir()
    toy(factor=3)(7)
    (three,) = set(cache.iterdir()) - {two}
    (cache / "of the user").mkdir()
    long_ago = time.time() - kernel_cache.KEPT - 60
    for path in cache.iterdir():
        os.utime(path, (long_ago, long_ago))
    toy(factor=2)(7)  # is found, and so used
    toy(factor=4)(7)  # is compiled
    assert two.is_dir()
    assert (cache / "of the user").is_dir()
    assert not three.exists()


def test_a_kernel_can_be_forgotten(toy: Toy, cache: Path) -> None:
    kernel = toy()
    kernel(7)
    kernel.recompile()
    assert len([*cache.glob("*/*")]) == 1
    assert kernel.stats.cache_path == str(next(cache.iterdir()))
    kernel._cache.flush()
    assert [*cache.glob("*/*")] == []


def test_functions_that_are_in_no_source_are_not_kept(cache: Path) -> None:
    names: dict[str, Any] = {"compiled": compiled, "__name__": "spikebayes.machine.kernel_cache"}
    exec("@compiled()\ndef twice(x): return 2 * x", names)
    assert names["twice"](21) == 42
    assert names["twice"].stats.cache_path is None
    assert not cache.exists()


def test_variables_of_an_enclosing_function_are_refused() -> None:
    factor = 2
    with pytest.raises(ValueError, match="uses factor of an enclosing function"):

        @compiled()
        def times(x: float) -> float:
            return factor * x


def test_no_kernel_is_left_to_numbas_own_cache() -> None:
    root = Path(str(spikebayes.__file__)).parent
    assert [path for path in root.rglob("*.py") if "cache=True" in path.read_text()] == []


BITS = """
import hashlib, sys, torch
from spikebayes.network.neurons import Curve
from spikebayes.network.noise import Dropout
from spikebayes.noise import bits, stochastic_units
from spikebayes.noise.keys import Keys

x, keys = torch.zeros(2, 1000), Keys(7, torch.arange(2), torch.arange(2))
fired = stochastic_units.fired(x, Curve.ERF, 0, keys)
drawn = bits.drop(x + 1, Dropout(0.5, site=0), keys), fired
kernels = bits._drop, bits.fill_row, stochastic_units._fire
misses = sum(sum(kernel.stats.cache_misses.values()) for kernel in kernels)
print(misses, *(hashlib.sha256(d.float().numpy().tobytes()).hexdigest() for d in drawn))
"""


def python(script: str, **environment: str) -> subprocess.Popen[str]:
    """A fresh Python, with some variables of the environment set, or unset where they are empty."""
    whole = {key: value for key, value in {**os.environ, **environment}.items() if value}
    return subprocess.Popen(
        [sys.executable, "-c", script], env=whole, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


@pytest.mark.slow
def test_bits_follow_the_generators_source(tmp_path: Path) -> None:
    """In a copy of the package a constant of Philox is changed, and changed back, over one folder of kernels.

    Two of its callers are kernels in other files, by way of a function and of vector instructions. The first two
    processes compile at once.
    """
    shutil.copytree(Path(str(spikebayes.__file__)).parent, tmp_path / "spikebayes", ignore=lambda *_: ["__pycache__"])
    environment = {"PYTHONPATH": str(tmp_path), "NUMBA_CACHE_DIR": str(tmp_path / "cache")}
    philox = tmp_path / "spikebayes" / "noise" / "philox.py"
    text = philox.read_text()
    assert text.count("0x9E3779B9") == 2

    def drawn(processes: int = 1) -> list[list[str]]:
        said = [p.communicate(timeout=300) for p in [python(BITS, **environment) for _ in range(processes)]]
        assert {errors for _, errors in said} <= {"", f"{WORDS}\n"}
        return [words.split() for words, _ in said]

    first, second = drawn(2)
    assert first[1:] == second[1:]
    philox.write_text(text.replace("0x9E3779B9", "0x9E3779BB"))
    ((misses, *changed),) = drawn()
    assert int(misses) > 0
    assert changed[0] != first[1]
    assert changed[1] != first[2]
    philox.write_text(text)
    assert drawn() == [["0", *first[1:]]]


PREDICTS = """
import torch
import spikebayes as sb
from spikebayes.nn.zoo import mlp

model = mlp(3, 1, (8,))
print(sb.predict(model, torch.zeros(2, 3), samples=2).samples.shape)
"""


@pytest.mark.slow
def test_without_a_home_it_predicts_and_warns_once() -> None:
    environment = {"HOME": "/proc/nohome", "XDG_CACHE_HOME": "", "NUMBA_CACHE_DIR": ""}
    words, errors = python(PREDICTS, **environment).communicate(timeout=300)
    assert words == "torch.Size([2, 2, 1])\n"
    (line,) = (line for line in errors.splitlines() if line != WORDS)
    assert line.startswith("<spikebayes>:1: RuntimeWarning: compiled kernels cannot be kept (")
    assert line.endswith("set NUMBA_CACHE_DIR to a folder that can be written")


SAYS = """
from spikebayes.machine import compiling
compiling.PATIENCE = 0.0
import torch
from spikebayes.network.noise import Dropout
from spikebayes.noise import bits
from spikebayes.noise.keys import Keys

one = torch.zeros(1, dtype=torch.int64)
bits.drop(torch.ones(1, 8), Dropout(0.5, site=0), Keys(0, one, one))
"""


@pytest.mark.slow
def test_compiling_is_said_once_and_loading_is_not(tmp_path: Path) -> None:
    environment = {"NUMBA_CACHE_DIR": str(tmp_path)}
    assert [python(SAYS, **environment).communicate(timeout=300)[1] for _ in range(2)] == [f"{WORDS}\n", ""]


def test_what_others_compile_is_not_said(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compiling, "PATIENCE", 0.0)
    numba.njit(lambda x: x + 1)(1)
    assert capsys.readouterr().err == ""
