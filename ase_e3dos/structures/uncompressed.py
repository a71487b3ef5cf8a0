"""The bytes of a file, uncompressed, within limits of size."""

from __future__ import annotations

import bz2
import gzip
import lzma
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from ase_e3dos.errors import UnreadableFileError

__all__ = ["COMPRESSIONS", "FILE_BYTES", "LINE_BYTES", "content_of", "lines_of", "opened"]

FILE_BYTES = 256 * 2**20
"""Largest file that is read at once: 256 MiB, uncompressed."""
LINE_BYTES = 64 * 2**20
"""Longest line of a file that is read line by line: 64 MiB."""
COMPRESSIONS = {".gz": gzip.open, ".bz2": bz2.open, ".xz": lzma.open}
"""Endings of compressed files, and what opens them."""

DAMAGED = (OSError, EOFError, zlib.error, lzma.LZMAError, ValueError)


@contextmanager
def opened(path: Path, label: str) -> Iterator[IO[bytes]]:
    """The file as a stream of uncompressed bytes.

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
    except DAMAGED as error:
        compressed = path.suffix.lower() in COMPRESSIONS
        what = "cannot be uncompressed" if compressed else "cannot be read"
        raise UnreadableFileError(
            f"{label}: the file {what} ({getattr(error, 'strerror', None) or error}). Check the "
            "path and the permissions, or write it again."
        ) from error


def content_of(path: Path, label: str, limit: int = FILE_BYTES) -> bytes:
    """All of a file.

    Raises
    ------
    UnreadableFileError
        It cannot be read, or is larger than the limit.
    """
    with opened(path, label) as stream:
        content = stream.read(limit + 1)
    if len(content) > limit:
        raise UnreadableFileError(
            f"{label}: the file is larger than {limit // 2**20} MiB (uncompressed), too large for "
            "one structure. Divide it, or write many structures as extxyz, JSON lines or Parquet."
        )
    return content


def lines_of(path: Path, label: str, limit: int = LINE_BYTES) -> Iterator[bytes]:
    """Lines of a file, one by one, with their ends.

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
