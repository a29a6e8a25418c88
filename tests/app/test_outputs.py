"""Outputs never replace inputs, by whatever name they are given."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from spikebayes.app.cli import main
from spikebayes.app.run_folder import load_run
from verbs import BRIEF, content, fit


def as_it_is(path: Path) -> Path:
    return path


def by_another_way(path: Path) -> Path:
    return path.parent / "way" / ".." / path.name


def relative(path: Path) -> Path:
    return Path(os.path.relpath(path))


def by_a_link(path: Path) -> Path:
    link = path.with_name(f"link{path.suffix}")
    link.symlink_to(path)
    return link


def by_a_second_name(path: Path) -> Path:
    second = path.with_name(f"second{path.suffix}")
    second.hardlink_to(path)
    return second


NAMES = [as_it_is, by_another_way, relative, by_a_link, by_a_second_name]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("verb", ["predict", "compare", "energy"])
def test_a_table_is_not_replaced(
    name: Callable[[Path], Path], verb: str, here: Path, refused: Callable[..., str]
) -> None:
    (here / "way").mkdir()
    out = "--json" if verb == "energy" else "--out"
    refused(
        verb, "run", "--data", here / "t.csv", out, name(here / "t.csv"), says="an output never replaces an input"
    )


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("part", ["run.json", "run.safetensors", "fit.json"])
@pytest.mark.parametrize("verb", ["compare", "energy"])
def test_no_part_of_a_run_is_replaced(
    name: Callable[[Path], Path], part: str, verb: str, here: Path, refused: Callable[..., str]
) -> None:
    (here / "run" / "way").mkdir()
    out = "--json" if verb == "energy" else "--out"
    refused(verb, "run", "--data", "t.csv", out, name(here / "run" / part), says="it is an input")


def test_a_table_that_leads_into_the_run_does_not_replace_it(here: Path, refused: Callable[..., str]) -> None:
    (here / "p.csv").symlink_to(here / "run" / "run.safetensors")
    refused("predict", "run", "--data", "t.csv", "--out", "p.csv", says="it is an input")


def test_what_energy_writes_by_default_replaces_no_input(here: Path, refused: Callable[..., str]) -> None:
    assert main(["energy", "run", "--rows", "2", *BRIEF]) == 0
    assert main(["energy", "run", "--rows", "2", *BRIEF]) == 0  # its own file it may replace
    (here / "run" / "energy.json").unlink()
    learned = Path(load_run(here / "run").config["data"])
    (here / "run" / "energy.json").symlink_to(learned)
    refused("energy", "run", "--rows", "2", *BRIEF, says="it is an input")
    refused("energy", "run", "--data", learned, "--rows", "2", *BRIEF, says="it is an input")


@pytest.mark.parametrize("name", NAMES)
def test_a_file_of_options_is_not_replaced(
    name: Callable[[Path], Path], here: Path, refused: Callable[..., str]
) -> None:
    (here / "way").mkdir()
    (here / "c.csv").write_text("samples: 4\n")
    for verb in ("predict", "compare"):
        given = [verb, "run", "--data", "t.csv", "--config", "c.csv"]
        made = name(here / "c.csv")
        refused(*given, "--out", made, says="--out and --config are the same file")
        if made.name != "c.csv":
            made.unlink()


# -- a folder for a run --------------------------------------------------------------------------------------


def test_overwriting_replaces_a_run_and_nothing_else(here: Path) -> None:
    assert main(["energy", "run", "--rows", "2", *BRIEF]) == 0
    (here / "run" / ".run.0123456789abcdef.partial.json").write_text("a process was killed")
    before = content(here)
    assert main(fit(here, "--overwrite", "--seed", "1")) == 0
    assert load_run(here / "run").config["seed"] == 1
    assert content(here).keys() <= before.keys()
    assert not (here / "run" / "energy.json").exists()  # it was about the run before


def notes(run: Path) -> None:
    (run / "notes.txt").write_text("mine")


def a_folder(run: Path) -> None:
    (run / "old").mkdir()
    (run / "old" / "run.json").write_text("{}")


def checkpoints_of_another_program(run: Path) -> None:
    shutil.rmtree(run)
    (run / "checkpoints").mkdir(parents=True)
    (run / "checkpoints" / "last.ckpt").write_text("theirs")


def more_than_checkpoints(run: Path) -> None:
    (run / "checkpoints").mkdir()
    (run / "checkpoints" / "measured.npy").write_text("theirs")


def checkpoints_elsewhere(run: Path) -> None:
    (run.parent / "elsewhere").mkdir()
    (run.parent / "elsewhere" / "last.ckpt").write_text("theirs")
    (run / "checkpoints").symlink_to(run.parent / "elsewhere")


def a_description_of_something_else(run: Path) -> None:
    (run / "run.json").write_text(json.dumps({"format": "my.run/1"}))


def a_run_that_lies_elsewhere(run: Path) -> None:
    (run / "run.json").rename(run.parent / "kept.json")
    (run / "run.json").symlink_to(run.parent / "kept.json")


@pytest.mark.parametrize(
    ("put", "named"),
    [
        (notes, "'notes.txt'"),
        (a_folder, "'old'"),
        (checkpoints_of_another_program, "'checkpoints'"),
        (more_than_checkpoints, "'checkpoints'"),
        (checkpoints_elsewhere, "'checkpoints'"),
        (a_description_of_something_else, "'run.json'"),
        (a_run_that_lies_elsewhere, "'run.json'"),
    ],
)
def test_a_foreign_folder_is_not_overwritten(
    put: Callable[[Path], None], named: str, here: Path, refused: Callable[..., str]
) -> None:
    put(here / "run")
    said = refused(*fit(here, "--overwrite"), says="holds files that no fit wrote")
    assert named in said


@pytest.mark.parametrize("part", ["run.safetensors", "fit.json"])
def test_a_foreign_file_is_not_replaced_by_a_new_run(part: str, here: Path, refused: Callable[..., str]) -> None:
    shutil.rmtree(here / "run")
    (here / "run").mkdir()
    (here / "run" / part).write_text("theirs")
    refused(*fit(here), says=f"holds files that no fit wrote: '{part}'")


def test_a_run_may_be_made_beside_other_files(here: Path) -> None:
    assert main([*fit(here)[:3], "--out", str(here), *fit(here)[5:]]) == 0
    assert {"t.csv", "run", "run.json", "run.safetensors", "fit.json"} == {p.name for p in here.iterdir()}


def test_a_demo_keeps_to_its_own_folder(here: Path, refused: Callable[..., str]) -> None:
    refused("demo", "--out", "run", says="holds files that no demo wrote: 'fit.json'")
    refused("demo", "--out", here, says="'run'")


@pytest.mark.parametrize(
    ("verb", "out"), [("predict", "--out"), ("compare", "--out"), ("score", "--json"), ("energy", "--json")]
)
def test_the_table_of_the_training_is_not_replaced_by_what_another_gives(
    verb: str, out: str, here: Path, refused: Callable[..., str]
) -> None:
    learned = Path(load_run(here / "run").config["data"])
    (here / "other.csv").write_bytes(learned.read_bytes())
    if verb == "predict":
        (here / "link.csv").symlink_to(learned)
    refused(verb, "run", "--data", "other.csv", out, "link.csv" if verb == "predict" else learned, says="is an input")
