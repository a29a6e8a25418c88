"""Tables: encoding follows names, not order or format, and every refusal names its cause."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

import hypothesis.strategies as st
import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings

from spikebayes.data.tables import (
    TableSchema,
    encode_features,
    encode_target,
    infer_schema,
    read_table,
    split_rows,
    write_table,
)
from spikebayes.errors import ConfigError, DataError, StoreError
from spikebayes.prediction.predictive import Task

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
        ({"x": ["1", "2", "n/a?"], "y": [1, 2, 3]}, {}, r"'x' \(row 3: 'n/a\?'\); .*--categorical"),
        ({"x": ["2024_01", "2024_02"], "y": [1, 2]}, {}, r"'x' \(row 1: '2024_01'\)"),
        ({"x": pd.to_datetime(["2024", "2025"]), "y": [1, 2]}, {}, r"'x' \(row 1: Timestamp"),
        ({"x": [1, 2], "y": ["u", "v"]}, {"task": Task.REGRESSION}, r"'y' \(row 1: 'u'\)"),
        ({"x": [1, 2, 3], "y": ["0.5", "oops", "1.5"]}, {}, r"mixes numbers and text \(row 2: 'oops'\)"),
        ({"x": [1, None, 3], "y": [1, np.inf, np.nan]}, {}, r"'x' \(1 NaN\), 'y' \(1 NaN, 1 infinite\)"),
        ({"x": [1, 2], "y": [1, 1e39]}, {}, r"'y' \(1 infinite\)"),
        ({"x": ["a", " "], "y": [1, 2]}, {"categorical": ["x"]}, r"'x' \(1 missing\)"),
        ({"x": [1, 2], "y": ["u", None]}, {}, r"'y' \(1 missing\)"),
        ({f"x{i}": [np.nan, 1] for i in range(8)} | {"y": [1, 2]}, {}, r"'x4' \(1 NaN\) and 3 more"),
        ({0: [1, 2], "y": [1, 2]}, {}, r"column 1 needs a name \(got 0\)"),
    ],
)
def test_training_tables_that_are_refused(columns: dict, options: dict, message: str) -> None:
    with pytest.raises(DataError, match=message) as caught:
        infer_schema(pd.DataFrame(columns), "y", **options)
    assert "\n" not in str(caught.value)


def test_schema_survives_json() -> None:
    labelled = infer_schema(pd.DataFrame({"x": [1, 2], "y": ["u", "v"]}), "y")
    for schema in (SCHEMA, labelled):
        assert TableSchema.from_dict(json.loads(json.dumps(schema.to_dict()))) == schema


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("features", []),
        ("features", "area"),
        ("features", ["area", "area"]),
        ("features", ["area", 3]),
        ("categories", {"shape": ["round", "flat"]}),
        ("categories", {"color": []}),
        ("categories", [["color", "red"]]),
        ("target", "area"),
        ("target", None),
        ("task", "ranking"),
        ("task", ["regression"]),
        ("task", "classification"),
        ("classes", ["0", "1"]),
        ("classes", None),
        ("extra", 1),
    ],
)
def test_edited_schemas_are_refused(field: str, value: object) -> None:
    with pytest.raises(StoreError, match="stored table schema"):
        TableSchema.from_dict(SCHEMA.to_dict() | {field: value})


def test_a_torn_schema_is_refused() -> None:
    stored = SCHEMA.to_dict()
    del stored["target"]
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
        ({"color": ["red", "pink", "pink"]}, r"'color' holds 'pink' \(row 2\), .*known: 'blue', 'red'"),
        ({"area": [1.0, "wide", "x"]}, r"'area' \(row 2: 'wide'\)"),
        ({"area": [1.0, np.nan, -1e39]}, r"'area' \(1 NaN, 1 infinite\)"),
        ({"color": ["red", None, "red"]}, r"'color' \(1 missing\)"),
    ],
)
def test_tables_that_cannot_be_encoded(change: dict, message: str) -> None:
    frame = HOUSES.rename(columns={"area": "Area"}) if change == {"area": None} else HOUSES.assign(**change)
    with pytest.raises(DataError, match=message):
        encode_features(frame, SCHEMA)
    with pytest.raises(DataError, match="no rows"):
        encode_features(HOUSES[:0], SCHEMA)


def test_targets_that_cannot_be_encoded() -> None:
    with pytest.raises(DataError, match="no target column 'price'"):
        encode_target(HOUSES[["area"]], SCHEMA)
    schema = infer_schema(pd.DataFrame({"x": [1, 2], "y": ["cat", "dog"]}), "y")
    assert encode_target(pd.DataFrame({"y": ["dog", "cat", "dog"]}), schema).tolist() == [1, 0, 1]
    with pytest.raises(DataError, match=r"'y' holds 'cta' \(row 2\).*did you mean 'cat'\?"):
        encode_target(pd.DataFrame({"y": ["dog", "cta"]}), schema)


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
