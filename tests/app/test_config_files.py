"""Options from a file: text that the option's type reads, and what --print-config prints."""

from __future__ import annotations

import inspect
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from spikebayes.app.cli import main
from spikebayes.app.options import Secret
from spikebayes.app.verbs import VERBS, program

NEEDED = {"run": "run", "data": "t.csv", "out": "o.csv", "target": "y"}
CHOICES = ("row", "pass", "windows", "constant", "s2m", "classification")
TRAP = "no"  # YAML's false


def printed(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """What --print-config prints."""
    capsys.readouterr()
    assert main([*arguments, "--print-config"]) == 0, capsys.readouterr().err
    return capsys.readouterr().out


def read(capsys: pytest.CaptureFixture[str], verb: str, text: str) -> dict[str, Any]:
    """The options that a file of this text gives, and what it needs besides."""
    Path("c.yaml").write_text(text, "utf-8")
    names = [name for name in NEEDED if name in inspect.signature(VERBS[verb]).parameters]
    given = [f"--{name}={NEEDED[name]}" for name in names if not text.startswith(f"{name}:")]
    return yaml.safe_load(printed(capsys, verb, *given, "--config", "c.yaml"))


def values(verb: str) -> dict[str, str]:
    """A value other than its default for each option of a verb, as it is typed."""
    found = dict[str, str]()
    for argument in program()[verb].assemble_argument_collection():
        name, hint = argument.name.removeprefix("--"), str(argument.hint)
        words = [
            word for word in ("row", "pass", "windows", "constant", "s2m", "classification") if f"'{word}'" in hint
        ]
        if argument.hint is Secret or Secret.__name__ in hint:
            continue
        if "dict" in hint:
            found[name] = json.dumps({"no": 1, "2019": 2, "a.b": 3, "null": 4, "~": 5, "C-d_e": 6})
        else:
            kinds = {"bool": "true", "int": "7", "float": "1e-05", "Path": f"{TRAP}-{name}", "str": TRAP}
            found[name] = words[-1] if words else next(kinds[kind] for kind in kinds if kind in hint)
    return found


@pytest.fixture(autouse=True)
def _working_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize("verb", VERBS)
def test_every_option_reads_back_as_it_is_printed(verb: str, capsys: pytest.CaptureFixture[str]) -> None:
    first = printed(capsys, verb, *(f"--{name}={value}" for name, value in values(verb).items()))
    assert len(yaml.safe_load(first)) == len(values(verb))
    Path("c.yaml").write_text(first, "utf-8")
    assert printed(capsys, verb, "--config", "c.yaml") == first


@pytest.mark.parametrize(
    ("text", "name", "value"),
    [
        ("target: no", "target", "no"),
        ("target: 2019-01-01", "target", "2019-01-01"),
        ("target: 1_0", "target", "1_0"),
        ("categorical: 007", "categorical", "007"),
        ("class-weights: {no: 1, yes: .5}", "class_weights", {"no": 1.0, "yes": 0.5}),
        ("class_weights: balanced", "class_weights", "balanced"),
        (
            "columns:\n  y: drop\n  2019: drop\n  null: levels",
            "columns",
            {"y": "drop", "2019": "drop", "null": "levels"},
        ),
        ("columns: {<<: drop, a.b: no}", "columns", {"<<": "drop", "a.b": "no"}),
        ("columns: {}", "columns", {}),
        ("hidden: [1_0, 5]", "hidden", [10, 5]),
        ("learning_rate: 1_0.5", "learning_rate", 10.5),
        ("validation: .inf", "validation", float("inf")),
        ("seed: !!int 3", "seed", 3),
        ("resume: on", "resume", True),
        ("resume: True", "resume", True),
        ("resume: n", "resume", False),
        ("resume: off", "resume", False),
    ],
)
def test_the_type_of_an_option_reads_its_text(
    text: str, name: str, value: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    assert read(capsys, "fit", text)[name] == value


def test_nothing_is_no_value(capsys: pytest.CaptureFixture[str]) -> None:
    found = read(capsys, "fit", "dropout: null\nweights: ~\nclass_weights:\ncolumns: null\n")
    assert not {"dropout", "weights", "class_weights", "columns"} & found.keys()


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("seed: {a: 1}", "seed cannot be"),
        ("columns: {a: [b]}", "columns cannot be"),
        ("class_weights: {a: null}", "class_weights cannot be"),
        ("class_weights: {a: no}", "class_weights cannot be"),
        ("columns: !!set {a}", "cannot read c.yaml"),
        ("columns: {? [a] : b}", "cannot read c.yaml"),
        ("columns: [a, b]", "columns"),
        ("resume: 7", "resume cannot be '7': it takes true or false"),
        ("2019: drop", "unknown option '2019'"),
        (f"seed: {'9' * 5000}", "seed cannot be"),
    ],
)
def test_what_an_option_cannot_be(text: str, says: str, refused: Callable[..., str]) -> None:
    Path("c.yaml").write_text(text, "utf-8")
    refused("fit", "t.csv", "--target", "y", "--out", "run", "--config", "c.yaml", says=says)


@pytest.mark.parametrize(
    "given",
    [
        ["fit", "-", "--target", "y", "--out", "run"],
        ["fit", "--data", "-", "--target", "y", "--out", "run"],
        ["predict", "run", "--data", "-", "--out", "o.csv"],
        ["predict", "run", "--data", "t.csv", "--out", "-"],
        ["predict", "run", "--data", "t.csv", "--out", "o.csv", "--config", "-"],
    ],
)
def test_standard_input_is_not_taken(given: list[str], refused: Callable[..., str]) -> None:
    refused(*given, says="standard input or output, which are not taken; give a file")


def test_what_is_called_as_standard_input_is(capsys: pytest.CaptureFixture[str]) -> None:
    assert "target: '-'" in printed(capsys, "fit", "t.csv", "--target=-", "--out", "run")


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("--target", ["a", "b"]),
        ("--categorical", ["a", "b"]),
        ("--columns", ['{"a":"drop"}', '{"b":"drop"}']),
        ("--class-weights", ['{"a":1}', '{"b":2}']),
    ],
)
def test_several_things_are_given_in_one(name: str, values: list[str], refused: Callable[..., str]) -> None:
    target = [] if name == "--target" else ["--target", "y"]
    given = [word for value in values for word in (name, value)]
    refused("fit", "t.csv", *target, "--out", "run", *given, says=f"{name} is given more than once")
    refused("predict", "run", *["--quantiles", "0.1"] * 2, "--data", "t.csv", "--out", "o.csv", says="more than once")


def test_the_home_folder_is_known_where_no_shell_names_it(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("HOME", "/home/me")
    assert "out: /home/me/run\n" in printed(capsys, "fit", "t.csv", "--target", "y", "--out=~/run")
    assert read(capsys, "fit", "out: ~/run")["out"] == "/home/me/run"
    assert "target: ~y\n" in printed(capsys, "fit", "t.csv", "--target=~y", "--out", "run")
