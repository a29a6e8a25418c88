"""Bytes, spoilt: as by a bad disk, a cut connection or an editor."""

from __future__ import annotations

from fuzz.trial import Trial


def spoilt(data: bytes, trial: Trial) -> bytes:
    """Data with bits flipped, cut, doubled, swapped, or something put in."""
    if not data:
        return bytes(trial.rng.bytes(trial.whole(1, 40)))
    a, b = sorted(trial.whole(0, len(data)) for _ in range(2))
    how = trial.one(("flip", "flip", "flips", "cut", "tail", "hole", "double", "zeros", "insert", "swap"))
    trial.say(f"{how} bytes at {a}:{b} of {len(data)}")
    match how:
        case "flip" | "flips":
            spoiled = bytearray(data)
            for _ in range(1 if how == "flip" else trial.whole(2, 30)):
                spoiled[trial.whole(0, len(data) - 1)] ^= 1 << trial.whole(0, 7)
            return bytes(spoiled)
        case "cut":
            return data[:a]
        case "tail":
            return data[b:]
        case "hole":
            return data[:a] + data[b:]
        case "double":
            return data[:b] + data[a:]
        case "zeros":
            return data[:a] + bytes(b - a) + data[b:]
        case "insert":
            odd = (
                b"\0",
                b"\xff\xfe",
                b'"',
                b"\n",
                b"\r",
                b",",
                b"{",
                b"&a [*a]",
                b"1e999",
                bytes(trial.rng.bytes(9)),
            )
            return data[:a] + trial.one(odd) + data[a:]
        case _:
            middle = (a + b) // 2
            return data[:a] + data[middle:b] + data[a:middle] + data[b:]
