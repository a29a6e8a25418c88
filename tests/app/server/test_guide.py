"""The guide's example, as it stands there."""

from __future__ import annotations

import json
import re
import shlex
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from served import Server, arrays

PAGE = Path(__file__).parents[3] / "docs" / "guide" / "serving.md"


@pytest.mark.skipif(shutil.which("curl") is None, reason="there is no curl here")
def test_curl_gets_an_answer(start: Callable[..., Server]) -> None:
    server = start()
    example = re.search(r"^curl .*?\}'$", PAGE.read_text("utf-8"), re.MULTILINE | re.DOTALL)
    assert example
    command = shlex.split(example[0].replace("\\\n", "").replace("http://127.0.0.1:8080", server.url))
    made = subprocess.run([*command, "--silent"], capture_output=True, text=True, check=True)
    answer = json.loads(made.stdout)
    assert answer["parameters"] == {"samples": 200, "seed": 1, "coverage": 0.9}
    p = server.expected(pd.DataFrame({"a": [0.3], "b": [1.2]}), samples=200, seed=1)
    np.testing.assert_array_equal(arrays(answer)["upper"], p.upper.numpy())
