"""The command line as its user meets it: what it prints, what it writes, and its exit code."""

import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml

from spikebayes.app.cli import main
from spikebayes.machine.files import locked

QUICK = ["--epochs", "12", "--hidden", "[12]", "--patience", "5"]


def table(rows: int = 60, seed: int = 0) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    frame = pd.DataFrame({"a": rng.normal(size=rows), "b": rng.normal(size=rows)})
    frame["color"] = rng.choice(["red", "green", "blue"], rows)
    frame["y"] = 3 * frame["a"] - frame["b"] + (frame["color"] == "red") + rng.normal(0, 0.1, rows)
    return frame


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("cli")
    table().to_csv(folder / "train.csv", index=False)
    given = ["fit", "--data", str(folder / "train.csv"), "--target", "y", "--categorical", "color"]
    assert main([*given, "--out", str(folder / "run"), *QUICK]) == 0
    return folder / "run"


@pytest.fixture
def fails(capsys: pytest.CaptureFixture[str], tmp_path: Path):
    """Run a command that must be refused: exit code 2, one line, no traceback, nothing written."""

    def check(*arguments: str | Path, says: str) -> str:
        before = {p: p.stat().st_mtime_ns for p in tmp_path.rglob("*")}
        assert main([str(a) for a in arguments]) == 2
        captured = capsys.readouterr()
        assert captured.err.count("\n") == 1, captured.err
        assert "Traceback" not in captured.err
        assert says in captured.err, captured.err
        assert {p: p.stat().st_mtime_ns for p in tmp_path.rglob("*")} == before
        return captured.err

    return check


# -- the way that works ------------------------------------------------------------------------------------


def test_fit_leaves_a_run_and_no_checkpoints(run: Path) -> None:
    assert {p.name for p in run.iterdir()} == {"run.json", "run.safetensors", "fit.json"}


@pytest.mark.parametrize("suffix", ["csv", "parquet", "npz"])
def test_predict_writes_the_promised_columns(run: Path, tmp_path: Path, suffix: str) -> None:
    table(9, seed=1).drop(columns="y").to_parquet(tmp_path / "new.parquet")
    out = tmp_path / f"out.{suffix}"
    given = ["--samples", "20", "--steps", "120", "--burn-in", "60", "--coverage", "0.7", "--quantiles", "0.3,0.5,.7"]
    assert main(["predict", str(run), "--data", str(tmp_path / "new.parquet"), "--out", str(out), *given]) == 0
    from spikebayes.data.tables import read_table

    made = read_table(out)
    names = ["row", "mean", "model_std", "noise_std", "std", "lower", "upper", "q0.3", "q0.5", "q0.7", "outside"]
    assert list(made.columns) == names
    assert (made["q0.3"] <= made["q0.5"]).all()
    assert (made["q0.5"] <= made["q0.7"]).all()
    assert (made["lower"] < made["mean"]).all()
    np.testing.assert_allclose(made["std"], np.hypot(made["model_std"], made["noise_std"]), rtol=1e-5)


def test_classical_and_spiking_answers_agree(run: Path, tmp_path: Path) -> None:
    table(20, seed=2).to_csv(tmp_path / "new.csv", index=False)
    for name, extra in (("s", []), ("c", ["--classical"])):
        given = ["predict", str(run), "--data", str(tmp_path / "new.csv"), "--out", str(tmp_path / f"{name}.csv")]
        assert main([*given, *extra]) == 0
    spiking, classical = pd.read_csv(tmp_path / "s.csv"), pd.read_csv(tmp_path / "c.csv")
    assert not spiking["mean"].equals(classical["mean"])
    assert ((spiking["mean"] - classical["mean"]).abs() < 0.2 * classical["model_std"]).all()


def test_columns_are_matched_by_name(run: Path, tmp_path: Path) -> None:
    frame = table(8, seed=3)
    frame.to_csv(tmp_path / "one.csv", index=False)
    frame[["color", "y", "b", "a"]].assign(extra="ignored").to_csv(tmp_path / "two.csv", index=False)
    for name in ("one", "two"):
        given = ["predict", str(run), "--data", str(tmp_path / f"{name}.csv"), "--out", str(tmp_path / f"{name}.npz")]
        assert main([*given, "--samples", "5", "--classical"]) == 0
    assert (tmp_path / "one.npz").read_bytes() == (tmp_path / "two.npz").read_bytes()


def test_compare_prints_a_verdict_and_writes_a_page(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    table(30, seed=4).to_csv(tmp_path / "test.csv", index=False)
    page = tmp_path / "report.html"
    assert (
        main(["compare", str(run), "--data", str(tmp_path / "test.csv"), "--out", str(page), "--samples", "50"]) == 0
    )
    said = capsys.readouterr().out
    assert "Kolmogorov-Smirnov tests find" in said
    assert "Under the same masks" in said
    assert "<svg" in page.read_text()


def test_compare_leaves_out_rows_without_a_target_as_score_does(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    frame = table(30, seed=4)
    for share, says in ((0.5, "15 rows of "), (1.0, "30 rows of ")):
        frame["y"] = frame["y"].where(np.arange(30) >= share * 30)
        frame.to_csv(tmp_path / "test.csv", index=False)
        given = ["--data", str(tmp_path / "test.csv"), "--out", str(tmp_path / "page.html"), "--samples", "10"]
        assert main(["compare", str(run), *given]) == 0
        said = capsys.readouterr().out
        assert says in said
        assert ("without 15 whose target is missing" in said) is (share < 1)
    assert "their targets are not known" in (tmp_path / "page.html").read_text()


@pytest.mark.slow
def test_classification(tmp_path: Path) -> None:
    frame = table(80)
    frame["kind"] = np.where(frame["a"] > 0, "up", "down")
    frame.drop(columns=["y", "color"]).to_csv(tmp_path / "t.csv", index=False)
    given = ["--data", str(tmp_path / "t.csv")]
    assert main(["fit", *given, "--target", "kind", "--out", str(tmp_path / "run"), *QUICK, "--epochs", "200"]) == 0
    assert main(["predict", str(tmp_path / "run"), *given, "--out", str(tmp_path / "p.csv"), "--samples", "20"]) == 0
    made = pd.read_csv(tmp_path / "p.csv")
    np.testing.assert_allclose(made["p_up"] + made["p_down"], 1, atol=1e-5)
    assert (made["class"] == frame["kind"]).mean() > 0.9
    assert (made["mutual_information"] <= made["entropy"] + 1e-6).all()
    assert all(one in held.split("|") for one, held in zip(made["class"], made["set"], strict=True))
    assert (
        main(["predict", str(tmp_path / "run"), *given, "--out", str(tmp_path / "q.csv"), "--quantiles", ".5"]) == 2
    )


@pytest.mark.slow
@pytest.mark.parametrize(("network", "neuron"), [("sharpened", "Threshold("), ("s2m", "Sign(")])
def test_networks_of_one_step(
    network: str, neuron: str, fails: Callable[..., str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    frame = table(200)
    frame["kind"] = np.where(frame["a"] > 0, "up", "down")
    frame.drop(columns=["y", "color"]).to_csv(tmp_path / "t.csv", index=False)
    run, given = str(tmp_path / "run"), ["--data", str(tmp_path / "t.csv")]
    fit = ["fit", *given, "--target", "kind", "--network", network, "--hidden", "[24]", "--epochs", "40"]
    assert main([*fit, "--learning_rate", "0.01", "--out", run]) == 0
    assert main(["predict", run, *given, "--out", str(tmp_path / "p.csv"), "--samples", "50"]) == 0
    assert (pd.read_csv(tmp_path / "p.csv")["class"] == frame["kind"]).mean() > 0.85
    assert main(["compare", run, *given, "--out", str(tmp_path / "report.html"), "--samples", "50"]) == 0
    assert "Kolmogorov-Smirnov tests find" in capsys.readouterr().out
    assert "<svg" in (tmp_path / "report.html").read_text()
    assert main(["energy", run, "--rows", "5", "--samples", "5"]) == 0
    assert "25 simulations of 1 steps" in capsys.readouterr().out
    assert main(["info", run]) == 0
    assert neuron in capsys.readouterr().out
    fails("predict", run, *given, "--out", tmp_path / "q.csv", "--tau", "0.01", says="tau is for networks of LIF")


def test_info_tells_the_noise_of_every_target(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    frame = table().drop(columns="color")
    frame.assign(z=1000 * frame["y"]).to_csv(tmp_path / "t.csv", index=False)
    options = ["--epochs", "2", "--hidden", "[4]", "--noise", "constant", "--out", str(tmp_path / "run")]
    assert main(["fit", str(tmp_path / "t.csv"), "--target", "y,z", *options]) == 0
    capsys.readouterr()
    assert main(["info", str(tmp_path / "run")]) == 0
    said = next(line for line in capsys.readouterr().out.splitlines() if line.startswith("noise"))
    y, z = (
        float(part.split(" of ")[0]) for part in said.removeprefix("noise     standard deviation ").split(", ")[:2]
    )
    assert "of y, " in said
    assert "of z, of all rows" in said
    assert z > 100 * y


def test_info_names_columns_and_populations(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["info", str(run)]) == 0
    said = capsys.readouterr().out
    for word in ("color: blue, green, red", "regression of 'y'", "LIF(", "dropout 0.1"):
        assert word in said


def test_print_config_is_a_config(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    table(6).to_csv(tmp_path / "new.csv", index=False)
    given = ["--data", str(tmp_path / "new.csv"), "--out", str(tmp_path / "p.csv"), "--samples", "7", "--classical"]
    assert main(["predict", str(run), *given, "--print_config"]) == 0
    text = capsys.readouterr().out
    assert yaml.safe_load(text)["samples"] == 7
    (tmp_path / "c.yaml").write_text(text)
    assert main(["predict", "--config", str(tmp_path / "c.yaml")]) == 0
    assert len(pd.read_csv(tmp_path / "p.csv")) == 6


# -- what bad input gets -----------------------------------------------------------------------------------


def fit_of(frame: pd.DataFrame, folder: Path, *more: str) -> list[str]:
    frame.to_csv(folder / "t.csv", index=False)
    return ["fit", "--data", str(folder / "t.csv"), "--target", "y", "--out", str(folder / "run"), *QUICK, *more]


def test_missing_file(fails, tmp_path: Path) -> None:
    fails("fit", "--data", tmp_path / "no.csv", "--target", "y", "--out", tmp_path / "run", says="no such file")


def test_unreadable_file(fails, tmp_path: Path) -> None:
    (tmp_path / "t.parquet").write_bytes(b"not a parquet file")
    fails("fit", "--data", tmp_path / "t.parquet", "--target", "y", "--out", tmp_path / "run", says="cannot read")


def test_a_second_fit_in_the_same_folder(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    given = fit_of(table().drop(columns="color"), tmp_path, "--overwrite")
    (tmp_path / "run").mkdir()
    with locked(tmp_path / "run", "fit"):
        assert main(given) == 2
    assert f"another fit is running in {tmp_path / 'run'}" in capsys.readouterr().err
    assert list((tmp_path / "run").iterdir()) == []


def test_missing_target(fails, tmp_path: Path) -> None:
    given = fit_of(table().drop(columns="color").rename(columns={"y": "yield"}), tmp_path)
    given[given.index("y")] = "yeild"
    assert "'yield'" in fails(*given, says="yeild")


def test_text_in_a_numeric_column(fails, tmp_path: Path) -> None:
    frame = table().drop(columns="color").astype({"b": object})
    frame.loc[6, "b"] = "seven"
    frame.loc[7:30, "b"] = "eight"
    said = fails(*fit_of(frame, tmp_path), "--columns", '{"b":"number"}', says="'seven'")
    assert "'b'" in said
    assert "row 7" in said


def test_infinity(fails, tmp_path: Path) -> None:
    frame = table().drop(columns="color")
    frame.loc[[3, 9, 11], "a"] = np.inf
    said = fails(*fit_of(frame, tmp_path), says="'a'")
    assert "(3 " in said


def test_empty_table(fails, tmp_path: Path) -> None:
    fails(*fit_of(table(0), tmp_path), says="no rows")
    (tmp_path / "t.csv").write_text("")
    fails("fit", "--data", tmp_path / "t.csv", "--target", "y", "--out", tmp_path / "run", says="cannot read")


def test_one_row(fails, tmp_path: Path) -> None:
    fails(*fit_of(table(1).drop(columns="color"), tmp_path), says="one row")


def test_constant_target(fails, tmp_path: Path) -> None:
    fails(*fit_of(table().drop(columns="color").assign(y=2.0), tmp_path), says="constant")


@pytest.mark.parametrize("p", ["1", "1.5", "-0.1", "nan", "0"])
def test_drop_probability(fails, tmp_path: Path, p: str) -> None:
    fails(*fit_of(table().drop(columns="color"), tmp_path, "--dropout", p), says="dropout must lie in (0, 1)")


@pytest.mark.parametrize(
    ("option", "value", "says"),
    [
        ("--samples", "0", "samples must be a whole number, at least"),
        ("--burn-in", "300", "in [0, steps); got 300 with steps=232"),
        ("--steps", "0", "steps must be a whole number, at least 1"),
        ("--dt", "0", "dt must be a positive"),
        ("--dt", "-0.001", "dt must be a positive"),
        ("--dt", "nan", "dt must be a positive"),
        ("--tau", "0", "time constant must be a positive"),
        ("--seed", "-1", "a seed must be an integer"),
        ("--samples", "many", "--samples cannot be 'many': it takes a whole number"),
        ("--samples", "2.5", "--samples cannot be '2.5': it takes a whole number"),
        ("--sampels", "9", "did you mean '--samples'"),
    ],
)
@pytest.mark.parametrize("verb", ["predict", "compare"])
def test_settings_out_of_range(
    fails, run: Path, tmp_path: Path, verb: str, option: str, value: str, says: str
) -> None:
    table(4).to_csv(tmp_path / "new.csv", index=False)
    fails(verb, run, "--data", tmp_path / "new.csv", "--out", tmp_path / "out.csv", option, value, says=says)


def test_missing_column_at_prediction(fails, run: Path, tmp_path: Path) -> None:
    table(4).drop(columns="b").to_csv(tmp_path / "new.csv", index=False)
    fails("predict", run, "--data", tmp_path / "new.csv", "--out", tmp_path / "p.csv", says="'b'")


def test_rows_outside_what_was_trained_on_are_named_and_counted(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    frame = table(4).assign(color=["mauve", "red", "mauve", "red"])
    frame.loc[2, "a"] = 6.0
    frame.to_csv(tmp_path / "new.csv", index=False)
    where = ["--data", str(tmp_path / "new.csv"), "--out", str(tmp_path / "p.csv")]
    assert main(["predict", str(run), *where, "--classical"]) == 0
    assert "2 of 4 rows lie outside what was trained on" in capsys.readouterr().out
    found = pd.read_csv(tmp_path / "p.csv", keep_default_na=False)["outside"].tolist()
    assert (found[0], found[1]) == ("color", "")
    assert set(found[2].split("|")) == {"a", "color"}


@pytest.mark.parametrize("where", ["no/such/folder/p.csv", "new.csv/p.csv", "p.xlsx"])
def test_output_that_cannot_be_written(fails, run: Path, tmp_path: Path, where: str) -> None:
    table(4).to_csv(tmp_path / "new.csv", index=False)
    fails("predict", run, "--data", tmp_path / "new.csv", "--out", tmp_path / where, says="cannot write")


def test_run_folder_that_cannot_be_written(fails, tmp_path: Path) -> None:
    given = fit_of(table().drop(columns="color"), tmp_path)
    given[given.index("--out") + 1] = str(tmp_path / "t.csv" / "run")
    fails(*given, says="cannot write")


def test_a_run_is_not_overwritten_unasked(fails, run: Path, tmp_path: Path) -> None:
    given = fit_of(table().drop(columns="color"), tmp_path)
    given[given.index("--out") + 1] = str(run)
    fails(*given, says="already holds a run")


def test_torn_and_edited_runs(fails, run: Path, tmp_path: Path) -> None:
    table(4).to_csv(tmp_path / "new.csv", index=False)

    def copy(name: str) -> Path:
        folder = tmp_path / name
        folder.mkdir()
        for part in run.iterdir():
            (folder / part.name).write_bytes(part.read_bytes())
        return folder

    torn, short, edited = copy("torn"), copy("short"), copy("edited")
    (torn / "run.safetensors").write_bytes((torn / "run.safetensors").read_bytes()[:-7])
    (short / "run.json").write_bytes((short / "run.json").read_bytes()[:100])
    text = json.loads((edited / "run.json").read_text())
    text["architecture"]["dropout"] = 0.2
    (edited / "run.json").write_text(json.dumps(text))
    for folder, says in (
        (torn, "torn"),
        (short, "cut short"),
        (edited, "edited"),
        (tmp_path / "no", "no run folder"),
    ):
        fails("predict", folder, "--data", tmp_path / "new.csv", "--out", tmp_path / "p.csv", says=says)


def test_a_key_of_a_file_that_is_no_option(fails, run: Path, tmp_path: Path) -> None:
    (tmp_path / "c.yaml").write_text("samples: 5\nsampels: 9\n")
    says = f"{tmp_path / 'c.yaml'}: unknown option 'sampels' (did you mean 'samples'"
    fails("predict", run, "--data", "new.csv", "--out", "p.csv", "--config", tmp_path / "c.yaml", says=says)
    (tmp_path / "c.yaml").write_text("samples: 2.5\n")
    says = f"{tmp_path / 'c.yaml'}: samples cannot be '2.5': it takes a whole number"
    fails("predict", run, "--data", "new.csv", "--out", "p.csv", "--config", tmp_path / "c.yaml", says=says)


def test_options_as_people_type_them(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "c.yaml").write_text("hidden: [7]\nseed: 3\nepochs: 9\n")
    given = ["fit", "t.csv", "--target", "y", "--out", "run", "--config", str(tmp_path / "c.yaml")]
    for hidden in (["10", "5"], ["[10,5]"]):
        assert (
            main([*given, "--hidden", *hidden, "--batch-size=8", "--seed", "1", "--seed", "2", "--print-config"]) == 0
        )
        found = yaml.safe_load(capsys.readouterr().out)
        assert (found["hidden"], found["batch_size"], found["seed"], found["epochs"]) == ([10, 5], 8, 2, 9)


def test_no_verb_and_unknown_verb(fails) -> None:
    assert "demo" in fails(says="verb")
    fails("predcit", says="predict")


def test_a_penalty_of_spikes_is_kept_with_the_run(fails, tmp_path: Path) -> None:
    given = fit_of(table().drop(columns="color"), tmp_path, "--rate-penalty", "0.5")
    fails(*given, "--network", "sharpened", says="--rate-penalty is for --network lif; got sharpened")
    assert main([str(a) for a in given]) == 0
    stored = [p.read_text("utf-8") for p in (tmp_path / "run").glob("*.json")]
    assert any('"rate_penalty": 0.5' in text and '"activity"' in text for text in stored)


def test_resume_without_a_checkpoint(fails, tmp_path: Path) -> None:
    fails(*fit_of(table().drop(columns="color"), tmp_path, "--resume"), says="no interrupted training")


# -- Ctrl-C ------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_an_interrupted_fit_goes_on(fails, tmp_path: Path) -> None:
    frame = table(120).drop(columns="color")
    given = fit_of(frame, tmp_path, "--epochs", "150", "--patience", "150")
    command = [sys.executable, "-m", "spikebayes.app.cli", *given]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        last = tmp_path / "run" / "checkpoints" / "last.ckpt"
        deadline = time.monotonic() + 120
        while not last.exists() and process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.02)
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=120)
    assert process.returncode == 130, said
    assert "--resume" in said
    assert "Traceback" not in said
    assert last.exists()
    fails("info", tmp_path / "run", says="continue by fit --resume")
    fails(*given, says="holds an interrupted training")
    fails(*given, "--resume", "--seed", "5", says="changed: seed")
    assert main([*given, "--resume"]) == 0
    stored = json.loads((tmp_path / "run" / "run.json").read_text())
    assert stored["history"]["epochs"] == 150
    assert not last.exists()


@pytest.mark.slow
def test_help_waits_for_no_library_that_only_some_verbs_need() -> None:
    code = "import sys; from spikebayes.app.cli import main; main(['fit', '--help']); print(sorted(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "--learning-rate" in done.stdout
    for heavy in ("lightning", "scipy.stats", "sklearn", "matplotlib"):
        assert repr(heavy) not in done.stdout
