"""Sphinx's settings of the documentation site: ``make docs``."""

from __future__ import annotations

import os
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

from sphinx.pycode import ModuleAnalyzer

from spikebayes import __version__

sys.path.insert(0, str(Path(__file__).parent))

from front_figures import figures_of

project = "spikebayes"
author = "The spikebayes authors"
copyright = f"2026, {author}"
version = release = __version__

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.mathjax",
    "sphinx.ext.napoleon",
    "sphinx_design",
    "sphinx_gallery.gen_gallery",
]
source_suffix = {".md": "markdown", ".rst": "restructuredtext"}
exclude_patterns = ["_build", "examples", "README.md", "tutorials/**.ipynb", "tutorials/**.py", "tutorials/**.json"]
templates_path = ["_templates"]

myst_enable_extensions = ["colon_fence", "dollarmath", "fieldlist"]
myst_heading_anchors = 3
myst_enable_extensions += ["substitution"]
myst_substitutions = figures_of(Path(__file__).parents[1] / "results")
suppress_warnings = ["myst.header"]  # pages that commands write have their own levels

autodoc_typehints = "signature"
autodoc_typehints_format = "short"
autodoc_member_order = "bysource"
autodoc_preserve_defaults = True
autosummary_generate = True
autosummary_imported_members = True
autosummary_ignore_module_all = False
napoleon_numpy_docstring = False
napoleon_use_rtype = False
napoleon_use_param = False
napoleon_use_ivar = True
napoleon_custom_sections = [
    ("Shape", "notes_style"),
    ("Reference", "notes_style"),
    ("Warns", "returns_style"),
    ("Profiles", "notes_style"),
]
python_use_unqualified_type_names = True

sphinx_gallery_conf = {
    "examples_dirs": "examples",
    "gallery_dirs": "tutorials",
    "filename_pattern": os.environ.get("SPIKEBAYES_TUTORIALS", r"/\d\d_"),
    "within_subsection_order": "FileNameSortKey",
    "download_all_examples": False,
    "remove_config_comments": True,
    "show_signature": False,
    "abort_on_example_error": True,
    "matplotlib_animations": False,
    "min_reported_time": 60,
}

html_theme = "pydata_sphinx_theme"
html_title = "spikebayes"
html_show_sourcelink = False
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_theme_options = {
    "navbar_align": "left",
    "show_toc_level": 2,
    "navigation_with_keys": True,
    "show_prev_next": True,
    "footer_start": ["copyright"],
    "footer_end": [],
    "secondary_sidebar_items": ["page-toc"],
    "pygments_light_style": "a11y-high-contrast-light",
    "pygments_dark_style": "a11y-high-contrast-dark",
}
html_context = {"default_mode": "auto"}

PUBLIC = (
    "",
    "nn",
    "nn.zoo",
    "training",
    "data",
    "data.combo",
    "evaluate",
    "export",
    "network",
    "network.operators",
    "sklearn",
    "plot",
)


def _write_reference(folder: Path) -> None:
    """A page for each public package: what it names and no package around it has."""
    folder.mkdir(exist_ok=True)
    for package in PUBLIC:
        full = "spikebayes" + (f".{package}" if package else "")
        module = import_module(full)
        inside = {name.removeprefix(f"{package}.") for name in PUBLIC}
        names = sorted((name for name in module.__all__ if name not in inside), key=str.lower)
        above = {name: home for name in names if (home := _home_above(full, name)) is not None}
        own = [name for name in names if name not in above]
        constants = [name for name in own if not callable(getattr(module, name)) and not _is_package(module, name)]
        listed = "\n".join(f"   {name}" for name in own if name not in constants)
        text = [f"# {full}", f".. automodule:: {full}\n   :no-members:", f".. currentmodule:: {full}"]
        text += [f".. autosummary::\n   :toctree: generated\n\n{listed}"]
        text += [f".. py:data:: {name}\n\n   {_said(module, name)}" for name in constants]
        if above:
            there = ", ".join(f":py:obj:`~{home}.{name}`" for name, home in above.items())
            text.append(f"Of packages around this one, and here as well: {there}.")
        body = "\n\n".join(text[1:])
        page = folder / f"{full}.md"
        content = f"{text[0]}\n\n```{{eval-rst}}\n{body}\n```\n"
        if not page.exists() or page.read_text("utf-8") != content:
            page.write_text(content, encoding="utf-8")


def _home_above(full: str, name: str) -> str | None:
    """The outermost package around a package that has the same object by this name."""
    parts = full.split(".")
    around = (".".join(parts[:depth]) for depth in range(1, len(parts)))
    same = getattr(import_module(full), name)
    return next((home for home in around if getattr(import_module(home), name, None) is same), None)


def _is_package(module: Any, name: str) -> bool:
    return isinstance(getattr(module, name), type(module)) or hasattr(getattr(module, name), "__path__")


def _said(module: Any, name: str) -> str:
    """What the comment above a constant says of it."""
    home = vars(module).get("_homes", {}).get(name, module.__name__)
    comments = ModuleAnalyzer.for_module(home).find_attr_docs()
    return " ".join(comments.get(("", name), ["A constant."])).strip()


def _skipped(_app: Any, _what: str, name: str, _obj: Any, skip: bool, _options: Any) -> bool:
    """Methods that scikit-learn puts into every estimator, whose docstrings refer to its own site."""
    return skip or (name.startswith("set_") and name.endswith("_request"))


def _bars(_app: Any, _what: str, _name: str, _obj: Any, _options: Any, lines: list[str]) -> None:
    """Bars are magnitudes in these docstrings, as in ``|w|``, not reStructuredText's substitutions."""
    example = False
    for k, line in enumerate(lines):
        example = bool(line.strip()) and (example or line.lstrip().startswith(">>>"))
        if not example:
            parts = line.split("``")
            parts[::2] = [part.replace("|", r"\|") for part in parts[::2]]
            lines[k] = "``".join(parts)


def setup(app: Any) -> None:
    """Called by Sphinx."""
    app.connect("autodoc-process-docstring", _bars, priority=400)
    app.connect("autodoc-skip-member", _skipped)


_write_reference(Path(__file__).parent / "reference")
