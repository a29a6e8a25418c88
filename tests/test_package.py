"""What is installed: the library alone, with all that it imports."""

from __future__ import annotations

import ast
import re
import sys
import tarfile
import tomllib
import zipfile
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest
from hatchling.builders.sdist import SdistBuilder
from hatchling.builders.wheel import WheelBuilder

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
HOUSE = {"spikebayes", "studies", "benchmarks"}


def imported(folder: Path) -> set[str]:
    """Top names of the third-party packages that a folder's files import, wherever in the file they do."""
    found = set()
    for path in folder.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Import):
                found |= {alias.name.split(".")[0] for alias in node.names}
            if isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
                found.add(node.module.split(".")[0])
    return found - set(sys.stdlib_module_names) - HOUSE


def normal(name: str) -> str:
    """A distribution's name as PEP 503 compares it, without version and extras."""
    return re.sub(r"[-_.]+", "-", re.split(r"[\[<>=!~; ]", name)[0]).lower()


def declared(*extras: str) -> set[str]:
    optional = PROJECT["optional-dependencies"]
    return {normal(line) for part in (PROJECT["dependencies"], *(optional[e] for e in extras)) for line in part}


@pytest.mark.parametrize(
    ("folder", "extras"),
    [
        ("src", ["chem", "cluster", "serve", "xarray"]),
        ("studies", ["chem", "bench"]),
        ("benchmarks", ["bench", "sinabs"]),
    ],
)
def test_what_is_imported_is_declared(folder: str, extras: list[str]) -> None:
    homes = packages_distributions()
    names = imported(ROOT / folder)
    assert "torch" in names
    # a package that is not installed here (other simulators) is taken to be called as it is imported
    missing = {name for name in names if not {normal(d) for d in homes.get(name, [name])} & declared(*extras)}
    assert not missing


@pytest.mark.slow
def test_what_only_benchmarks_need_is_not_installed_with_the_library() -> None:
    homes = packages_distributions()
    needed = {normal(d) for name in imported(ROOT / "src") for d in homes.get(name, [name])}
    assert declared() - needed <= {"pyarrow"}  # pandas reads Parquet with it
    assert "threadpoolctl" not in declared()


def test_every_pinned_version_satisfies_what_is_declared() -> None:
    pins = dict(line.split("==") for line in (ROOT / "constraints.txt").read_text("utf-8").split())
    pinned = {normal(name) for name in pins}
    assert declared("chem", "bench", "test", "check") <= pinned


def test_the_wheel_is_the_library_alone(tmp_path: Path) -> None:
    (wheel,) = WheelBuilder(str(ROOT)).build(directory=str(tmp_path), versions=["standard"])
    names = zipfile.ZipFile(wheel).namelist()
    assert {name.split("/")[0] for name in names} == {"spikebayes", f"spikebayes-{PROJECT['version']}.dist-info"}
    here = ROOT / "src"
    files = {p.relative_to(here).as_posix() for p in (here / "spikebayes").rglob("*") if p.is_file()}
    assert {n for n in names if n.startswith("spikebayes/")} == {f for f in files if "__pycache__" not in f}
    assert {"spikebayes/py.typed", "spikebayes/app/report/template.html", "spikebayes/data/uci_sha256.json"} <= set(
        names
    )
    assert Path(wheel).stat().st_size < 1_000_000


def test_the_source_archive_holds_the_repository(tmp_path: Path) -> None:
    (archive,) = SdistBuilder(str(ROOT)).build(directory=str(tmp_path), versions=["standard"])
    with tarfile.open(archive) as opened:
        names = {name.split("/", 1)[1] for name in opened.getnames() if "/" in name}
    assert {name.split("/")[0] for name in names} == {
        *("src", "studies", "benchmarks", "fuzz", "tests", "docs", "results"),
        *("README.md", "LICENSE", "Makefile", "constraints.txt", "pyproject.toml", "PKG-INFO", ".gitignore"),
    }
    assert {"studies/wycoff2019/__main__.py", "benchmarks/__main__.py", "tests/test_package.py"} <= names
    assert not [name for name in names if "__pycache__" in name]


def test_pages_for_contributors_name_files_that_are_there() -> None:
    for page in (ROOT / "CONTRIBUTING.md", ROOT / "docs" / "architecture.md"):
        for name in re.findall(r"`([\w./]+\.(?:py|md))`", page.read_text("utf-8")):
            homes = (ROOT, ROOT / "docs", ROOT / "src" / "spikebayes", *(ROOT / "src" / "spikebayes").iterdir())
            assert any((home / name).is_file() for home in homes), f"{page.name} names {name}"
