"""The floor plan: what each room shows, and that everyone outside uses that and nothing else.

Which room imports which is ``lint-imports``' part (pyproject.toml, ``make check``).
"""

from __future__ import annotations

import ast
import inspect
import re
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from types import ModuleType

import pytest

from public_face import PACKAGES

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "src" / "spikebayes"
GUIDE = [ROOT / "README.md", *sorted((ROOT / "docs" / "guide").glob("*.md"))]
WITHOUT_PYTHON = {"index", "tables", "serving"}
HOUSE = ("spikebayes", "studies", "benchmarks")
FACES = (
    "spikebayes",
    "spikebayes.data",
    "spikebayes.data.combo",
    "spikebayes.evaluate",
    "spikebayes.export",
    "spikebayes.network",
    "spikebayes.network.operators",
    "spikebayes.nn",
    "spikebayes.nn.zoo",
    "spikebayes.plot",
    "spikebayes.sklearn",
    "spikebayes.training",
)
OUTWARD = {"export", "plot", "sklearn"}  # rooms that only say in another library's terms what the others say
# Modules without a public face that files outside the package use all the same, and why.
EXCEPTIONS = {
    "studies": {
        "spikebayes.app.cli": "a study of what users type types it",
        "spikebayes.app.options": "options, messages and exit codes of a study are those of the command line",
        "spikebayes.app.report.figures": "the papers' figures are those of the report",
        "spikebayes.app.report.svg": "the papers' figures look like those of the report",
        "spikebayes.plot.style": "and have its colours",
        "spikebayes.machine.files": "results and pages are written whole or not at all, as the library's files are",
    },
    "benchmarks": {
        "spikebayes.app.run_folder": "a server is timed beside what its run predicts in process",
        "spikebayes.engine.contract": "an engine is timed without simulate() around it",
        "spikebayes.engine.cpu": "the loops of the roofline use the engine's own instructions",
        "spikebayes.engine.select": "an engine is timed without simulate() around it",
        "spikebayes.machine.files": "what is trained for a bench is written whole or not at all",
        "spikebayes.machine.kernel_cache": "loops of the limit are compiled, and kept, as the engine's are",
        "spikebayes.machine.llvm": "the loops of the roofline are as wide as the machine's vectors",
        "spikebayes.noise.bits": "random bits of a synapse, for the limit",
        "spikebayes.noise.blank_out": "the limit of masked additions uses the engine's own loop",
        "spikebayes.noise.blank_out_sums": "the limit of masked additions uses the engine's own loop",
        "spikebayes.noise.keys": "an engine is timed without simulate() around it",
        "spikebayes.noise.philox_simd": "the limit of drawing uses the engine's own generator",
    },
}


def trees(*folders: Path) -> Iterator[tuple[Path, ast.Module]]:
    for folder in folders:
        for path in sorted(folder.rglob("*.py")):
            yield path, ast.parse(path.read_text("utf-8"))


def module_name(path: Path) -> str:
    parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


# -- the rooms ---------------------------------------------------------------------------------------------


def test_the_house_is_no_wider_and_no_deeper_than_a_newcomer_can_take_in() -> None:
    folders = {p.parent for p in PACKAGE.rglob("*.py")} - {PACKAGE}
    top = {folder for folder in folders if folder.parent == PACKAGE}
    assert len({folder.name for folder in top} - OUTWARD) <= 12
    assert max(len(folder.relative_to(PACKAGE).parts) for folder in folders) <= 3
    assert {p.name for p in PACKAGE.iterdir() if p.is_file()} == {
        "__init__.py",
        "__main__.py",
        "errors.py",
        "py.typed",
    }
    assert all((folder / "__init__.py").is_file() for folder in folders)


def test_what_is_public_is_written_down_of_every_face() -> None:
    assert sorted(f"spikebayes.{package}".rstrip(".") for package in PACKAGES) == sorted(FACES)


@pytest.mark.parametrize("name", FACES)
def test_a_face_has_what_it_names(name: str) -> None:
    face = import_module(name)
    assert inspect.getdoc(face)
    assert sorted(set(face.__all__)) == sorted(face.__all__)
    for public in face.__all__:
        assert not public.startswith("_")
        found = getattr(face, public)
        documented = not (inspect.isclass(found) or inspect.isfunction(found)) or inspect.getdoc(found)
        assert documented, f"{name}.{public} has no docstring"
        if isinstance(found, ModuleType):
            assert found.__name__ == f"{name}.{public}"  # a room, and no module that hides a function of its name
            assert found.__name__ in FACES
    assert set(face.__all__) <= set(dir(face))


@pytest.mark.parametrize("name", [n for n in FACES if n != "spikebayes.nn.zoo"])
def test_what_type_checkers_see_is_what_is_imported_late(name: str) -> None:
    face = import_module(name)
    (tree,) = [t for p, t in trees(PACKAGE) if module_name(p) == name and p.name == "__init__.py"]
    blocks = [n for n in tree.body if isinstance(n, ast.If)]
    seen = {
        (a.name, n.module) for block in blocks for n in block.body if isinstance(n, ast.ImportFrom) for a in n.names
    }
    late = set(vars(face).get("_homes", {}).items()) | {(room, name) for room in vars(face).get("_rooms", ())}
    assert seen == late


def test_rooms_without_a_face_say_what_they_are_and_show_nothing() -> None:
    for path, tree in trees(PACKAGE):
        if path.name == "__init__.py" and module_name(path) not in FACES:
            assert len(tree.body) == 1, path
            text = ast.get_docstring(tree) or ""
            assert text.endswith("."), path
            assert "\n" not in text, path


# -- who uses what -----------------------------------------------------------------------------------------


def violations(tree: ast.Module, allowed: dict[str, str]) -> Iterator[str]:
    """What a file outside the package takes from inside it although no face shows it."""
    names: dict[str, str] = {}  # of faces, by the name that the file gives them
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                if alias.name.split(".")[0] == "spikebayes":
                    if alias.name not in FACES:
                        yield f"import {alias.name}"
                    names[alias.asname or "spikebayes"] = alias.name if alias.asname else "spikebayes"
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "spikebayes":
            home = node.module or ""
            for alias in node.names:
                if home in FACES and alias.name in import_module(home).__all__:
                    if f"{home}.{alias.name}" in FACES:
                        names[alias.asname or alias.name] = f"{home}.{alias.name}"
                elif home not in allowed:
                    yield f"from {home} import {alias.name}"
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute):
            home = face_of(node.value, names)
            if home and not node.attr.startswith("__") and node.attr not in import_module(home).__all__:
                yield f"{home}.{node.attr}"


def face_of(node: ast.expr, names: dict[str, str]) -> str | None:
    """The face that an expression as ``sb.nn`` is."""
    if isinstance(node, ast.Name):
        return names.get(node.id)
    if isinstance(node, ast.Attribute) and (home := face_of(node.value, names)):
        return f"{home}.{node.attr}" if f"{home}.{node.attr}" in FACES else None
    return None


@pytest.mark.parametrize("folder", ["studies", "benchmarks"])
def test_studies_and_benchmarks_use_public_names(folder: str) -> None:
    found = {
        f"{path.relative_to(ROOT)}: {what}"
        for path, tree in trees(ROOT / folder)
        for what in violations(tree, EXCEPTIONS[folder])
    }
    assert not found


@pytest.mark.parametrize("folder", ["studies", "benchmarks"])
def test_no_exception_is_left_that_nobody_needs(folder: str) -> None:
    used = {n.module for _, t in trees(ROOT / folder) for n in ast.walk(t) if isinstance(n, ast.ImportFrom)}
    assert set(EXCEPTIONS[folder]) <= used


@pytest.mark.parametrize("page", GUIDE, ids=lambda page: page.stem)
def test_readme_and_guide_use_public_names(page: Path) -> None:
    blocks = re.findall(r"```python\n(.*?)```", page.read_text("utf-8"), re.DOTALL)
    assert blocks or page.stem in WITHOUT_PYTHON
    code = "\n".join(line[4:] for block in blocks for line in block.splitlines() if line.startswith((">>> ", "... ")))
    assert not list(violations(ast.parse(code), {}))


def test_every_block_of_python_in_the_guide_runs_as_a_doctest() -> None:
    for page in GUIDE:
        for block in re.findall(r"```python\n(.*?)```", page.read_text("utf-8"), re.DOTALL):
            assert block.startswith(">>> "), page.name


@pytest.mark.parametrize(
    ("code", "found"),
    [
        ("import spikebayes as sb\nsb.nn.zoo.mlp(2, 1)", []),
        ("from spikebayes.nn import zoo\nzoo.check_widths(1, 2, [])", ["spikebayes.nn.zoo.check_widths"]),
        ("import spikebayes as sb\nsb.nn.softlif", ["spikebayes.nn.softlif"]),
        ("import spikebayes as sb\nsb.engine", ["spikebayes.engine"]),
        ("from spikebayes.nn.softlif import SoftLIF", ["from spikebayes.nn.softlif import SoftLIF"]),
        ("from spikebayes import engine", ["from spikebayes import engine"]),
        ("import spikebayes.engine.select", ["import spikebayes.engine.select"]),
        ("from spikebayes.engine.select import select", []),  # an exception, below
    ],
)
def test_the_check_itself(code: str, found: list[str]) -> None:
    assert list(violations(ast.parse(code), {"spikebayes.engine.select": "to test the test"})) == found


def test_nothing_private_crosses_files() -> None:
    """A name with a leading underscore is used in the file that defines it, in the package and outside."""
    found = []
    for path, tree in trees(PACKAGE, ROOT / "studies", ROOT / "benchmarks"):
        modules = {}
        for node in ast.walk(tree):
            if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] in HOUSE:
                for alias in node.names:
                    if alias.name.startswith("_"):
                        found.append(f"{path.relative_to(ROOT)}: from {node.module} import {alias.name}")
                    modules[alias.asname or alias.name] = alias.name
            if isinstance(node, ast.Import):
                modules |= {a.asname or a.name: a.name for a in node.names if a.name.split(".")[0] in HOUSE}
        found += [
            f"{path.relative_to(ROOT)}: {ast.unparse(node)}"
            for node in ast.walk(tree)
            if isinstance(node, ast.Attribute)
            and re.match(r"_[^_]", node.attr)
            and isinstance(node.value, ast.Name)
            and node.value.id in modules
        ]
    assert not found
