"""The bytes and the text of a file, uncompressed, within limits of size."""

from __future__ import annotations

import bz2
import gzip
import lzma
import os
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from ase_e3dos.errors import UnreadableFileError

__all__ = [
    "COMPRESSIONS",
    "FILE_BYTES",
    "LINE_BYTES",
    "content_of",
    "decoded",
    "lines_of",
    "opened",
]

FILE_BYTES = 256 * 2**20
"""Largest file that is read at once: 256 MiB, uncompressed."""
LINE_BYTES = 64 * 2**20
"""Longest line of a file that is read line by line: 64 MiB."""
COMPRESSIONS: dict[str, Any] = {".gz": gzip.open, ".bz2": bz2.open, ".xz": lzma.open}
"""Endings of compressed files, and what opens them."""

_BYTE_ORDER_MARKS = (
    (b"\xef\xbb\xbf", "utf-8"),
    (b"\xff\xfe\x00\x00", "utf-32-le"),
    (b"\x00\x00\xfe\xff", "utf-32-be"),
    (b"\xff\xfe", "utf-16-le"),
    (b"\xfe\xff", "utf-16-be"),
)
_DAMAGED = (OSError, EOFError, zlib.error, lzma.LZMAError, ValueError)


@contextmanager
def opened(path: Path, label: str) -> Iterator[IO[bytes]]:
    """The file as a stream of uncompressed bytes.

    Parameters
    ----------
    path : Path
    label : str
        What messages call the file.

    Yields
    ------
    binary file

    Raises
    ------
    UnreadableFileError
        It cannot be opened, or its compression is damaged.
    """
    opener: Any = COMPRESSIONS.get(path.suffix.lower(), open)
    try:
        with opener(path, "rb") as stream:
            yield stream
    except UnreadableFileError:
        raise
    except _DAMAGED as error:
        compressed = path.suffix.lower() in COMPRESSIONS
        what = "cannot be uncompressed" if compressed else "cannot be read"
        raise UnreadableFileError(
            f"{label}: the file {what} ({getattr(error, 'strerror', None) or error}). Check the "
            "path and the permissions, or write it again."
        ) from error


def content_of(path: Path, label: str) -> bytes:
    """All of a file, of `FILE_BYTES` at most.

    Parameters
    ----------
    path : Path
    label : str
        What messages call the file.

    Returns
    -------
    bytes

    Raises
    ------
    UnreadableFileError
        It cannot be read, or is larger.
    """
    limit = FILE_BYTES
    compressed = path.suffix.lower() in COMPRESSIONS
    with opened(path, label) as stream:
        # A plain file is read whole: asked for some bytes, Python makes room for all of them.
        small = not compressed and os.fstat(stream.fileno()).st_size <= limit
        content = stream.read() if small else stream.read(limit + 1)
    if len(content) > limit:
        raise UnreadableFileError(
            f"{label}: the file is larger than {limit // 2**20} MiB (uncompressed), too large for "
            "one structure. Divide it, or write many structures as extxyz, JSON lines or Parquet."
        )
    return content


def lines_of(path: Path, label: str, limit: int = LINE_BYTES) -> Iterator[bytes]:
    """Lines of a file, one by one, with their ends.

    Parameters
    ----------
    path : Path
    label : str
        What messages call the file.
    limit : int, optional
        Bytes of a line at most.

    Yields
    ------
    bytes

    Raises
    ------
    UnreadableFileError
        It cannot be read, or a line is longer than the limit.
    """
    with opened(path, label) as stream:
        number = 0
        while line := stream.readline(limit + 1):
            number += 1
            if len(line) > limit:
                raise UnreadableFileError(
                    f"{label}: line {number} is longer than {limit // 2**20} MiB. Check whether "
                    "the file is damaged."
                )
            yield line


def decoded(data: bytes, label: str) -> str:
    """Text of a file in UTF-8, UTF-16, UTF-32 or a code of Windows, with or without its mark.

    Parameters
    ----------
    data : bytes
    label : str
        What messages call the file.

    Returns
    -------
    str

    Raises
    ------
    UnreadableFileError
        It is not text.
    """
    for mark, encoding in _BYTE_ORDER_MARKS:
        if data.startswith(mark):
            return data[len(mark) :].decode(encoding, "replace")
    if b"\x00" in data[:4096]:
        even, odd = data[:4096:2].count(0), data[1:4096:2].count(0)
        every_other = max(even, odd) * 8 > len(data[:4096])
        if min(even, odd) * 8 < max(even, odd) and every_other:
            return data.decode("utf-16-le" if odd > even else "utf-16-be", "replace")
    if b"\x00" in data:
        raise UnreadableFileError(
            f"{label}: there are zero bytes in this file, so it is not text. Check whether it is "
            "damaged, or give it the ending of its format."
        )
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        return data.decode("cp1252", "replace")
