"""Labels of any text survive every format, alone and among others."""

from __future__ import annotations

import tempfile
from pathlib import Path

import hypothesis.strategies as st
import pandas as pd
import pytest
import torch
from hypothesis import example, given, settings

from spikebayes.data import encode_features, encode_target, infer_schema, read_table, write_table
from spikebayes.data.kinds import Levels
from spikebayes.errors import DataError
from spikebayes.prediction.task import Task

ODD = [
    "01",
    "1",
    "1.0",
    "1.50",
    "1e3",
    "NA",
    "nan",
    "null",
    "None",
    "TRUE",
    "True",
    "-",
    "?",
    "=1+1",
    "'=1",
    "@x",
    "'",
]
LABELS = st.one_of(
    st.sampled_from(ODD),
    st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1, max_size=8),
).filter(lambda text: bool(text.strip()))


@pytest.mark.parametrize("suffix", [".csv", ".csv.gz", ".tsv", ".parquet", ".npz"])
@settings(deadline=None, max_examples=15)
@given(labels=st.lists(LABELS, min_size=2, max_size=8, unique=True), name=LABELS.filter(lambda name: name != "y"))
@example(labels=["1", "2"], name="=c")
@example(labels=["1.0", "2.0"], name="'-c")
@example(labels=["x", "z"], name="\ufeffc")
@example(labels=["a\r", "a\n", '"', ",", "a\tb", "\ufeff", " a"], name=" c\r\n")
def test_labels_survive_every_format(suffix: str, labels: list[str], name: str) -> None:
    frame = pd.DataFrame({name: labels, "y": labels[::-1]})
    schema = infer_schema(frame, "y", [name], Task.CLASSIFICATION)
    found = schema.columns[name]
    assert isinstance(found, Levels)
    assert set(found.levels) == set(schema.classes) == set(labels)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"t{suffix}"
        write_table(frame, path)
        back = read_table(path)
        assert infer_schema(back, "y", [name], Task.CLASSIFICATION) == schema
        assert torch.equal(encode_features(back, schema), encode_features(frame, schema))
        assert torch.equal(encode_target(back, schema), encode_target(frame, schema))
        for row in (0, len(labels) - 1):
            write_table(frame.iloc[[row]], path)
            assert torch.equal(encode_target(read_table(path), schema), encode_target(frame, schema)[[row]])


@pytest.mark.parametrize("suffix", [".csv", ".parquet", ".npz"])
@pytest.mark.parametrize("text", ["a\0", "\ud800"])
def test_text_that_not_every_format_gives_back_is_refused(tmp_path: Path, suffix: str, text: str) -> None:
    for frame in (
        pd.DataFrame({"a": ["x", text]}, dtype=object),
        pd.DataFrame([[1]], columns=pd.Index([text], dtype=object)),
    ):
        with pytest.raises(DataError, match="holds NUL or incomplete characters"):
            write_table(frame, tmp_path / f"t{suffix}")
    assert list(tmp_path.iterdir()) == []
