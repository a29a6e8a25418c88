"""What columns are found to be, what is learned of them on training rows alone, and what lies outside it."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.preprocessing import TargetEncoder

from spikebayes.data import (
    TableSchema,
    encode_features,
    encode_target,
    encode_training,
    infer_schema,
    outside_training,
    read_table,
    write_table,
)
from spikebayes.data.cells import CURRENCY, UNIT
from spikebayes.data.dates import Date, to_days
from spikebayes.data.kinds import SMOOTHING, Levels, Number, TargetEncoded
from spikebayes.errors import ConfigError, DataError
from spikebayes.machine.bars import parted
from spikebayes.prediction.task import Task

N = 60
Y = np.random.default_rng(0).normal(size=N)


def found(values: Any, kind: str | None = None, **options: Any) -> TableSchema:
    frame = pd.DataFrame({"x": values, "y": Y[: len(values)]})
    return infer_schema(frame, "y", columns={"x": kind} if kind else None, **options)


def cycle(*cells: object) -> list[object]:
    return (list(cells) * N)[:N]


def cities(each: int = 2) -> list[str]:
    return [f"c{row // each}" for row in range(N)]


# -- kinds that are found ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("values", "says"),
    [
        (range(N), "number"),
        (cycle("1,234", "56", "1,234,567.5"), "number"),
        (cycle("1,5", "2,25", "1.234,5"), "number (decimal commas)"),
        (cycle("1,234", "56"), "number (commas group thousands)"),
        (cycle("0,857", "1,234"), "number (decimal commas)"),
        (cycle("-0,857", "12"), "number (decimal commas)"),
        (cycle("$5", "$1,000.50", "7 USD", "8"), "number"),
        (cycle("£5", "£1,000"), "number (commas group thousands)"),
        (cycle("12 %", "5%"), "number"),
        (cycle("\u22121.5", "2", "\u22121,000.5"), "number"),
        (cycle("($1,234.50)", "$5", "-$3"), "number"),
        (cycle("1.5", "?", "unknown", "2", ""), "number (missing ones flagged)"),
        (["oops", *map(str, range(1, N))], "number ('oops' as missing, missing ones flagged)"),
        (pd.to_timedelta(range(N), "s"), "number"),
        (cycle(True, False), "boolean"),
        (cycle("TRUE", "false", None), "boolean (missing ones flagged)"),
        (cycle("red", "blue", None), "3 levels"),
        (cycle("red", "5", "blue", "7"), "4 levels"),
        (pd.Categorical(cycle(1, 2, 3)), "3 levels"),
        (cities(), "30 levels, target-encoded"),
        (cycle("2020-01-05", "2021-07-06"), "5 features"),
        ([f"{1800 + row}-03-04" for row in range(N)], "1 feature"),
        (cycle("2020-01-01T05:00:00+02:00", "2020-01-02T05:00:00-01:00"), "5 features"),
        ([f"{day}/2/2020" for day in cycle(1, 13, 28)], "3 features (read as %d/%m/%Y)"),
        ([f"{month}/2/2020" for month in cycle(1, 3, 12)], "3 features (read as %m/%d/%Y)"),
        ([f"{day}.2.2020" for day in cycle(1, 3, 12)], "3 features (read as %d.%m.%Y)"),
        (cycle("Jan 1 2000", "Feb 1 2001"), "3 features (read as %b %d %Y)"),
        (cycle("5:30 PM", "6:45 AM"), "3 features (read as %I:%M %p)"),
        (pd.date_range("2020-01-01", periods=N, freq="D", tz="Europe/Berlin"), "5 features"),
    ],
)
def test_what_a_column_is_found_to_be(values: Any, says: str) -> None:
    assert str(found(values)) == f"x: {says}; to predict: y (number)"


@pytest.mark.parametrize(
    ("name", "values", "why"),
    [
        ("x", [None] * N, "it has no values"),
        ("x", ["?"] * N, "it has no values"),
        ("x", [3] * N, "it is constant"),
        ("x", ["a"] * N, "it is constant"),
        ("x", ["2020-01-01"] * N, "it is constant"),
        ("x", [f"Mr. {row}" for row in range(N)], "its text is all distinct"),
        ("x", [f"{row} Main St" if row % 2 else f"{row} High St" for row in range(N)], "its text is all distinct"),
        ("x", [f"{row}.5 kg" for row in range(N)], f"its text is all distinct; {UNIT}"),
        ("x", [f"kr {row}.5 EUR" for row in range(N)], f"its text is all distinct; {CURRENCY}"),
        ("x", [f"Mr. {max(row, 2)}" for row in range(N)], "its text is nearly all distinct"),
        ("PassengerId", range(N), "it only identifies rows"),
        ("Unnamed: 0", range(N), "it only identifies rows"),
    ],
)
def test_columns_that_say_nothing_are_dropped_and_why(name: str, values: Any, why: str) -> None:
    frame = pd.DataFrame({name: values, "a": Y, "y": Y})
    schema = infer_schema(frame, "y")
    assert (schema.features, str(schema.columns[name])) == (("a",), f"dropped, {why}")
    assert encode_features(frame[["a"]], schema).shape == (N, 1)  # nobody needs them any more


def test_measurements_that_are_called_an_index_are_numbers() -> None:
    frame = pd.DataFrame({"heat_index": [20.5 + row for row in range(N)], "a": Y, "y": Y})
    assert infer_schema(frame, "y").features == ("heat_index", "a")


def test_a_kind_that_is_named_is_taken() -> None:
    years = [1970 + row % 12 for row in range(N)]
    assert [str(found(years, kind).columns["x"]) for kind in ("levels", "target-encoded", "date", "number")] == [
        "12 levels",
        "12 levels, target-encoded",
        "1 feature",
        "number",
    ]
    assert found(cycle("1/2/2020", "3/4/2020"), "date %d/%m/%Y").columns["x"].to_dict()["low"] == 18293  # 1 February
    assert str(found([0, 1] * (N // 2), "boolean").columns["x"]) == "boolean"
    with pytest.raises(DataError, match="no feature is left: 'x' is dropped, as asked"):
        found(years, "drop")
    with pytest.raises(
        ConfigError, match=r"kind of column 'x' must be one of .*'levles' \(did you mean 'levels'\?\)"
    ):
        found(years, "levles")
    with pytest.raises(DataError, match="the target 'y' cannot be"):
        infer_schema(pd.DataFrame({"x": years, "y": Y}), "y", columns={"y": "drop"})


@pytest.mark.parametrize(
    ("y", "task"),
    [
        (cycle(0, 1, 2), Task.CLASSIFICATION),
        (pd.array(cycle(0, 1), "Int64"), Task.CLASSIFICATION),
        (cycle(0.5, 1.0), Task.REGRESSION),
        (range(N), Task.REGRESSION),
        (cycle(*range(10)), Task.REGRESSION if N < 50 else Task.CLASSIFICATION),
        (cycle(*range(11)), Task.REGRESSION),
        (cycle("$5", "$1,200.50"), Task.REGRESSION),
    ],
)
def test_few_whole_numbers_are_classes(y: Any, task: Task) -> None:
    frame = pd.DataFrame({"x": range(N), "y": y})
    schema = infer_schema(frame, "y")
    assert schema.task is task
    assert ("--task regression" in str(schema)) is (task is Task.CLASSIFICATION)
    assert infer_schema(frame, "y", task=Task.REGRESSION).task is Task.REGRESSION


def test_commas_that_could_group_thousands_are_read_as_those_of_other_columns(tmp_path: Path) -> None:
    path = tmp_path / "t.tsv"
    path.write_text(
        "a\tb\tc\ty\n" + "".join(f"0,3{row % 10}\t57,6\t{row + 1},125\t{row + 1},857\n" for row in range(N))
    )
    schema = infer_schema(frame := read_table(path), "y")
    commas = "number (decimal commas)"
    assert str(schema) == f"a, c: {commas}; b: dropped, it is constant; to predict: y ({commas})"
    stored = TableSchema.from_dict(schema.to_dict())
    assert encode_features(frame[:1], stored).tolist() == [[pytest.approx(0.30), 1.125]]
    assert encode_target(frame[:2], stored)[:, 0].tolist() == pytest.approx([1.857, 2.857])
    path.write_text("".join(f"{a}\t{y}\n" for a, y in [("a", "y"), *((row, f"{row + 1},857") for row in range(N))]))
    alone = infer_schema(read_table(path), "y")
    assert str(alone) == "a: number; to predict: y (number (commas group thousands))"
    assert TableSchema.from_dict(alone.to_dict()) == alone
    assert encode_target(read_table(path)[:1], alone).tolist() == [[1857]]
    with pytest.raises(DataError, match=r"'y' \(row 1: '0,857'\); write numbers with a decimal point"):
        encode_target(pd.DataFrame({"y": ["0,857"]}), alone)


def test_commas_of_the_target_tell_those_of_a_feature() -> None:
    frame = pd.DataFrame({"x": [f"{row + 1},250" for row in range(N)], "y": [f"{row},5" for row in range(N)]})
    assert encode_features(frame, infer_schema(frame, "y"))[1, 0] == 2.25


@pytest.mark.parametrize(
    ("cells", "odd"),
    [
        (cycle("12%", "12"), "(row 1: '12%') and without (row 2: '12')"),
        (cycle("", "1.5", "2.5 %"), "(row 3: '2.5 %') and without (row 2: '1.5')"),
        (cycle("5%", 0.05), "(row 1: '5%') and without (row 2: 0.05)"),
    ],
)
def test_percent_signs_on_some_numbers_alone_are_refused(cells: list, odd: str) -> None:
    says = re.escape(f"has numbers with a percent sign {odd}; write all of them in one way")
    with pytest.raises(DataError, match=f"column 'x' {says}"):
        found(cells)
    with pytest.raises(DataError, match=f"column 'y' {says}"):
        infer_schema(pd.DataFrame({"x": Y, "y": cells}), "y", task=Task.REGRESSION)
    assert str(found(cells, "levels").columns["x"]).endswith("levels")  # labels may be written as they like


def test_percent_signs_are_those_of_training() -> None:
    shares = ["57.6", "58.25", "?", "60"]
    signs = pd.DataFrame({"x": ["57.6%", "58.25%", "?", "60 %"]})
    numbers = (pd.DataFrame({"x": shares}), pd.DataFrame({"x": [57.6, 58.25, None, 60]}))
    for table in numbers:
        schema = found(table["x"].tolist())
        assert torch.equal(*(encode_features(each, schema) for each in numbers))
        with pytest.raises(DataError, match=r"'x' has a percent sign \(row 1: '57.6%'\), .* had none; .* without"):
            encode_features(signs, schema)
    schema = TableSchema.from_dict(found(signs["x"].tolist()).to_dict())
    assert encode_features(signs, schema)[1].tolist() == [pytest.approx(0.5825), 0]
    for table in numbers:
        part = table[1:].copy()
        part.attrs = {"first row": 100}
        with pytest.raises(DataError, match=r"'x' has no percent sign \(row 101: .*58.25.*, .* it had; .* with the"):
            encode_features(part, schema)
    target = infer_schema(pd.DataFrame({"x": Y, "y": cycle("5%", "6%")}), "y")
    with pytest.raises(DataError, match="'y' has no percent sign"):
        encode_target(pd.DataFrame({"y": [0.05]}), target)
    runs_of_before = TableSchema({"x": Number()}, {"y": Number()}, Task.REGRESSION)
    assert encode_features(pd.DataFrame({"x": ["5%", "5"]}), runs_of_before).tolist() == [[pytest.approx(0.05)], [5]]


@pytest.mark.parametrize(
    ("cells", "odd"),
    [
        (cycle("$12", "\u20ac12", "\u00a512"), "(row 1: '$12'; row 2: '\u20ac12')"),
        (cycle("3", "?", "12 GBP", "$ 5"), "(row 3: '12 GBP'; row 4: '$ 5')"),
    ],
)
def test_several_currencies_are_refused(cells: list, odd: str) -> None:
    says = re.escape(f"mixes currencies {odd}; convert them to one")
    with pytest.raises(DataError, match=f"column 'x' {says}"):
        found(cells)
    with pytest.raises(DataError, match=f"column 'y' {says}"):
        infer_schema(pd.DataFrame({"x": Y, "y": cells}), "y", task=Task.REGRESSION)


def test_currencies_are_those_of_training() -> None:
    schema = TableSchema.from_dict(found(cycle("$12", "15", "20 USD")).to_dict())
    assert encode_features(pd.DataFrame({"x": ["12", "$12", "12 usd"]}), schema)[:, 0].tolist() == [12, 12, 12]
    assert encode_features(pd.DataFrame({"x": [12]}), schema).tolist() == [[12]]
    euros = pd.DataFrame({"x": ["12", "\u20ac12"]})
    with pytest.raises(DataError, match=r"'x' .* in EUR \(row 2: '\u20ac12'\), .* were in USD; convert them"):
        encode_features(euros, schema)
    for cells in (["12", "15"], [12, 15]):
        with pytest.raises(DataError, match=r"in EUR \(row 2: '\u20ac12'\), .* named no currency; leave it out, or"):
            encode_features(euros, found(cells))
    runs_of_before = TableSchema({"x": Number()}, {"y": Number()}, Task.REGRESSION)
    assert encode_features(pd.DataFrame({"x": ["$5", "\u20ac5"]}), runs_of_before).tolist() == [[5], [5]]


def test_a_target_of_amounts_is_read_as_numbers() -> None:
    frame = pd.DataFrame({"x": range(N), "y": cycle("$5", "$1,200.50")})
    assert encode_target(frame, infer_schema(frame, "y"))[:2, 0].tolist() == [5, 1200.5]


# -- what they become --------------------------------------------------------------------------------------


def test_missing_numbers_are_the_median_and_flagged() -> None:
    schema = found([None, 1.0, 2.0, 7.0])
    assert schema.input_names == ("x", "x is missing")
    encoded = encode_features(pd.DataFrame({"x": ["NA", "3"]}), schema)
    assert encoded.tolist() == [[2, 1], [3, 0]]


def test_missing_labels_are_a_level_and_unknown_ones_join_them() -> None:
    schema = found(cycle("red", "blue", None))
    assert schema.input_names == ("x=blue", "x=red", "x is missing")
    frame = pd.DataFrame({"x": ["red", None, "pink"]})
    assert encode_features(frame, schema).tolist() == [[0, 1, 0], [0, 0, 1], [0, 0, 1]]
    assert outside_training(frame, schema) == ("", "", "x")


def test_names_of_inputs_that_collide_are_told_apart() -> None:
    frame = pd.DataFrame({"a=b": cycle("c", "d"), "a": cycle("b=c", "b=d"), "y": Y})
    assert infer_schema(frame, "y").input_names == ("a=b=c", "a=b=d", "a=b=c (2)", "a=b=d (2)")


def test_dates_are_elapsed_time_and_points_on_circles() -> None:
    schema = found(pd.date_range("2020-01-06", periods=N, freq="6h"))  # a Monday
    names = ["x elapsed", "x year sin", "x year cos", "x week sin", "x week cos", "x day sin", "x day cos"]
    assert schema.input_names == tuple(n for n in names if "year" not in n)  # January alone
    encoded = encode_features(pd.DataFrame({"x": ["2020-01-06", "2020-01-13T12:00"]}), schema)
    np.testing.assert_allclose(encoded, [[0, 0, 1, 0, 1], [7.5, 0, 1, 0, -1]], atol=1e-6)


def test_a_date_means_the_same_in_any_zone_and_format(tmp_path: Path) -> None:
    stamps = pd.date_range("1899-12-30", periods=N, freq="31h", tz="America/New_York")
    schema = found(stamps)
    expected = encode_features(pd.DataFrame({"x": stamps}), schema)
    for suffix in (".csv", ".parquet"):
        write_table(pd.DataFrame({"x": stamps}), tmp_path / f"t{suffix}")
        assert torch.equal(encode_features(read_table(tmp_path / f"t{suffix}"), schema), expected)
    iso = found([f"{day}/2/2020" for day in cycle(1, 13, 28)])
    assert torch.equal(
        encode_features(pd.DataFrame({"x": ["13/2/2020"]}), iso),
        encode_features(pd.DataFrame({"x": [pd.Timestamp("2020-02-13").date()]}), iso),
    )


@pytest.mark.parametrize(
    ("cells", "odd"),
    [
        (cycle("2020-01-01T05:00Z", "2020-01-02 05:00"), "(row 1: '2020-01-01T05:00Z') and without (row 2: "),
        (
            cycle("2020-01-01", "2020-01-02 05:00:00", "2020-01-02 05:00:00-0500"),
            "(row 3: '2020-01-02 05:00:00-0500')",
        ),
    ],
)
def test_time_zones_on_some_times_alone_are_refused(cells: list, odd: str) -> None:
    with pytest.raises(DataError, match=re.escape(f"column 'x' has times with a zone {odd}")):
        found(cells)


def test_time_zones_are_those_of_training() -> None:
    """A shift of hours would show nowhere else: the inputs of the day would be those of other times of it."""
    stamps = pd.date_range("2020-01-06", periods=N, freq="7h")
    bare = [pd.DataFrame({"x": stamps}), pd.DataFrame({"x": stamps.strftime("%Y-%m-%d %H:%M")})]
    there = stamps.tz_localize("Asia/Kolkata")
    zoned = [pd.DataFrame({"x": there}), pd.DataFrame({"x": [stamp.isoformat() for stamp in there]})]
    for tables, others, says in (
        (bare, zoned, r"'x' names a time zone \(row 101: '2020-01-06.00:00:00\+05:30'\), .* without the zone"),
        (zoned, bare, r"'x' names no time zone \(row 10\d: '2020-01-06 0.:00.*'\), .* with the zone"),
    ):
        schema = TableSchema.from_dict(found(tables[0]["x"]).to_dict())
        assert torch.equal(*(encode_features(each, schema) for each in tables))
        for other in others:
            part = other.copy()
            part.attrs = {"first row": 100}
            with pytest.raises(DataError, match=says):
                encode_features(part, schema)
        encode_features(pd.DataFrame({"x": ["2020-01-06"]}), schema)  # a date alone is of any zone
        date = schema.columns["x"]
        assert isinstance(date, Date)
        of_before = TableSchema({"x": replace(date, zoned=None)}, schema.targets, schema.task)
        assert len(encode_features(others[0], of_before)) == N


def test_days_are_counted_from_1970() -> None:
    days, wrong = to_days(pd.Series(["0001-01-01", "1969-12-31", "?", "2000-02-30"]))
    np.testing.assert_array_equal(days, [-719162, -1, np.nan, np.nan])
    assert wrong.tolist() == [False, False, False, True]


# -- encoding by the target --------------------------------------------------------------------------------


@pytest.mark.parametrize("classes", [0, 2, 3])
def test_levels_are_encoded_as_by_scikit_learn(classes: int) -> None:
    labels = np.array([f"c{row % 23}" for row in range(N)], object)
    y = np.random.default_rng(1).integers(0, classes, N) if classes else Y
    task = Task.CLASSIFICATION if classes else Task.REGRESSION
    frame = pd.DataFrame({"x": labels, "y": y})
    kind = "multiclass" if classes > 2 else "binary" if classes else "continuous"
    theirs = TargetEncoder(target_type=kind, smooth=SMOOTHING).fit(labels[:, None], y)
    ours = encode_features(frame, infer_schema(frame, "y", task=task))
    np.testing.assert_allclose(ours, theirs.transform(labels[:, None]), rtol=1e-6)
    unknown = encode_features(pd.DataFrame({"x": ["?!"]}), infer_schema(frame, "y", task=task))
    np.testing.assert_allclose(unknown, theirs.transform(np.array([["?!"]], object)), rtol=1e-6)


def test_no_row_is_told_its_own_target() -> None:
    frame = pd.DataFrame({"x": cities(), "y": Y})
    schema = infer_schema(frame, "y")
    before = encode_training(frame, schema)
    assert not torch.allclose(before, encode_features(frame, schema))
    for row in (0, 17, N - 1):
        changed = frame.assign(y=frame["y"] + 100.0 * (np.arange(N) == row))
        after = encode_training(changed, infer_schema(changed, "y"))
        assert float(after[row, 0]) == pytest.approx(float(before[row, 0]), rel=1e-6)
        assert not torch.allclose(after, before)


def test_pure_noise_stays_noise_for_the_training_rows() -> None:
    """Names without meaning: encoded with their own targets they would explain half of them."""
    rng = np.random.default_rng(3)
    labels, y = rng.integers(0, 200, 600).astype(str), rng.normal(size=600)
    frame = pd.DataFrame({"x": [f"c{label}" for label in labels], "y": y})
    schema = infer_schema(frame, "y")
    correlation = [
        np.corrcoef(x[:, 0], y)[0, 1] for x in (encode_features(frame, schema), encode_training(frame, schema))
    ]
    assert correlation[0] > 0.4
    assert abs(correlation[1]) < 0.16  # of 600 independent rows: 1 in 10,000 is larger


def test_several_targets_and_classes_each_have_their_means() -> None:
    frame = pd.DataFrame({"x": cities(), "y": Y, "z": -2 * Y + 1})
    schema = infer_schema(frame, "y, z")
    assert schema.input_names == ("x ~ y", "x ~ z")
    x = encode_features(frame, schema)
    np.testing.assert_allclose(x[:, 1], -2 * x[:, 0] + 1, rtol=1e-4, atol=1e-5)
    assert encode_target(frame, schema).shape == (N, 2)
    kinds = infer_schema(frame.assign(y=cycle("u", "v", "w"))[["x", "y"]], "y")
    assert kinds.input_names == ("x ~ u", "x ~ v", "x ~ w")


# -- training rows alone -----------------------------------------------------------------------------------


def test_nothing_is_learned_on_rows_that_are_held_out() -> None:
    rows = torch.arange(40)
    frame = pd.DataFrame(
        {"size": [*range(40), *[1e6] * 19, None], "city": [*cities()[:40], *["elsewhere"] * 20], "y": Y}
        | {"when": pd.date_range("2020-01-01", periods=N), "color": [*cycle("red", "blue")[:40], *["pink"] * 20]}
    )
    schema = infer_schema(frame, "y", rows=rows)
    assert schema == infer_schema(frame[:40], "y")
    other = frame.assign(y=np.where(np.arange(N) < 40, frame["y"], 1e6))
    assert infer_schema(other, "y", rows=rows) == schema
    held = outside_training(frame, schema)
    assert set(held[:40]) == {""}
    assert held[40] == "size|city|color"  # the first day is within 5 % of the span
    assert held[N - 1] == "size|city|when|color"


def test_classes_of_held_out_rows_are_known() -> None:
    frame = pd.DataFrame({"x": range(N), "y": [*cycle("u", "v")[: N - 1], "w"]})
    assert infer_schema(frame, "y", rows=torch.arange(N - 1)).classes == ("u", "v", "w")


# -- outside -----------------------------------------------------------------------------------------------


def test_a_number_is_outside_beyond_5_percent_of_the_span() -> None:
    schema = found([0.0, 10.0, 5.0])
    frame = pd.DataFrame({"x": [-0.51, -0.49, 10.49, 10.51, None]})
    assert outside_training(frame, schema) == ("x", "", "", "x", "x")
    assert encode_features(frame, schema)[4, 0] == 5


def test_columns_outside_are_named_in_order() -> None:
    frame = pd.DataFrame({"a": range(N), "city": cities(), "when": pd.date_range("2020-01-01", periods=N), "y": Y})
    schema = infer_schema(frame, "y")
    new = pd.DataFrame({"when": ["2021-01-01", "2020-02-01"], "city": ["c1", "?"], "a": [1e3, 3]})
    assert outside_training(new, schema) == ("a|when", "city")
    assert outside_training(frame, schema) == ("",) * N


def test_names_outside_are_told_apart_whatever_is_in_them() -> None:
    columns = {name: Number(low=0.0, high=1.0, fill=0.5) for name in ("a|b", "a", "b", "c\\")}
    frame = pd.DataFrame({"a|b": [9, 0, 9], "a": [0, 9, 0], "b": [0, 9, 0], "c\\": [0, 0, 9]})
    texts = outside_training(frame, TableSchema(columns, {"y": Number()}, Task.REGRESSION))
    assert texts == (r"a\|b", "a|b", r"a\|b|c\\")
    assert [*map(parted, texts)] == [["a|b"], ["a", "b"], ["a|b", "c\\"]]


def test_runs_of_before_call_nothing_outside_but_levels() -> None:
    stored = {"features": ["a", "c"], "categories": {"c": ["u", "v"]}, "target": "y", "task": "regression"}
    schema = TableSchema.from_dict(stored | {"classes": [], "offsets": {}, "values": []})
    assert schema.columns == {"a": Number(), "c": Levels(("u", "v"))}
    frame = pd.DataFrame({"a": [1e9, 2], "c": ["w", "u"]})
    assert outside_training(frame, schema) == ("c", "")
    assert encode_features(frame, schema).tolist() == [[1e9, 0, 0], [2, 1, 0]]
    with pytest.raises(DataError, match=r"'a' \(1 NaN\)"):
        encode_features(pd.DataFrame({"a": [None], "c": ["u"]}), schema)


def test_what_is_learned_is_plain_data() -> None:
    schema = infer_schema(pd.DataFrame({"x": cities(), "t": pd.date_range("2020", periods=N), "y": Y}), "y")
    assert isinstance(schema.columns["x"], TargetEncoded)
    assert isinstance(schema.columns["t"], Date)
    assert TableSchema.from_dict(schema.to_dict()) == schema
