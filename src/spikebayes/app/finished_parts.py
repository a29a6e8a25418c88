"""Parts of an output that are finished, in a folder beside it: what a kill does not lose.

The folder has the output's name, ``.OUT.partial``. It holds a description of what is being made, and a table for each
part.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from spikebayes.app.unfinished import folder_of
from spikebayes.data.columns import listed
from spikebayes.data.tables import read_table, write_parts, write_table
from spikebayes.errors import ConfigError, StoreError
from spikebayes.machine.checked_files import read_json, write_json
from spikebayes.machine.files import locked

DESCRIPTION, FORMAT = "predict.json", "spikebayes.partial/1"
OURS = re.compile(r"predict\.json|\d{8}\.parquet|\..*\.partial\.(json|parquet)")


class FinishedParts:
    """The parts of a table that is being made; gone through in order, one in memory at a time.

    Args:
        folder: of the parts.
        rows: of a part, but for the last.
        total: rows of all of them.
    """

    folder: Path
    count: int

    def __init__(self, folder: Path, rows: int, total: int) -> None:
        self.folder, self.count = folder, 0
        while self.count * rows < total and _rows(self._path(self.count)) == min(rows, total - self.count * rows):
            self.count += 1

    def __iter__(self) -> Iterator[pd.DataFrame]:
        return (read_table(self._path(number)) for number in range(self.count))

    def add(self, frame: pd.DataFrame) -> None:
        """Keep the next part; it is on the disk when this returns."""
        write_table(frame, self._path(self.count))
        self.count += 1

    def discard(self) -> None:
        """Keep none of them, should the block end by an error."""
        self.count = 0

    def _path(self, number: int) -> Path:
        return self.folder / f"{number:08d}.parquet"


@contextmanager
def finished_parts(
    out: Path, made_of: Mapping[str, Any], rows: int, total: int, *, resume: bool, say: Callable[[str], None]
) -> Iterator[FinishedParts]:
    """The parts of an output, those of an interrupted run among them if it is resumed.

    At the end of the block they become the output, which until then is what it was. If it is left by an error, what
    is finished stays for the next time.

    Args:
        out: table to write.
        made_of: what the output hangs on, JSON; parts of anything else are no parts of it.
        rows: of a part.
        total: rows of all of them.
        resume: go on with what is there; else it is discarded, which is said.
        say: told what becomes of parts that are there.

    Raises:
        ConfigError: another process makes the same output; parts of something else are to be resumed; the folder
            holds what is not of this kind, or cannot be written.
    """
    folder = folder_of(out)
    _refuse_foreign(folder)
    folder.mkdir(exist_ok=True)
    with locked(folder, "predict"):
        _begin(folder, made_of, resume, say)
        parts = FinishedParts(folder, rows, total)
        if parts.count:
            say(f"continuing after {min(parts.count * rows, total):,} rows that are finished")
        try:
            yield parts
            write_parts(parts, out)
        except BaseException:
            if not parts.count:
                shutil.rmtree(folder, ignore_errors=True)
            raise
        shutil.rmtree(folder)


def _begin(folder: Path, made_of: Mapping[str, Any], resume: bool, say: Callable[[str], None]) -> None:
    """Leave in the folder the description of what is to be made, and parts of nothing else."""
    before, left = _description(folder), sorted(folder.glob("*.parquet"))
    if resume and before is not None:
        changed = [name for name in made_of if before.get(name) != made_of[name]]
        if changed:
            raise ConfigError(
                f"--resume needs the settings of the interrupted predict; changed: {listed(changed)}; give the same "
                "again, or leave --resume out to start afresh"
            )
        return
    if left:
        say(f"{len(left)} finished parts of an interrupted predict are discarded; --resume would continue with them")
    elif resume:
        say("there is nothing to resume; starting with the first row")
    for path in (folder / DESCRIPTION, *left):
        path.unlink(missing_ok=True)
    write_json(folder / DESCRIPTION, made_of, FORMAT)


def _description(folder: Path) -> dict[str, Any] | None:
    """What the parts in a folder are of; None where that is not known."""
    try:
        return read_json(folder / DESCRIPTION, FORMAT)
    except StoreError:
        return None


def _refuse_foreign(folder: Path) -> None:
    """Refuse a folder that something else has made; it would be emptied."""
    if folder.is_symlink() or (folder.exists() and not folder.is_dir()):
        raise ConfigError(f"cannot keep finished parts in {folder}: it is no folder; move it away")
    foreign = [p.name for p in folder.glob("*") if p.is_symlink() or not p.is_file() or not OURS.fullmatch(p.name)]
    if foreign:
        found = listed(map(repr, sorted(foreign)))
        raise ConfigError(f"cannot keep finished parts in {folder}: it holds {found}; move that away")


def _rows(part: Path) -> int | None:
    """How many rows a part has; None if it is not there, or torn."""
    try:
        with pa.OSFile(os.fsencode(part)) as file:
            return pq.read_metadata(file).num_rows
    except (OSError, pa.ArrowException):
        return None
