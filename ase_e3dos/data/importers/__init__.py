"""Importers: other people's phonon data into the Parquet form of this package."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from importlib import import_module
from pathlib import Path
from time import monotonic

from ase_e3dos.data.importers.records import rejecting
from ase_e3dos.data.labelled_file import (
    LabelledEntry,
    Reject,
    check_output,
    counted,
    label_kind,
    problem,
    write_labelled,
)
from ase_e3dos.data.splits import SplitBy, empty_splits, split_names, unknown_ids
from ase_e3dos.errors import DataError
from ase_e3dos.structures.paths import exists, expanded
from ase_e3dos.version import __version__

#: Seconds between two lines about the progress.
REPORT_EVERY = 10.0

Importer = Callable[[Sequence[Path]], Iterator[LabelledEntry | Reject]]


@dataclass(frozen=True)
class Kind:
    """Data of one kind.

    Attributes
    ----------
    module : str
        Of this package, with a function `read`.
    reads : str
        What it takes, for people.
    source : str
        Usual name of the functional and method.
    licence, citation : str
        Under which, and in which article, the data were published; "" where that is the user's to
        say.
    """

    module: str
    reads: str
    source: str = "custom"
    licence: str = ""
    citation: str = ""


KINDS = {
    "petretto": Kind(
        "petretto",
        "figshare JSON files of Petretto et al. 2018",
        "dfpt",
        "CC-BY-4.0",
        "G. Petretto et al., Sci. Data 5, 180065 (2018), doi:10.1038/sdata.2018.65",
    ),
    "jarvis": Kind(
        "jarvis",
        "edos_pdos and dft_3d JSON of JARVIS",
        "jarvis",
        "NIST, public domain",
        "K. Choudhary et al., npj Comput. Mater. 6, 173 (2020), doi:10.1038/s41524-020-00440-1",
    ),
    "phonondb": Kind(
        "phonondb",
        "archives of the phonon database of Kyoto University (tar.lzma)",
        "phonondb",
        "CC-BY-4.0",
        "A. Togo, Phonon database at Kyoto University, version 2018-04-17",
    ),
    "phonopy": Kind("phonopy_runs", "folders, yaml files or archives of phonopy runs"),
    "pymatgen": Kind("pymatgen_dos", "JSON of pymatgen PhononDos with a structure"),
    "ase-db": Kind("ase_db", "ase.db files with spectra in the data of their rows"),
}


@dataclass(frozen=True)
class Account:
    """What an import did.

    Attributes
    ----------
    path : Path
        The file written.
    n_taken : int
        Entries in it.
    rejects : list of Reject
        What was left out, with reasons.
    splits : dict of str to int
        Entries of each split.
    unknown : tuple of str
        Ids that the file of splits does not know.
    by : SplitBy
        What kept entries together in one split.
    notes : tuple of str
        What else is to be known about the entries taken.
    """

    path: Path
    n_taken: int
    rejects: list[Reject]
    splits: dict[str, int]
    unknown: tuple[str, ...] = ()
    by: SplitBy = "composition"
    notes: tuple[str, ...] = ()

    def text(self) -> str:
        """A readable account; reasons that occur often are counted, empty splits are named."""
        parts = ", ".join(f"{n} {name}" for name, n in sorted(self.splits.items()))
        lines = [f"{self.n_taken} entries -> {self.path} ({parts}); {len(self.rejects)} rejected"]
        if self.unknown:
            shown = ", ".join(self.unknown[:3]) + (", ..." if len(self.unknown) > 3 else "")
            lines.append(f"  {len(self.unknown)} unknown to the split file, now test ({shown})")
        lines += [f"  {note}" for note in self.notes]
        lines += counted(self.rejects)
        if self.rejects and self.n_taken:
            lines.append(f"all of them, with reasons: {rejects_file(self.path)}")
        if self.n_taken:
            lines += empty_splits(self.splits, self.by)
        return "\n".join(lines)


def import_data(
    kind: str,
    paths: Sequence[str | Path],
    output: str | Path,
    *,
    source: str | None = None,
    by: SplitBy = "composition",
    seed: int = 0,
    split_file: str | Path | None = None,
    licence: str | None = None,
    citation: str | None = None,
    report: Callable[[str], None] | None = None,
) -> Account:
    """Read data of one kind, check every entry, split them and write a Parquet file.

    Parameters
    ----------
    kind : str
        One of `KINDS`.
    paths : sequence of str or Path
        Files or folders.
    output : str or Path
        Parquet file.
    source : str, optional
        Name of the functional and method; by default the usual one of the kind.
    by, seed, split_file
        As for `ase_e3dos.data.splits.split_names`.
    licence, citation : str, optional
        Of the data, for the file's metadata; by default those of the kind, where it has any.
    report : callable, optional
        Takes a line about the progress after every ten seconds.

    Raises
    ------
    DataError
        The kind or a path does not exist, the output is a folder, or nothing is left; the file
        of splits is missing or knows none of the entries.
    """
    if kind not in KINDS:
        raise DataError(f"{kind!r}: no such kind of data; choose from {', '.join(KINDS)}.")
    usual = KINDS[kind]
    files = [expanded(p) for p in paths]
    for file in files:
        if not exists(file):
            raise DataError(f"{file}: no such file or folder.")
    check_output(output)
    read: Importer = import_module(f"{__name__}.{usual.module}").read
    items = read(files)
    taken, rejects = one_kind(*sort_out(items if report is None else _reported(items, report)))
    if not taken:
        account = Account(Path(output), 0, rejects, {})
        raise DataError(f"nothing usable was found.\n{account.text()}")
    ids = [e.id for e in taken]
    names = split_names([e.crystal for e in taken], by, seed=seed, ids=ids, paper=split_file)
    unknown = unknown_ids(ids, split_file) if by == "paper" else []
    division = f"{by}, seed {seed}"
    if by == "paper":
        division = (
            f"paper, {Path(str(split_file)).name}; test: {len(unknown)} that it does not know"
        )
    taken = [replace(e, split=name) for e, name in zip(taken, names, strict=True)]
    provenance = {
        "kind": usual.reads,
        "files": [f.name for f in files],
        "licence": usual.licence if licence is None else licence,
        "split": division,
        "written": f"ase-e3dos {__version__}, {datetime.now(UTC):%Y-%m-%d}",
    }
    if stated := usual.citation if citation is None else citation:
        provenance["citation"] = stated
    write_labelled(output, taken, source or usual.source, provenance)
    splits = {name: names.count(name) for name in set(names)}
    lines = [json.dumps({"id": r.id, "reason": r.reason}) + "\n" for r in rejects]
    rejects_file(output).unlink(missing_ok=True)
    if lines:
        rejects_file(output).write_text("".join(lines), encoding="utf-8")
    return Account(Path(output), len(taken), rejects, splits, tuple(unknown), by)


def rejects_file(output: str | Path) -> Path:
    """Where the full list of what was rejected is written, as JSON lines."""
    return Path(output).with_name(Path(output).name + ".rejected.jsonl")


def one_kind(
    taken: list[LabelledEntry], rejects: list[Reject]
) -> tuple[list[LabelledEntry], list[Reject]]:
    """Entries with the kind of label that most have, for a file holds one kind."""
    kinds = [label_kind([e]) for e in taken]
    if len(set(kinds)) < 2:
        return taken, rejects
    usual = max(set(kinds), key=kinds.count)
    reason = f"{{}} labels, while most entries have {usual} ones: import these into another file"
    others = [
        Reject(e.id, reason.format(kind))
        for e, kind in zip(taken, kinds, strict=True)
        if kind != usual
    ]
    return [e for e, k in zip(taken, kinds, strict=True) if k == usual], [*rejects, *others]


def _reported(
    items: Iterator[LabelledEntry | Reject], report: Callable[[str], None]
) -> Iterator[LabelledEntry | Reject]:
    """The same, with a line every ten seconds: one run of phonopy may take seconds."""
    last, n_rejected = monotonic(), 0
    for n, item in enumerate(items, start=1):
        n_rejected += isinstance(item, Reject)
        if monotonic() - last >= REPORT_EVERY:
            last = monotonic()
            report(f"{n} read, {n_rejected} of them rejected; the last was {item.id}")
        yield item


def sort_out(items: Iterator[LabelledEntry | Reject]) -> tuple[list[LabelledEntry], list[Reject]]:
    """Sound entries, and the others with the reason; an id that comes again is rejected."""
    taken: list[LabelledEntry] = []
    rejects: list[Reject] = []
    seen: set[str] = set()
    for item in items:
        checked = item if isinstance(item, Reject) else _checked(item.id, item, seen)
        if isinstance(checked, Reject):
            rejects.append(checked)
        else:
            seen.add(checked.id)
            taken.append(checked)
    return taken, rejects


@rejecting
def _checked(name: str, entry: LabelledEntry, seen: set[str]) -> LabelledEntry | Reject:
    reason = "an id that occurred before" if name in seen else problem(entry)
    return entry if reason is None else Reject(name, reason)
