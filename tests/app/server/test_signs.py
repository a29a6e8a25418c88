"""Numbers that had signs beside them in training: what is announced for them is what is taken."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from problems import table
from served import untrained
from spikebayes.app.server.table_tensors import as_table, from_raw, input_entries
from spikebayes.app.table_run import TableRun
from spikebayes.data.encoding import encode_features
from spikebayes.errors import DataError


def signed(form: str) -> TableRun:
    """A run of a column ``a`` that is written in a form, and of a bare one."""
    frame = table()[["a", "b", "y"]]
    return untrained(frame.assign(a=[form.format(value) for value in frame["a"]]), "y")


def test_percent_signs_are_announced_as_text_and_taken_so() -> None:
    schema = signed("{:.3f}%").schema
    assert [(entry["name"], entry["datatype"]) for entry in input_entries(schema)] == [("a", "BYTES"), ("b", "FP32")]
    sent = as_table({"a": np.array(["12%"], object), "b": np.ones(1, np.float32)}, schema)
    assert encode_features(sent, schema)[0, 0] == pytest.approx(0.12)
    with pytest.raises(DataError, match=r"'a' holds labels, dates or percent signs, and numbers came .* as BYTES"):
        as_table({"input": np.ones((1, 2), np.float32)}, schema)
    with pytest.raises(DataError, match="send JSON"):
        from_raw(b"\0" * 8, schema)


def test_bare_numbers_may_stand_for_those_of_a_currency() -> None:
    schema = signed("${:.3f}").schema
    assert [entry["datatype"] for entry in input_entries(schema)] == ["FP32"]
    assert encode_features(as_table({"input": np.full((1, 2), 12.0)}, schema), schema)[0, 0] == 12


def test_a_cell_is_told_as_it_is_written() -> None:
    schema = signed("{:.3f}%").schema
    with pytest.raises(DataError, match=r"has no percent sign \(row 1: 12\.0\)"):
        encode_features(pd.DataFrame({"a": [12.0], "b": [1.0]}), schema)
