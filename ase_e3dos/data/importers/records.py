"""Records of other people's files: a malformed or damaged one is a reject and stops nothing."""

from __future__ import annotations

import lzma
import tarfile
import zipfile
import zlib
from collections.abc import Callable
from functools import wraps
from typing import Concatenate, ParamSpec

from ase_e3dos.data.labelled_file import LabelledEntry, Reject

P = ParamSpec("P")

#: What damaged archives raise. RuntimeError: encrypted members, or a compression that zipfile does
#: not know. UnicodeDecodeError: damaged names.
DAMAGED = (
    OSError,
    EOFError,
    RuntimeError,
    UnicodeDecodeError,
    lzma.LZMAError,
    tarfile.TarError,
    zipfile.BadZipFile,
    zlib.error,
)


def rejecting(
    read: Callable[Concatenate[str, P], LabelledEntry | Reject],
) -> Callable[Concatenate[str, P], LabelledEntry | Reject]:
    """Make a function of a record's name and content return a `Reject` instead of raising.

    Parameters
    ----------
    read : callable
        Takes the name of the record first.
    """

    @wraps(read)
    def guarded(name: str, /, *args: P.args, **kwargs: P.kwargs) -> LabelledEntry | Reject:
        try:
            return read(name, *args, **kwargs)
        except Exception as error:  # noqa: BLE001 - a malformed record can raise anything
            said = " ".join(str(error).split())[:120]
            return Reject(name, f"a malformed record ({type(error).__name__}: {said})")

    return guarded
