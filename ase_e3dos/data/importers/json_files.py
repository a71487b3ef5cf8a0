"""JSON files of any compression, one after the other."""

from __future__ import annotations

import gzip
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from ase_e3dos.data.importers.records import DAMAGED
from ase_e3dos.data.labelled_file import Reject
from ase_e3dos.structures.json_text import parse_json


def json_contents(paths: Sequence[Path]) -> Iterator[tuple[str, Any | Reject]]:
    """Name and content of every JSON file: .json, .json.gz, folders of them, zip archives.

    A file that is not readable comes as a `Reject`, and so does a folder or an archive without
    any such file.
    """
    for path in paths:
        if path.is_dir():
            found = [p for p in sorted(path.rglob("*")) if p.name.endswith((".json", ".json.gz"))]
            if not found:
                yield path.name, Reject(path.name, "no .json or .json.gz file in this folder")
            yield from json_contents(found)
        elif zipfile.is_zipfile(path):
            yield from _zipped(path)
        else:
            yield _stem(path.name), _read(path)


def _zipped(path: Path) -> Iterator[tuple[str, Any | Reject]]:
    try:
        with zipfile.ZipFile(path) as archive:
            names = sorted(n for n in archive.namelist() if n.endswith(".json"))
            if not names:
                yield path.name, Reject(path.name, "no .json file in this archive")
            for name in names:
                yield _stem(name), _member(archive, name)
    except DAMAGED as error:
        yield path.name, Reject(path.name, f"the archive is damaged ({error})")


def _member(archive: zipfile.ZipFile, name: str) -> Any | Reject:
    try:
        return _parsed(name, archive.read(name))
    except DAMAGED as error:
        return Reject(_stem(name), f"damaged in its archive ({error})")


def _stem(name: str) -> str:
    return Path(name).name.removesuffix(".gz").removesuffix(".json")


def _read(path: Path) -> Any | Reject:
    try:
        data = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    except (OSError, EOFError, zlib.error) as error:
        return Reject(path.name, f"not readable ({error})")
    return _parsed(path.name, data)


def _parsed(name: str, data: bytes) -> Any | Reject:
    try:
        return parse_json(data)
    except ValueError:
        return Reject(_stem(name), "not valid JSON")
