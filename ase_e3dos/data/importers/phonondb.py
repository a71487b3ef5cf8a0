"""The phonon database of Kyoto University (A. Togo), version 2018-04-17, as it is published.

One archive a crystal (`mp-1000-20180417.tar.lzma`) with the unit cell, `phonopy.conf` (which says
how the supercell lies), FORCE_SETS and, for insulators, BORN. Entries go by the Materials Project's
ids.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from ase_e3dos.data.importers import phonopy_runs
from ase_e3dos.data.labelled_file import LabelledEntry, Reject

#: Of archives and folders: the id, and the date of the version.
_DATED = re.compile(r"^(mp-\d+)-\d{8}$")


def read(paths: Sequence[Path]) -> Iterator[LabelledEntry | Reject]:
    """Entries of archives, of folders of them, and of folders of what they hold."""
    for path in paths:
        archives = sorted(path.glob("*.tar.*")) if path.is_dir() else []
        for item in phonopy_runs.read(archives or [path]):
            last = item.id.rpartition("/")[2]
            dated = _DATED.match(last)
            yield replace(item, id=dated[1]) if dated else item
