"""Tables: encoding follows names, not order or format, and every refusal names its cause."""

from __future__ import annotations

import json
import tempfile
import time
from pathlib import Path

import hypothesis.strategies as st
import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings

from spikebayes.data import (
    TableSchema,
    encode_features,
    encode_target,
    encoding,
    infer_schema,
    outside_training,
    read_table,
    split_rows,
    write_table,
)
from spikebayes.data.kinds import Levels, Number
from spikebayes.data.targets import LEVELS
from spikebayes.errors import ConfigError, DataError, StoreError
from spikebayes.prediction.task import Task

HOUSES = pd.DataFrame(
    {
        "area": [50.0, 80.0, 65.0],
        "color": ["red", "blue", "red"],
        "floors": [1, 2, 1],
        "price": [1.0, 2.5, 2.0],
    }
)
SCHEMA = infer_schema(HOUSES, "price", categorical=["color"])


# -- schema ----------------------------------------------------------------------------------------------


def test_schema_of_a_regression_table() -> None:
    assert SCHEMA.features == ("area", "color", "floors")
    assert SCHEMA.input_names == ("area", "color=blue", "color=red", "floors")
    assert (SCHEMA.task, SCHEMA.classes) == (Task.REGRESSION, ())


@pytest.mark.parametrize(
    ("labels", "classes"),
    [
        (["no", "yes", "no"], ("no", "yes")),
        ([True, False, True], ("False", "True")),
        (pd.Categorical(["b", "a", "b"]), ("a", "b")),
        (["10", "2", "10"], ("2", "10")),
    ],
)
def test_labels_make_a_classification(labels: object, classes: tuple[str, ...]) -> None:
    schema = infer_schema(pd.DataFrame({"x": [1, 2, 3], "y": labels}), "y")
    assert (schema.task, schema.classes) == (Task.CLASSIFICATION, classes)


def test_a_task_may_be_given_as_text() -> None:
    frame = pd.DataFrame({"x": [1, 2, 3], "y": [2, 10, 1]})
    for task in Task:
        assert infer_schema(frame, "y", task=task.value) == infer_schema(frame, "y", task=task)  # pyright: ignore[reportArgumentType]
    with pytest.raises(ConfigError, match=r"task must be one of .*; got 'clasification' \(did you mean"):
        infer_schema(frame, "y", task="clasification")  # pyright: ignore[reportArgumentType]


def test_numbers_may_be_classes_and_keep_their_labels_in_any_dtype() -> None:
    frame = pd.DataFrame({"x": [1, 2, 3], "y": [2, 10, 1]})
    schema = infer_schema(frame, "y", task=Task.CLASSIFICATION)
    assert schema.classes == ("1", "2", "10")
    for dtype in ("int64", "float64", "str", "category"):
        assert encode_target(frame.astype({"y": dtype}), schema).tolist() == [1, 2, 0]


@pytest.mark.parametrize(
    ("columns", "options", "message"),
    [
        ({"x": [1, 2], "Price": [1, 2]}, {}, r"no target column 'y'; the columns are 'x', 'Price'"),
        ({"x": [1, 2], "Y": [1, 2]}, {}, r"did you mean 'Y'\?"),
        ({"colour": [1, 2], "y": [1, 2]}, {"categorical": ["color"]}, r"'color' \(did you mean 'colour'\?\)"),
        ({"x": [1, 2], "y": [1, 2]}, {"categorical": ["y"]}, "the target 'y' cannot be a categorical"),
        ({"y": [1, 2]}, {}, "no feature is left"),
        ({"x": [1], "y": [1]}, {}, "one row"),
        ({"x": [], "y": []}, {}, "no rows"),
        ({"x": [1, 2], "y": [3, 3]}, {}, "constant"),
        ({"x": [1, 2], "y": ["u", "u"]}, {}, "constant"),
        (
            {"x": range(30), "y": [f"k{i % 28}" for i in range(30)]},
            {},
            "28 classes in 30 rows: it only identifies",
        ),
        ({"x": range(30), "y": range(30)}, {"task": Task.CLASSIFICATION}, "'y' has 30 classes in 30 rows"),
        ({"x": [1, 2], "y": [1e30, 2e30]}, {}, "the target 'y' has a standard deviation of 5e\\+29, whose square"),
        ({"x": [1, 2], "y": ["u", "v"]}, {"task": Task.REGRESSION}, r"'y' \(row 1: 'u'\)"),
        ({"x": [1, 2, 3], "y": ["0.5", "oops", "1.5"]}, {}, r"mixes numbers and text \(row 2: 'oops'\)"),
        ({"x": [1, None, 3], "y": [1, np.inf, np.nan]}, {}, r"'y' \(1 NaN, 1 infinite\), first in row 2; fill"),
        ({"x": [1, np.inf, 3], "z": [1, 2, -np.inf], "y": [1, 2, 3]}, {}, r"'x' \(1 infinite\), 'z' \(1 infinite\)"),
        ({"x": [1, 2], "y": [1, 1e39]}, {}, r"'y' \(1 infinite\)"),
        ({"x": [1, 2], "y": ["u", None]}, {}, r"'y' \(1 missing\)"),
        ({f"x{i}": [np.inf, 1] for i in range(8)} | {"y": [1, 2]}, {}, r"'x4' \(1 infinite\) and 3 more"),
        ({0: [1, 2], "y": [1, 2]}, {}, r"column 1 needs a name \(got 0\)"),
        ({("a", "b"): [1, 2], "y": [1, 2]}, {}, r"column 1 needs a name \(got \('a', 'b'\)\)"),
        ({"x": [1, 2], "y": pd.to_datetime(["2024", "2025"])}, {}, r"'y' holds no plain numbers .*; dates and"),
        ({"x": [1, 2, 3], "y": [0.5, "?", 1.5]}, {}, r"'y' \(1 NaN\), first in row 2; fill them or drop"),
        (
            {"x": [1, 2], "y": ["5 kg", "6 kg"]},
            {"task": Task.REGRESSION},
            r"'y' \(row 1: '5 kg'\); leave the unit out",
        ),
        (
            {"x": ["red", "2"], "y": [1, 2]},
            {"columns": {"x": "number"}},
            r"'x' \(row 1: 'red'\); correct it, or name",
        ),
        (
            {"x": ["red", "2"], "y": [1, 2]},
            {"columns": {"x": "date"}},
            r"a date .*'x' \(row 1: 'red'\); write dates as",
        ),
        ({"x": [0, 2], "y": [1, 2]}, {"columns": {"x": "boolean"}}, "'x' is no boolean: it holds 2; 0 and 1, or"),
        ({"colour": [1, 2], "y": [1, 2]}, {"columns": {"color": "drop"}}, r"'color' \(did you mean 'colour'\?\)"),
        ({"x": ["a", "b", "c"], "z": 1, "y": [1, 2, 3]}, {}, "no feature is left: 'x' is dropped, its text is all"),
        (
            {"x": [1, 2], "y": [1, 2]},
            {"columns": {"x": "drop"}},
            "no feature is left: 'x' is dropped, as asked; name",
        ),
        (
            {"x": [[1], [2]], "y": [1, 2]},
            {"categorical": ["x"]},
            r"'x' holds list values \(row 1\); write them as text",
        ),
        ({"x": np.array([1j, 2]), "y": [1, 2]}, {}, r"'x' \(row 1: .*1j\)\); give the real and the imaginary part"),
    ],
)
def test_training_tables_that_are_refused(columns: dict, options: dict, message: str) -> None:
    with pytest.raises(DataError, match=message) as caught:
        infer_schema(pd.DataFrame(columns), "y", **options)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("cells", "kind", "task"),
    [
        (["1.50", "2.25"], "text file", Task.REGRESSION),
        (["01", "02"], "text file", Task.REGRESSION),
        (["1", "2"], "text file", Task.REGRESSION),
        (["TRUE", "FALSE"], "text file", Task.CLASSIFICATION),
        (["NA", "DE"], "text file", Task.CLASSIFICATION),
        (["1", "2"], "text column", Task.CLASSIFICATION),
        (["1.50", "2.25"], "text column", Task.CLASSIFICATION),
    ],
)
def test_numbers_in_a_text_file_are_numbers_and_text_of_a_typed_column_is_text(
    tmp_path: Path, cells: list[str], kind: str, task: Task
) -> None:
    frame = pd.DataFrame({"x": [1, 2], "y": cells})
    if kind == "text file":
        frame.to_csv(tmp_path / "t.csv", index=False)
        frame = read_table(tmp_path / "t.csv")
    assert infer_schema(frame, "y").task is task
    assert infer_schema(frame, "y", task=Task.CLASSIFICATION).classes == tuple(sorted(cells))


@pytest.mark.parametrize(
    ("name", "what"), [("c", "levels; .*: drop it or group them"), ("y", "classes; .*--task reg")]
)
def test_too_many_labels_are_refused(name: str, what: str) -> None:
    rows = range(LEVELS + 1)
    frame = pd.DataFrame({"c": rows, "y": rows}, index=rows).assign(**{name: [f"u{row}" for row in rows]})
    task = Task.CLASSIFICATION if name == "y" else Task.REGRESSION
    with pytest.raises(DataError, match=f"column '{name}' has {LEVELS + 1} {what}"):
        infer_schema(frame, "y", ["c"], task)
    if name == "c":
        frame["y"] = list(rows)
        kept = infer_schema(frame.head(LEVELS), "y", ["c"])
        assert torch.equal(encode_features(frame.head(LEVELS), kept).sum(0), torch.ones(LEVELS))


def test_a_wide_table_that_lacks_all_columns_is_refused_at_once() -> None:
    wide = TableSchema({f"gene_{i}": Number() for i in range(4000)}, {"y": Number()}, Task.REGRESSION)
    other = pd.DataFrame(np.zeros((1, 4000)), columns=[f"Gene.{i}" for i in range(4000)])
    started = time.process_time()
    with pytest.raises(DataError, match=r"lacks 4000 of .*'gene_0' \(did you .* 'gene_4' \(did .* and 3995 more$"):
        encode_features(other, wide)
    assert time.process_time() - started < 10  # to look for all of them takes minutes


def test_too_large_an_input_is_refused_before_memory_is_spent(monkeypatch: pytest.MonkeyPatch) -> None:
    levels = Levels(tuple(map(str, range(1000))))
    wide = TableSchema({f"x{i}": levels for i in range(70)}, {"y": Number()}, Task.REGRESSION)
    with pytest.raises(DataError, match=r"1 rows of 70000 inputs .* at most 65536 inputs"):
        encode_features(pd.DataFrame({f"x{i}": ["a"] for i in range(70)}), wide)
    monkeypatch.setattr(encoding, "ENTRIES", 10)
    with pytest.raises(
        DataError, match=r"3 rows of 4 inputs .* and 2 such rows: drop columns, group levels, or split"
    ):
        encode_features(HOUSES, SCHEMA)


MANY = pd.DataFrame(
    {
        "city": [f"c{row % 30}" for row in range(120)],
        "when": pd.date_range("2020-01-01", periods=120, freq="31h"),
        "size": [None, *range(119)],
        "id": [f"u{row}" for row in range(120)],
        "y": np.arange(120) % 7,
    }
)


def test_schema_survives_json() -> None:
    labelled = infer_schema(pd.DataFrame({"x": [1, 2], "y": ["u", "v"]}), "y")
    numbered = infer_schema(pd.DataFrame({"x": [1e9, 1e9 + 2], "y": [1, 2]}), "y", task=Task.CLASSIFICATION)
    number, classes = numbered.columns["x"], numbered.targets["y"]
    assert isinstance(number, Number)
    assert isinstance(classes, Levels)
    assert (number.offset, classes.values) == (1e9 + 1, True)
    for schema in (SCHEMA, labelled, numbered, infer_schema(MANY, "y"), infer_schema(MANY[1:], "y,size")):
        assert TableSchema.from_dict(json.loads(json.dumps(schema.to_dict()))) == schema


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("columns", {}),
        ("columns", ["city"]),
        ("columns", {"": {"kind": "number"}}),
        ("columns", {"a": {"kind": "drop", "why": "as asked"}}),
        ("targets", {}),
        ("targets", {"city": {"kind": "number"}}),
        ("targets", {"y": {"kind": "drop", "why": "as asked"}}),
        ("targets", {"y": {"kind": "number"}}),
        ("targets", {"y": {"kind": "levels", "levels": ["u"]}}),
        ("targets", {n: {"kind": "levels", "levels": ["u", "v"]} for n in ("y", "z")}),
        ("task", "ranking"),
        ("task", ["regression"]),
        ("task", "regression"),
        ("extra", 1),
        ("city.kind", "labels"),
        ("city.levels", []),
        ("city.levels", ["c0", 3]),
        ("city.levels", ["c0"] * 30),
        ("city.means", [[1.0]]),
        ("city.middle", [float("inf")]),
        ("city.outcomes", ["y"]),
        ("size.offset", float("inf")),
        ("size.offset", "1"),
        ("size.low", None),
        ("size.low", 1e9),
        ("size.fill", None),
        ("size.decimal", ";"),
        ("size.marks", "closed"),
        ("size.wide", 1),
        ("when.parts", ["hour"]),
        ("when.parts", ["day", "day"]),
        ("when.high", -1.0),
        ("when.fill", None),
        ("id.why", None),
    ],
)
def test_edited_schemas_are_refused(field: str, value: object) -> None:
    stored = infer_schema(MANY, "y").to_dict()
    assert TableSchema.from_dict(stored).to_dict() == stored
    name, _, part = field.partition(".")
    if part:
        stored["columns"][name][part] = value
    else:
        stored[field] = value
    with pytest.raises(StoreError, match=r"stored table schema|must be"):
        TableSchema.from_dict(stored)


OLD = {"features": ["area", "color"], "categories": {"color": ["red", "blue"]}, "target": "y", "task": "regression"}
OLD |= {"classes": [], "offsets": {"area": 1e9}, "values": ["color"]}


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("features", "area"),
        ("features", ["area", "area", "color"]),
        ("features", ["area", 3, "color"]),
        ("features", [["area"], "color"]),
        ("categories", {"shape": ["round", "flat"]}),
        ("categories", {"color": []}),
        ("categories", [["color", "red"]]),
        ("target", "area"),
        ("target", None),
        ("task", "classification"),
        ("classes", ["0", "1"]),
        ("offsets", {"color": 1.0}),
        ("offsets", {"area": float("inf")}),
        ("offsets", [1.0]),
        ("values", ["area"]),
        ("values", "color"),
    ],
)
def test_edited_schemas_of_earlier_runs_are_refused(field: str, value: object) -> None:
    assert TableSchema.from_dict(OLD).columns == {"area": Number(1e9), "color": Levels(("red", "blue"), True)}
    with pytest.raises(StoreError, match=r"stored table schema|must be"):
        TableSchema.from_dict(OLD | {field: value})


def test_a_torn_schema_is_refused() -> None:
    stored = SCHEMA.to_dict()
    del stored["targets"]
    with pytest.raises(StoreError, match="has the fields"):
        TableSchema.from_dict(stored)
    with pytest.raises(StoreError, match="got list"):
        TableSchema.from_dict([1, 2])  # pyright: ignore[reportArgumentType]


# -- encoding --------------------------------------------------------------------------------------------


def test_features_are_encoded_by_hand() -> None:
    expected = [[50.0, 0.0, 1.0, 1.0], [80.0, 1.0, 0.0, 2.0], [65.0, 0.0, 1.0, 1.0]]
    encoded = encode_features(HOUSES, SCHEMA)
    assert encoded.tolist() == expected
    assert encoded.dtype == torch.float32
    assert encode_target(HOUSES, SCHEMA).tolist() == [[1.0], [2.5], [2.0]]


@given(
    order=st.permutations(list(HOUSES.columns)),
    extra=st.booleans(),
    suffix=st.sampled_from([".csv", ".parquet", ".npz"]),
)
@settings(max_examples=25, deadline=None)
def test_column_order_extra_columns_and_format_do_not_matter(order: list[str], extra: bool, suffix: str) -> None:
    frame = HOUSES[order].assign(**({"note": ["?", None, "!"]} if extra else {}))
    with tempfile.TemporaryDirectory() as folder:
        write_table(frame, Path(folder) / f"t{suffix}")
        again = read_table(Path(folder) / f"t{suffix}")
    assert torch.equal(encode_features(again, SCHEMA), encode_features(HOUSES, SCHEMA))
    assert torch.equal(encode_target(again, SCHEMA), encode_target(HOUSES, SCHEMA))


@given(rows=st.permutations(range(3)))
def test_each_row_is_encoded_alone(rows: list[int]) -> None:
    shuffled = HOUSES.iloc[rows]
    assert torch.equal(encode_features(shuffled, SCHEMA), encode_features(HOUSES, SCHEMA)[rows])


def test_booleans_and_written_numbers_count_as_numbers() -> None:
    frame = pd.DataFrame({"area": ["1.5", " 2 "], "color": ["red", "blue"], "floors": [True, False]})
    assert encode_features(frame, SCHEMA)[:, [0, 3]].tolist() == [[1.5, 1.0], [2.0, 0.0]]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"area": None}, r"lacks 1 of the model's 3 columns: 'area' \(did you mean 'Area'\?\)"),
        ({"area": [1.0, "wide", "x"]}, r"'area' \(row 2: 'wide'\)"),
        ({"area": [1.0, "1,5", "x"]}, r"'area' \(row 2: '1,5'\); write numbers with a decimal point"),
        ({"area": [1.0, np.nan, -1e39], "floors": [np.inf, 1, 2]}, r"'area' \(1 infinite\), 'floors' \(1 infinite\)"),
        ({"color": ["red", ["red"], "red"]}, r"'color' holds list values \(row 2\); write them as text"),
    ],
)
def test_tables_that_cannot_be_encoded(change: dict, message: str) -> None:
    frame = HOUSES.rename(columns={"area": "Area"}) if change == {"area": None} else HOUSES.assign(**change)
    with pytest.raises(DataError, match=message):
        encode_features(frame, SCHEMA)
    with pytest.raises(DataError, match="no rows"):
        encode_features(HOUSES[:0], SCHEMA)


@pytest.mark.parametrize("first", ["# made by X", "# area, colors, floor"])
def test_lines_above_the_header_are_named_where_no_column_is_known(tmp_path: Path, first: str) -> None:
    path = tmp_path / "t.csv"
    path.write_text(f"{first}\n" + "".join("1" + ",2" * first.count(",") + "\n" for _ in range(3)))
    schema = TableSchema({"size": Number()}, {"price": Number()}, Task.REGRESSION)
    with pytest.raises(DataError, match=r"lacks 1 of .*: 'size'; if there are lines above the header"):
        encode_features(read_table(path), schema)
    with pytest.raises(DataError, match=r"columns: 'size' \(did you mean 'Size'\?\)$"):
        encode_features(pd.DataFrame({"Size": [1.0]}), schema)
    with pytest.raises(DataError, match=r"columns are '# made by X'; if there are lines above the header"):
        infer_schema(pd.DataFrame({"# made by X": [1.0]}), "price")


def test_targets_that_cannot_be_encoded() -> None:
    with pytest.raises(DataError, match="no target column 'price'"):
        encode_target(HOUSES[["area"]], SCHEMA)
    schema = infer_schema(pd.DataFrame({"x": [1, 2], "y": ["cat", "dog"]}), "y")
    assert encode_target(pd.DataFrame({"y": ["dog", "cat", "dog"]}), schema).tolist() == [1, 0, 1]
    with pytest.raises(DataError, match=r"'y' holds 'cta' \(row 2\).*did you mean 'cat'\?"):
        encode_target(pd.DataFrame({"y": ["dog", "cta"]}), schema)


def test_a_run_of_the_first_format_reads_its_tables_as_it_did(tmp_path: Path) -> None:
    stored = {"features": ["c"], "categories": {"c": ["1", "2.5", "True", "x"]}, "target": "y"}
    schema = TableSchema.from_dict(stored | {"task": "classification", "classes": ["0", "1"]})
    (tmp_path / "t.csv").write_text("c,y\n01,0\n2.50,1.0\nTRUE,00\nx,01\n1,1\n")
    frame = read_table(tmp_path / "t.csv")
    assert encode_features(frame, schema).argmax(1).tolist() == [0, 1, 2, 3, 0]
    assert encode_target(frame, schema).tolist() == [0, 1, 0, 1, 1]


@pytest.mark.parametrize("suffix", [".csv", ".parquet", ".npz"])
def test_labels_that_were_numbers_are_compared_by_value_and_text_letter_by_letter(
    tmp_path: Path, suffix: str
) -> None:
    typed = infer_schema(pd.DataFrame({"c": [1.0, 2.5], "y": [0, 1]}), "y", ["c"])
    write_table(pd.DataFrame({"c": [2.5, 1.0]}), tmp_path / f"t{suffix}")
    assert encode_features(read_table(tmp_path / f"t{suffix}"), typed).tolist() == [[0, 1], [1, 0]]
    (tmp_path / "train.csv").write_text("c,y\n01,0\n2.50,1\n")
    written = infer_schema(read_table(tmp_path / "train.csv"), "y", ["c"])
    if suffix == ".csv":
        assert outside_training(read_table(tmp_path / "t.csv"), written) == ("c", "c")
    else:  # numbers know nothing of how they were written
        assert encode_features(read_table(tmp_path / f"t{suffix}"), written).tolist() == [[0, 1], [1, 0]]


# -- numbers far from zero ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("start", "step"), [(1.7e9, 1), (1e9, 1), (-1e12, 0.5), (1.7e18, 1e9), (1, 1e-10), (2.0**60, 4096), (1e27, 1e16)]
)
def test_values_far_from_zero_are_told_apart(start: float, step: float) -> None:
    values = start + step * np.arange(40.0)
    frame = pd.DataFrame({"t": values, "y": values[::-1]})
    schema = infer_schema(frame, "y")
    x, y = encode_features(frame, schema), encode_target(frame, schema)
    assert len(x.unique()) == len(y.unique()) == 40
    t, target = schema.columns["t"], schema.targets["y"]
    assert isinstance(t, Number)
    assert isinstance(target, Number)
    np.testing.assert_allclose(x[:, 0].double() + t.offset, values, rtol=1e-15, atol=step * 1e-5)
    np.testing.assert_allclose(y[:, 0].double() + target.offset, values[::-1], rtol=1e-15, atol=step * 1e-5)


@given(st.lists(st.floats(-100, 100, width=32), min_size=2, max_size=5, unique=True), st.integers(-(2**40), 2**40))
def test_a_shift_changes_no_encoded_spread(values: list[float], shift: int) -> None:
    plain = pd.DataFrame({"x": np.round(values, 1), "y": range(len(values))})
    moved = plain.assign(x=plain["x"] + shift)
    schemas = [infer_schema(frame, "y", columns={"x": "number"}) for frame in (plain, moved)]
    encoded = [encode_features(frame, schema).double() for frame, schema in zip((plain, moved), schemas, strict=True)]
    one, other = (x - x.mean() for x in encoded)
    torch.testing.assert_close(one, other, rtol=0, atol=2e-4 * max(1, float(one.std())))


def test_ordinary_numbers_stay_as_they_are() -> None:
    frame = pd.DataFrame({"year": [2000, 2001, 2010], "y": [-1000.5, 0, 3e7]})
    schema = infer_schema(frame, "y")
    assert [column for column in (*schema.columns.values(), *schema.targets.values()) if column.offset] == []


# -- splitting -------------------------------------------------------------------------------------------


@given(rows=st.integers(2, 200), fraction=st.floats(0.001, 0.999), seed=st.integers(0, 2**32))
def test_split_is_a_seeded_partition(rows: int, fraction: float, seed: int) -> None:
    train, validation = split_rows(rows, fraction, seed)
    assert sorted([*train.tolist(), *validation.tolist()]) == list(range(rows))
    assert train.tolist() == sorted(train.tolist())
    assert validation.tolist() == sorted(validation.tolist())
    assert len(train) >= 1
    assert len(validation) == min(max(round(rows * fraction), 1), rows - 1)
    assert torch.equal(split_rows(rows, fraction, seed)[0], train)


def test_split_depends_on_the_seed_and_refuses_what_it_cannot_do() -> None:
    assert not torch.equal(split_rows(100, 0.5, 0)[0], split_rows(100, 0.5, 1)[0])
    with pytest.raises(DataError, match="1 rows cannot be split"):
        split_rows(1, 0.5, 0)
    with pytest.raises(ConfigError, match="must lie in"):
        split_rows(10, 1.0, 0)
