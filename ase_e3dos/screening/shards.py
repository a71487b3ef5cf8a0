"""The output of a screening: Parquet shards, whole or not there, with one writer at a time."""

from __future__ import annotations

import errno
import json
import os
import re
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ase_e3dos.errors import ScreeningError
from ase_e3dos.export.writing import check_name
from ase_e3dos.screening.entries import Done, KeySet, is_death, key_of
from ase_e3dos.screening.schema import FORMAT, metadata
from ase_e3dos.screening.settings import ScreenSettings
from ase_e3dos.structures.json_text import parse_json
from ase_e3dos.structures.paths import is_folder

if TYPE_CHECKING:
    import pyarrow as pa

#: Rows in one shard at most ...
SHARD_SIZE = 10_000
#: ... and seconds after which a smaller one is written: what a kill can cost.
SHARD_SECONDS = 60.0

# Readers of Parquet directories pass over names that begin with a dot.
_LOCK = ".lock"
_OWNER = ".owner.json"
_TEMPORARY = ".tmp-"
#: Columns by which rows are known.
_INDEX = ("id", "content", "model_hash", "model", "error")


def list_shards(directory: Path) -> list[Path]:
    """Shards of an output in the order in which they were written.

    Raises
    ------
    ScreeningError
        A file is named nearly as a shard, like a copy of one; its rows would count twice.
    """
    found = []
    for path in directory.glob("part-*.parquet") if is_folder(directory) else ():
        if not re.fullmatch(r"part-\d+", path.stem):
            raise ScreeningError(
                f"{path}: this is not a shard of a screening by its name (part-00000.parquet and "
                "so on), but readers of the directory would take its rows, too. Move it elsewhere."
            )
        found.append(path)
    return sorted(found, key=_number)


def _number(shard: Path) -> int:
    return int(shard.stem.partition("-")[2])


@contextmanager
def reading(shard: Path) -> Iterator[None]:
    """Say in plain words what a damaged or foreign shard means.

    Raises
    ------
    ScreeningError
        What is done inside could not read the shard.
    """
    import pyarrow as pa

    try:
        yield
    except (pa.ArrowException, KeyError, TypeError, ValueError, OSError) as error:
        # Errors of the system have a number; those of Arrow about a file's content have none.
        if isinstance(error, OSError) and error.errno is not None:
            raise
        raise ScreeningError(
            f"{shard}: this is not a shard of a screening, or it is damaged ({error}). Remove it, "
            "and run `e3dos screen` again to have its structures computed again."
        ) from error


class ShardStore:
    """A directory of Parquet shards, opened for writing.

    Parameters
    ----------
    directory : Path
        Made if it is not there.
    settings : ScreenSettings
        Of the run.
    shard_size : int, optional
        Rows in one shard.

    Notes
    -----
    Used as a context manager: it holds a lock that the operating system drops with the process.
    """

    def __init__(
        self, directory: Path, settings: ScreenSettings, shard_size: int = SHARD_SIZE
    ) -> None:
        self.directory = directory
        self._settings = settings
        # Before any row: at the end of a run that has no memory left it could not be read.
        self._metadata = metadata(settings)
        self._shard_size = shard_size
        self._pending: list[pa.RecordBatch] = []
        self._pending_rows = 0
        self._oldest = 0.0
        self._number = 0
        self._replaces = False
        self._ids = KeySet()
        self._predicted_ids = KeySet()
        self._predicted = KeySet()
        self.done = KeySet()
        self._has_deaths = False
        self.n_written = 0
        #: New rows whose id was that of another crystal's prediction.
        self.n_replaced = 0
        #: Whether writing has failed, so that it would fail again.
        self.is_broken = False

    def __enter__(self) -> ShardStore:
        from filelock import FileLock, Timeout

        check_name(self.directory)
        if self.directory.exists() and not self.directory.is_dir():
            raise ScreeningError(
                f"{self.directory}: rows cannot be written here, as it is a file. Give a directory "
                "as output; it is made if it is not there."
            )
        with _storage_errors(self.directory):
            self.directory.mkdir(parents=True, exist_ok=True)
            self._refuse_links()
            self._lock = FileLock(self.directory / _LOCK, timeout=0)
            try:
                self._lock.acquire()
            except Timeout:
                raise ScreeningError(
                    f"{self.directory}: another process is writing here ({self._owner()}). Wait "
                    "for it, stop it, or choose another output."
                ) from None
        try:
            with _storage_errors(self.directory):
                self._claim()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        with suppress(OSError):
            (self.directory / _OWNER).unlink(missing_ok=True)
        self._lock.release()

    def _refuse_links(self) -> None:
        """The lock is opened, and a link would have it made, or emptied, somewhere else."""
        for path in (self.directory / _LOCK, *self.directory.glob("part-*.parquet")):
            if path.is_symlink():
                raise ScreeningError(
                    f"{path}: is a link to {path.readlink()}, and a screening writes into its own "
                    "folder alone. Remove the link, or copy the file that it stands for."
                )

    def _claim(self) -> None:
        """Say who writes, remove what a killed process left, see which rows there are."""
        who = {"pid": os.getpid(), "host": socket.gethostname(), "since": time.ctime()}
        owner = self.directory / _OWNER
        owner.unlink(missing_ok=True)  # it may be a link
        with owner.open("x", encoding="utf-8") as stream:
            stream.write(json.dumps(who))
        for leftover in self.directory.glob(f"{_TEMPORARY}*"):
            leftover.unlink()
        self._read_index()

    def _owner(self) -> str:
        try:
            who = parse_json((self.directory / _OWNER).read_text(encoding="utf-8"))
            return f"process {who['pid']} on {who['host']}, since {who['since']}"
        except (OSError, ValueError, KeyError):
            return "it does not say which"

    # Rows that are there -----------------------------------------------------------------------

    def shards(self) -> list[Path]:
        """Shards in the order in which they were written."""
        return list_shards(self.directory)

    def rows_done(self) -> Done:
        """Rows that are there when the run begins."""
        return Done(self.done, self._has_deaths)

    def _read_index(self) -> None:
        name = self._settings.model_name
        id_keys: list[int] = []
        for shard in self.shards():
            self._number = _number(shard) + 1
            table = self._checked(shard)
            columns = [table[c].to_pylist() for c in _INDEX]
            done, ids, contents = [], [], []
            for id_, content, model_hash, model, error in zip(*columns, strict=True):
                done.append(key_of(id_, content, model_hash))
                self._has_deaths = self._has_deaths or is_death(content)
                if model == name:
                    id_keys.append(key_of(id_))
                    if error is None:
                        ids.append(key_of(id_))
                        contents.append(key_of(id_, content))
            self.done.add(np.array(done, dtype=np.uint64))
            self._predicted_ids.add(np.array(ids, dtype=np.uint64))
            self._predicted.add(np.array(contents, dtype=np.uint64))
        keys = np.array(id_keys, dtype=np.uint64)
        self._ids.add(keys)
        if len(self._ids) < len(keys):  # killed between writing new rows and removing old ones
            self.drop_superseded()

    def _checked(self, shard: Path) -> pa.Table:
        """Index columns of a shard whose rows are whole and go together with this run's."""
        import pyarrow.parquet as pq

        with reading(shard):
            about = parse_json(pq.read_schema(shard).metadata[b"ase_e3dos"])
            if about["format"] != FORMAT:
                raise ValueError(f"of format {about['format']!r}")
            kept = about["temperatures_K"]
            # All columns are read, since their checksums tell whether a bit has flipped.
            whole = pq.read_table(shard, page_checksum_verification=True)
            table = whole.select(list(_INDEX))
        mine = self._settings
        if kept != list(mine.temperatures):
            raise ScreeningError(
                f"{self.directory}: its rows are for {kept} K, and now "
                f"{list(mine.temperatures)} K are asked for. Choose another output, or the same "
                "temperatures."
            )
        return table

    def forget_errors(self) -> None:
        """Forget the rows with an error, so that they are computed again."""
        import pyarrow.parquet as pq

        keep: list[int] = []
        for shard in self.shards():
            with reading(shard):
                table = pq.read_table(shard, columns=["id", "content", "model_hash", "error"])
            keep += (
                key_of(row["id"], row["content"], row["model_hash"])
                for row in table.to_pylist()
                if row["error"] is None
            )
        self.done = KeySet(np.array(keep, dtype=np.uint64))

    # Rows that come ----------------------------------------------------------------------------

    def add(self, batch: pa.RecordBatch) -> None:
        """Take rows; they are on disk when a shard is full or a minute has passed.

        Raises
        ------
        ScreeningError
            The disk is full, or the output cannot be written any more.
        """
        if not self._pending:
            self._oldest = time.monotonic()
        self._pending.append(batch)
        self._pending_rows += len(batch)
        if len(self._ids):
            self._look_for_older(batch)
        late = time.monotonic() - self._oldest > SHARD_SECONDS
        if self._pending_rows >= self._shard_size or late:
            self.flush()

    def _look_for_older(self, batch: pa.RecordBatch) -> None:
        """Note whether rows of earlier runs have the ids of these, and count other crystals'."""
        ids, contents = (batch.column(c).to_pylist() for c in ("id", "content"))
        keys = np.array([key_of(i) for i in ids], dtype=np.uint64)
        self._replaces = self._replaces or bool(self._ids.contains(keys).any())
        both = np.array(
            [key_of(*pair) for pair in zip(ids, contents, strict=True)], dtype=np.uint64
        )
        other = self._predicted_ids.contains(keys) & ~self._predicted.contains(both)
        self.n_replaced += int(other.sum())

    def flush(self) -> None:
        """Write all rows that wait."""
        import pyarrow as pa

        while self._pending_rows:
            table = pa.Table.from_batches(self._pending)
            part, rest = table[: self._shard_size], table[self._shard_size :]
            self._write(part, self.directory / f"part-{self._number:05d}.parquet")
            self._number += 1
            self.n_written += len(part)
            self._pending = rest.to_batches()
            self._pending_rows = len(rest)

    def finish(self) -> None:
        """Write what waits, and remove rows whose structures have changed since."""
        self.flush()
        if self._replaces:
            self.drop_superseded()

    def drop_superseded(self) -> None:
        """Keep the last row of each id and model."""
        import pyarrow as pa
        import pyarrow.parquet as pq

        seen = KeySet()
        for shard in reversed(self.shards()):
            with reading(shard):
                table = pq.read_table(shard, columns=["id", "model"])
            rows = zip(table["id"].to_pylist(), table["model"].to_pylist(), strict=True)
            keys = np.array([key_of(*row) for row in rows], dtype=np.uint64)
            # Of equal ids in one shard, the last: np.unique finds the first of the reversed.
            _, last = np.unique(keys[::-1], return_index=True)
            keep = np.zeros(len(keys), dtype=bool)
            keep[len(keys) - 1 - last] = True
            keep &= ~seen.contains(keys)
            seen.add(keys)
            if keep.all():
                continue
            if keep.any():
                with reading(shard):
                    whole = pq.read_table(shard, page_checksum_verification=True)
                self._write(whole.filter(pa.array(keep)), shard)
            else:
                shard.unlink()

    def _write(self, table: pa.Table, path: Path) -> None:
        import pyarrow as pa
        import pyarrow.parquet as pq

        if not table.schema.metadata:
            table = table.replace_schema_metadata(self._metadata)
        content = pa.BufferOutputStream()
        pq.write_table(
            table, content, compression="zstd", row_group_size=self._shard_size,
            write_page_checksum=True,
        )  # fmt: skip
        temporary = self.directory / f"{_TEMPORARY}{os.getpid()}-{path.name}"
        with _storage_errors(self.directory, self.n_written):
            try:
                temporary.unlink(missing_ok=True)  # it may be a link
                with temporary.open("xb") as stream:
                    stream.write(content.getvalue())
                    stream.flush()
                    os.fsync(stream.fileno())
                temporary.replace(path)
                _sync_directory(self.directory)
            except OSError:
                self.is_broken = True
                with suppress(OSError):
                    temporary.unlink(missing_ok=True)
                raise


def _sync_directory(directory: Path) -> None:
    """Make a rename last (where the system can; Windows cannot open directories)."""
    if os.name == "nt":
        return
    handle = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


@contextmanager
def _storage_errors(directory: Path, n_safe: int | None = None) -> Iterator[None]:
    """Say in plain words what a failing disk means, once `n_safe` rows were written."""
    try:
        yield
    except OSError as error:
        if isinstance(error, ScreeningError):
            raise
        if n_safe is not None and not directory.is_dir():
            raise ScreeningError(
                f"{directory}: the folder is gone, and with it the {n_safe} rows that this run had "
                "written. Find out who removes it, and run the same command again: it begins anew."
            ) from error
        full = error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
        what = "there is no space left" if full else f"it cannot be written ({error.strerror})"
        mend = "Free some space" if full else "Check the path and its permissions"
        safe = f" {n_safe} new rows are safe in whole shards;" if n_safe else ""
        raise ScreeningError(
            f"{directory}: {what}.{safe} {mend}, and run the same command again: it goes on where "
            "it stopped."
        ) from error


def read_metadata(directory: Path) -> list[dict[str, Any]]:
    """What the shards of an output say about themselves, each model once.

    Parameters
    ----------
    directory : Path

    Returns
    -------
    list of dict
        A dictionary for each model.

    Raises
    ------
    ScreeningError
        There are no shards, or one is damaged.
    """
    import pyarrow.parquet as pq

    found: dict[str, dict[str, Any]] = {}
    for shard in list_shards(directory):
        with reading(shard):
            about = parse_json((pq.read_schema(shard).metadata or {}).get(b"ase_e3dos", b"{}"))
            if about.get("format") == FORMAT:
                found[about["model"]] = about
    if not found:
        raise ScreeningError(
            f"{directory}: there are no rows of a screening. Run `e3dos screen INPUT -o "
            f"{directory}` first, and check the path."
        )
    return list(found.values())
