"""Published files: where they are kept, and how missing ones are downloaded, checked and put in place whole."""

from __future__ import annotations

import hashlib
import io
import os
import shutil
import tarfile
import urllib.error
import urllib.request
import zlib
from collections.abc import Mapping
from http.client import HTTPException
from pathlib import Path

from spikebayes.data.columns import one_line
from spikebayes.errors import DataError
from spikebayes.machine.files import atomic, make_folder

TIMEOUT = 60.0  # seconds without an answer before a download is given up
AGAIN = "delete it to have it downloaded anew"  # what to do about a bad file; ends a message

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
        content = _download(f"{base_url}/{file}", checksums[file], by_hand)
        with atomic(home / file) as partial:
            partial.write_bytes(content)


def fetch_members(home: Path, members: Mapping[str, str], url: str, checksum: str) -> None:
    """Take the files that ``home`` lacks out of a published tar archive, each put in place whole.

    The archive is downloaded once, in memory, if any file is missing, checked, and not kept; nothing in it but the
    named members is unpacked. Files there stay unread.

    Args:
        home: folder of the files, made if need be.
        members: for each file, its path in the archive.
        url: of the archive, compressed or not.
        checksum: the archive's SHA-256 or MD5, in hexadecimal.

    Raises:
        ConfigError: a folder that cannot be written.
        DataError: a download that failed, or whose checksum is not the known one, and an archive that is torn or
            lacks a member; it says what to put where.
    """
    missing = [file for file in members if not (home / file).is_file()]
    if not missing:
        return
    make_folder(home)
    by_hand = f"put {', '.join(missing)} out of {url} into {home}"
    content = _download(url, checksum, by_hand)
    try:
        with tarfile.open(fileobj=io.BytesIO(content)) as archive:
            for file in missing:
                member = archive.extractfile(members[file])
                if member is None:
                    raise DataError(f"{members[file]} in {url} is no plain file; {by_hand}")
                with atomic(home / file) as partial, partial.open("wb") as place:
                    shutil.copyfileobj(member, place)
    except KeyError as error:
        raise DataError(f"{url} lacks a file ({error.args[0]}); {by_hand}") from error
    except (tarfile.TarError, EOFError, zlib.error) as error:
        raise DataError(f"{url} cannot be unpacked ({one_line(error, 200)}); {by_hand}") from error


def _download(url: str, known: str, by_hand: str) -> bytes:
    """What the address holds, if its checksum is the known one."""
    content = _get(url, by_hand)
    algorithm = ALGORITHMS[len(known)]
    found = hashlib.new(algorithm.replace("-", ""), content, usedforsecurity=False).hexdigest()
    if found != known:
        raise DataError(f"{url} has {algorithm} {found}, not {known}; it was not kept: {by_hand}")
    return content


def _get(url: str, by_hand: str) -> bytes:
    try:
        with urllib.request.urlopen(url, timeout=TIMEOUT) as answer:
            return answer.read()
    except (OSError, ValueError, HTTPException) as error:
        if isinstance(error, urllib.error.HTTPError):
            error.close()
        raise DataError(f"cannot download {url} ({error}); {by_hand}") from error
