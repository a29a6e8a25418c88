"""Published files: where they are kept, and how missing ones are downloaded, checked and put in place whole."""

from __future__ import annotations

import hashlib
import os
import urllib.error
import urllib.request
from collections.abc import Mapping
from http.client import HTTPException
from pathlib import Path

from spikebayes.errors import DataError
from spikebayes.files import atomic, make_folder

TIMEOUT = 60.0  # seconds without an answer before a download is given up

ALGORITHMS = {32: "MD5", 64: "SHA-256"}  # by the number of hexadecimal digits


def default_folder() -> Path:
    """What holds the sets' folders: $SPIKEBAYES_DATA, else ``spikebayes`` in the user's cache folder."""
    named = os.environ.get("SPIKEBAYES_DATA")
    if named:
        return Path(named).expanduser()
    cache_home = os.environ.get("XDG_CACHE_HOME")
    return (Path(cache_home) if cache_home else Path.home() / ".cache") / "spikebayes"


def fetch_missing(home: Path, checksums: Mapping[str, str], base_url: str) -> None:
    """Download the files that ``home`` lacks; each is checked, then put in place whole. Files there stay unread.

    Args:
        home: folder of the files, made if need be.
        checksums: each file's SHA-256, or MD5 where its publisher gives no other, in hexadecimal.
        base_url: the files are at ``base_url/FILE``.

    Raises:
        ConfigError: a folder that cannot be written.
        DataError: a download that failed, or whose checksum is not the known one; it says what to put where.
    """
    missing = [file for file in checksums if not (home / file).is_file()]
    if not missing:
        return
    make_folder(home)
    by_hand = f"put {', '.join(missing)} from {base_url}/ into {home}"
    for file in missing:
        url = f"{base_url}/{file}"
        content = _download(url, by_hand)
        known = checksums[file]
        algorithm = ALGORITHMS[len(known)]
        found = hashlib.new(algorithm.replace("-", ""), content, usedforsecurity=False).hexdigest()
        if found != known:
            raise DataError(f"{url} has {algorithm} {found}, not {known}; it was not kept: {by_hand}")
        with atomic(home / file) as partial:
            partial.write_bytes(content)


def _download(url: str, by_hand: str) -> bytes:
    try:
        with urllib.request.urlopen(url, timeout=TIMEOUT) as answer:
            return answer.read()
    except (OSError, ValueError, HTTPException) as error:
        if isinstance(error, urllib.error.HTTPError):
            error.close()
        raise DataError(f"cannot download {url} ({error}); {by_hand}") from error
