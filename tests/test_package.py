"""What is installed: the library alone, with all that it imports."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest
from hatchling.builders.sdist import SdistBuilder
from hatchling.builders.wheel import WheelBuilder

from spikebayes.machine.extras import EXTRAS, HOMES

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
            if isinstance(node, ast.Constant) and path.name != "extras.py":  # asked for by its name
                found |= {str(node.value).split(".")[0]} & HOMES.keys()
    return found - set(sys.stdlib_module_names) - HOUSE


def normal(name: str) -> str:
    """A distribution's name as PEP 503 compares it, without version and extras."""
    return re.sub(r"[-_.]+", "-", re.split(r"[\[<>=!~; ]", name)[0]).lower()


def declared(*extras: str) -> set[str]:
    """Distributions of the core and of some extras, those that the extras ask for themselves included."""
    found = {normal(line) for line in PROJECT["dependencies"]}
    for extra in extras:
        for line in PROJECT["optional-dependencies"][extra]:
            own = re.match(r"spikebayes\[([\w,]+)\]", line)
            found |= declared(*own[1].split(",")) if own else {normal(line)}
    return found


@pytest.mark.parametrize(
    ("folder", "extras"),
    [
        ("src", ["all"]),
        ("studies", ["studies", "chem", "bench", "sinabs"]),
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
    assert declared("all") - needed <= {"h5py", "dask"}  # which nir and distributed need
    assert "threadpoolctl" not in declared("all")


def test_every_package_of_an_extra_is_known_by_it() -> None:
    """So that where it is missing, the extra is named."""
    homes = packages_distributions()
    for extra, packages in EXTRAS.items():
        brought = declared(extra) - declared()
        assert {normal(homes.get(name, [name])[0]) for name in packages} <= brought | {"h5py"}, extra
    core = {"torch", "numpy", "scipy", "numba", "llvmlite", "safetensors", "rich", "tqdm"}
    assert imported(ROOT / "src") - core <= set(HOMES)


BLOCKED = """
import sys
class Missing:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in {packages!r}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)
sys.meta_path.insert(0, Missing())
{code}
"""

CORE = """
import torch, spikebayes as sb
from torch import nn
torch.manual_seed(0)
model = nn.Sequential(nn.Linear(4, 30), sb.nn.SoftLIF(gamma=1e-3), sb.nn.Permadrop(0.1), nn.Linear(30, 1))
x = torch.randn(20, 4)
network = sb.convert(model, x)
one, other = sb.predict(model, x, samples=20), sb.predict(network, x, samples=20, progress=True)
assert sb.compare(one, other).outcome in ("kept", "undecided")
assert sb.simulate(network, x, samples=2, probe=["spikes"]).spikes
assert sb.energy(network, x, samples=2).to_dict()
assert "20 rows" in other._repr_html_()
sb.save_network(sb.tune(network, model, x, error=0.1), "n")
"""

PARTS = {
    "table": "import spikebayes as sb; sb.data.read_table",
    "train": "import spikebayes as sb; sb.fit",
    "report": "import torch, spikebayes as sb; sb.plot.frontier([1, 2], [2, 1])",
    "cluster": "import spikebayes as sb; from spikebayes.prediction.cluster import connected\n"
    "with connected('local:1'): pass",
    "nir": "import spikebayes as sb; sb.export.from_nir('x.nir')",
    "xarray": "import torch, spikebayes as sb\n"
    "sb.Predictive(torch.zeros(2, 1, 1), sb.Draw(0, 'row', torch.arange(1))).to_xarray()",
}


def without(packages: tuple[str, ...], code: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """A program run where packages are missing."""
    program = BLOCKED.format(packages=packages, code=code)
    return subprocess.run([sys.executable, "-c", program], cwd=folder, capture_output=True, text=True, check=False)


@pytest.mark.slow
def test_the_core_alone_converts_predicts_and_judges(tmp_path: Path) -> None:
    done = without(tuple(HOMES), CORE, tmp_path)
    assert not done.returncode, done.stderr


@pytest.mark.slow
@pytest.mark.parametrize("extra", PARTS)
def test_a_missing_extra_says_its_name(extra: str, tmp_path: Path) -> None:
    done = without(EXTRAS[extra], PARTS[extra], tmp_path)
    assert f"pip install 'spikebayes[{extra}]'" in done.stderr.splitlines()[-1], done.stderr


@pytest.mark.slow
def test_the_command_line_without_its_extra_is_one_line(tmp_path: Path) -> None:
    done = without(EXTRAS["cli"], "from spikebayes.app.cli import entry; entry()", tmp_path)
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert "pip install 'spikebayes[cli]'" in done.stderr


def test_every_pinned_version_satisfies_what_is_declared() -> None:
    pins = dict(line.split("==") for line in (ROOT / "constraints.txt").read_text("utf-8").split())
    pinned = {normal(name) for name in pins}
    assert declared("bench", "test", "check") <= pinned


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
        *("src", "studies", "benchmarks", "fuzz", "tests", "docs", "results", "packaging"),
        *(
            "README.md",
            "CHANGELOG.md",
            "CITATION.cff",
            "CODE_OF_CONDUCT.md",
            "CONTRIBUTING.md",
            "SECURITY.md",
            "LICENSE",
            "Makefile",
            "constraints.txt",
            "pyproject.toml",
            "PKG-INFO",
            ".gitignore",
        ),
    }
    assert {"studies/wycoff2019/__main__.py", "benchmarks/__main__.py", "tests/test_package.py"} <= names
    assert not [name for name in names if "__pycache__" in name]


def test_pages_for_contributors_name_files_that_are_there() -> None:
    for page in (ROOT / "CONTRIBUTING.md", *(ROOT / "docs" / f"{page}.md" for page in ("architecture", "internals"))):
        for name in re.findall(r"`([\w./]+\.(?:py|md))`", page.read_text("utf-8")):
            homes = (ROOT, ROOT / "docs", ROOT / "src" / "spikebayes", *(ROOT / "src" / "spikebayes").iterdir())
            assert any((home / name).is_file() for home in homes), f"{page.name} names {name}"
