"""The documentation site, as far as it is not built: its figures, its pages, its tutorials."""

from __future__ import annotations

import ast
import importlib.util
import re
from pathlib import Path

import pytest

import told_by_results as say
from public_face import PACKAGES

DOCS = Path(__file__).parents[1] / "docs"
RESULTS = DOCS.parent / "results"
TUTORIALS = sorted((DOCS / "examples").glob("*.py"))


def figures() -> dict[str, str]:
    spec = importlib.util.spec_from_file_location("front_figures", DOCS / "front_figures.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.figures_of(RESULTS)


def test_every_figure_of_the_front_page_is_in_the_results() -> None:
    made = figures()
    told = set(re.findall(r"\{\{ (\w+) \}\}", (DOCS / "index.md").read_text("utf-8")))
    assert told
    assert told <= made.keys()
    assert made["paired_kept"] == say.kept("paired_kept")
    assert made["error"] == say.apart()
    assert (made["cheapest"], made["dearest"], made["tuned"]) == (*say.price(), say.front_price())
    assert (made["windows_wide"], made["windows_narrow"], made["rates"]) == say.front_joules()
    assert (made["times_spikingjelly"], made["times_nengo"]) == tuple(
        map(say.times_as_fast, ("spikingjelly", "nengo"))
    )
    assert (made["weights"], made["figure_rows"]) == (say.million_weights(), say.pairs_drawn())
    assert (made["figure_samples"], made["figure_code"]) == (say.samples_drawn()[0], say.code_drawn())


def test_every_page_stands_in_a_table_of_contents() -> None:
    made = [DOCS / "tutorials", DOCS / "_build", DOCS / "reference" / "generated"]  # by the site's build
    written = [page for page in DOCS.rglob("*.md") if not set(made) & set(page.parents)]
    pages = {page for page in written if page.parent != DOCS / "reference" or page.stem == "index"}
    listed = {DOCS / "index.md"}
    for page in pages:
        for block in re.findall(r"```\{toctree\}\n(.*?)```", page.read_text("utf-8"), re.DOTALL):
            names = [line.strip() for line in block.splitlines() if line.strip() and not line.startswith(":")]
            listed |= {page.parent / f"{name}.md" for name in names}
    assert DOCS / "guide" / "lif.md" in pages
    assert pages <= listed


def test_the_reference_has_a_page_for_every_public_package() -> None:
    listed = re.findall(r"(?m)^spikebayes.*$", (DOCS / "reference" / "index.md").read_text("utf-8"))
    tree = ast.parse((DOCS / "conf.py").read_text("utf-8"))
    (made,) = (
        ast.literal_eval(node.value)
        for node in tree.body
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "PUBLIC"
    )
    assert sorted(made) == sorted(PACKAGES)
    assert sorted(listed) == sorted(f"spikebayes.{package}".rstrip(".") for package in PACKAGES)


def test_the_front_pages_show_the_same_ten_lines() -> None:
    (block,) = re.findall(r"```python\n(.*?)```", (DOCS.parent / "README.md").read_text("utf-8"), re.DOTALL)
    lines = [line[4:] for line in block.splitlines() if line.startswith(">>> ")]
    assert len(lines) == 10
    (shown,) = re.findall(r"```python\n(.*?)```", (DOCS / "index.md").read_text("utf-8"), re.DOTALL)
    assert [line for line in shown.splitlines() if line] == lines


@pytest.mark.parametrize("path", TUTORIALS, ids=lambda path: path.stem)
def test_a_tutorial_begins_with_its_title_and_uses_public_names_alone(path: Path) -> None:
    tree = ast.parse(path.read_text("utf-8"))
    title, line, *_ = (ast.get_docstring(tree) or "").splitlines()
    assert set(line) == {"="}
    assert len(line) >= len(title)
    private = [
        n.module for n in ast.walk(tree) if isinstance(n, ast.ImportFrom) and (n.module or "")[:10] == "spikebayes"
    ]
    assert not private
