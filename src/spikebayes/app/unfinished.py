"""What a verb that is stopped leaves behind, and how to go on from it.

It imports nothing but Python's own: it is asked while other modules may be half imported.
"""

from __future__ import annotations

import hashlib
from contextlib import suppress
from pathlib import Path

CHECKPOINTS = "checkpoints"  # of a training, in the folder of its run
LONGEST = 60  # characters of an output's name in that of its folder


def folder_of(out: Path) -> Path:
    """Where an output's finished parts are.

    Example:
        >>> folder_of(Path("runs/p.csv")).as_posix()
        'runs/.p.csv.partial'
    """
    name = out.name
    if len(name) > LONGEST:
        digest = hashlib.sha256(name.encode(errors="surrogateescape")).hexdigest()
        name = f"{name[: LONGEST - 17]}.{digest[:16]}"
    return out.with_name(f".{name}.partial")


def advice(verb: str, out: Path | None) -> str:
    """What to do after a verb was stopped; nothing where that cannot be found out.

    Example:
        >>> advice("fit", Path("a folder that is not there"))
        ''
    """
    with suppress(Exception):
        if out is not None and verb == "fit" and any((out / CHECKPOINTS).rglob("last.ckpt")):
            return "fit --resume continues from the last epoch"
        if out is not None and verb == "predict" and any(folder_of(out).glob("*.parquet")):
            return "predict --resume continues after the rows that are finished"
    return ""
