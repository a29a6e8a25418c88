"""Names that a package imports late: the right object, at the right time, whatever was imported before."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from spikebayes.machine import versions

INIT = """
from spikebayes.machine.lazy import import_late
import_late(__name__, {"slow": ["VALUE", "slow"]})
"""
SLOW = "VALUE = object()\ndef slow(): return 'the function'\n"


@pytest.fixture
def toy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A package with a slow module and a public function that are called alike."""
    (tmp_path / "toy_package").mkdir()
    (tmp_path / "toy_package" / "__init__.py").write_text(INIT)
    (tmp_path / "toy_package" / "slow.py").write_text(SLOW)
    monkeypatch.syspath_prepend(tmp_path)
    yield
    for name in ("toy_package", "toy_package.slow"):
        sys.modules.pop(name, None)


@pytest.mark.usefixtures("toy")
def test_a_module_waits_until_one_of_its_names_is_asked_for() -> None:
    import toy_package  # pyright: ignore[reportMissingImports]

    assert {"VALUE", "slow"} <= set(dir(toy_package))
    assert "toy_package.slow" not in sys.modules
    value = toy_package.VALUE
    assert sys.modules["toy_package.slow"].VALUE is value is toy_package.VALUE


@pytest.mark.usefixtures("toy")
@pytest.mark.parametrize("before", ["import toy_package", "import toy_package.slow", "from toy_package import VALUE"])
def test_a_function_is_not_replaced_by_the_module_of_its_name(before: str) -> None:
    exec(before)
    from toy_package import slow  # pyright: ignore[reportMissingImports]

    assert slow() == "the function"
    assert sys.modules["toy_package"].slow() == "the function"


@pytest.mark.usefixtures("toy")
def test_other_names_are_refused_as_python_does() -> None:
    import toy_package  # pyright: ignore[reportMissingImports]

    with pytest.raises(AttributeError, match="module 'toy_package' has no attribute 'fast'"):
        toy_package.fast  # noqa: B018
    with pytest.raises(ImportError, match="cannot import name 'fast'"):
        from toy_package import fast  # noqa: F401  # pyright: ignore


@pytest.mark.parametrize("package", ["spikebayes", "spikebayes.training", "spikebayes.data", "spikebayes.evaluate"])
@pytest.mark.slow
def test_what_is_slow_is_not_imported_with_the_package(package: str) -> None:
    code = f"import sys, {package}; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not {"lightning", "scipy.stats", "pandas", "sklearn", "matplotlib"} & set(done.stdout.split())


@pytest.mark.slow
def test_rooms_are_imported_when_they_are_asked_for() -> None:
    code = """
import sys, spikebayes as sb
assert "spikebayes.evaluate" not in sys.modules
assert sb.evaluate.rmse is sb.evaluate.row_scores.rmse
assert "evaluate" in dir(sb)
"""
    subprocess.run([sys.executable, "-c", code], check=True)


def test_versions_are_those_of_what_is_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(versions, "PACKAGES", ("torch", "no-such-package"))
    assert list(versions.versions()) == ["python", "torch"]
