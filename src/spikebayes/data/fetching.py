"""Published files: where they are kept, and how missing ones are downloaded, checked and put in place whole."""

from __future__ import annotations

import os
import shutil
import sys
import tarfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from urllib.parse import urljoin, urlsplit

from spikebayes.data.columns import one_line
from spikebayes.errors import ConfigError, DataError
from spikebayes.machine.extras import needed
from spikebayes.machine.files import atomic, make_folder, user_cache

TIMEOUT = 60.0  # seconds without an answer before a download is given up
AGAIN = "delete it to have it downloaded anew"  # what to do about a bad file; ends a message


def default_folder() -> Path:
    """What holds the sets' folders: $SPIKEBAYES_DATA, else ``spikebayes`` in the user's cache folder."""
    named = os.environ.get("SPIKEBAYES_DATA")
    return Path(named).expanduser() if named else user_cache() / "spikebayes"


def fetch_missing(home: Path, checksums: Mapping[str, str], base_url: str) -> None:
    """Download the files that ``home`` lacks; each is checked, then put in place whole. Files there stay unread.

    Args:
        home: folder of the files, made if need be.
        checksums: each file's SHA-256, in hexadecimal.
        base_url: the files are at ``base_url/FILE``; https.

    Raises:
        ConfigError: a folder that cannot be written, or a full disk.
        DataError: a download that failed, or whose checksum is not the known one; it says what to put where.
    """
    missing = [file for file in checksums if not (home / file).is_file()]
    if not missing:
        return
    make_folder(home)
    by_hand = f"put {', '.join(missing)} from {base_url}/ into {home}"
    for file in missing:
        with atomic(home / file) as partial:
            _download(f"{base_url}/{file}", partial, checksums[file], by_hand)


def fetch_members(home: Path, members: Mapping[str, str], url: str, checksum: str) -> None:
    """Take the files that ``home`` lacks out of a published tar archive, each put in place whole.

    The archive is downloaded once, beside the files, if any file is missing, checked, and not kept; nothing in it but
    the named members is unpacked. Files there stay unread.

    Args:
        home: folder of the files, made if need be.
        members: for each file, its path in the archive.
        url: of the archive, compressed or not; https.
        checksum: the archive's SHA-256, in hexadecimal.

    Raises:
        ConfigError: a folder that cannot be written, or a full disk.
        DataError: a download that failed, or whose checksum is not the known one, and an archive that is torn or
            lacks a member; it says what to put where.
    """
    missing = [file for file in members if not (home / file).is_file()]
    if not missing:
        return
    make_folder(home)
    by_hand = f"put {', '.join(missing)} out of {url} into {home}"
    try:
        with TemporaryDirectory(dir=home, prefix=".archive.") as folder:
            _download(url, Path(folder, "archive"), checksum, by_hand)
            with tarfile.open(Path(folder, "archive")) as archive:
                for file in missing:
                    member = archive.extractfile(members[file])
                    if member is None:
                        raise DataError(f"{members[file]} in {url} is not a plain file; {by_hand}")
                    with atomic(home / file) as partial, partial.open("wb") as place:
                        shutil.copyfileobj(member, place)
    except KeyError as error:
        raise DataError(f"{url} lacks a file ({error.args[0]}); {by_hand}") from error
    except (tarfile.TarError, EOFError, zlib.error) as error:
        raise DataError(f"{url} cannot be unpacked ({one_line(error, 200)}); {by_hand}") from error


def _download(url: str, place: Path, known: str, by_hand: str) -> None:
    """Write what the address holds, if https alone leads there and its SHA-256 is the known one (else DataError).

    Where standard error is a terminal, a bar there shows how far it is.
    """
    pooch, requests = (needed(name, "a download") for name in ("pooch", "requests"))  # they take a while

    def look_at(answer: Any, **_: Any) -> None:
        if not answer.ok:  # pooch leaves it open
            answer.close()
        if answer.is_redirect:
            _check_https(urljoin(answer.url, answer.headers["location"]), by_hand)

    _check_https(url, by_hand)
    settings = {"chunk_size": 1 << 16, "timeout": TIMEOUT, "hooks": {"response": look_at}}
    try:
        pooch.HTTPDownloader(progressbar=sys.stderr.isatty(), **settings)(url, str(place), None)
    except requests.RequestException as error:
        cause = getattr(next(iter(error.args), None), "reason", None) or error  # under words about retries
        raise DataError(f"cannot download {url} ({one_line(cause, 200)}); {by_hand}") from error
    except OSError as error:
        raise ConfigError(f"cannot write into {place.parent}: {error.strerror}") from error
    found = pooch.file_hash(str(place), alg="sha256")
    if found != known:
        raise DataError(f"{url} has SHA-256 {found}, not {known}; it was not kept: {by_hand}")


def _check_https(url: str, by_hand: str) -> None:
    if urlsplit(url).scheme != "https":
        raise DataError(f"{url} is not an https address, so the file could be changed on the way; {by_hand}")
