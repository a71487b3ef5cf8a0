"""Data that were published, and what files of data say about their licence and origin."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Origin:
    """Where data come from.

    Attributes
    ----------
    citation : str
        The article to cite, or another source; "" where it is not known.
    licence : str
        Under which the data may be used; "" where it is not known.
    """

    citation: str = ""
    licence: str = ""


UNKNOWN = Origin()

#: Files that say nothing of themselves, by their SHA-256.
_PUBLISHED = {
    "fd64b06973b73e6f493069ac5eb9ce3da562e00f7e537dffe20fe0221e23ca2c": Origin(
        "G. Petretto et al., Sci. Data 5, 180065 (2018), doi:10.1038/sdata.2018.65", "CC-BY-4.0"
    ),
    "6cc03447dd949e69bd73f09bd7d2b611feaaa255a11bbc58dc9e18f199014bc2": Origin(
        "K. Choudhary et al., npj Comput. Mater. 6, 173 (2020), doi:10.1038/s41524-020-00440-1",
        "CC-BY-4.0",
    ),
    "e252df4d8b6c044757998013b0794ddc2de51ca7c3542f5758fd3f33b92c325c": Origin(
        "finite displacements with TensorNet-MatPES-PBE (this project)", "CC-BY-4.0"
    ),
    "3904ec429a6e6d6aa02fc9e29df0e9840c3df8c28657c4f6b0e7ced00c3d6eaa": Origin(
        "A. Togo, phonon database at Kyoto University, version 2018-04-17", "CC-BY-4.0"
    ),
    "779ebdf0c2ac524f0a9e386431c628fa6cf5526305b4d8160ee932b9673e7e24": Origin(
        "A. Togo, phonon database at Kyoto University, version 2018-04-17", "CC-BY-4.0"
    ),
    "347885d8b3022ec14842019702e3046ca16d4784898a4c14679d6b1b1952c4eb": Origin(
        "finite displacements with Nequix-OAM-1-PFT (this project); T. Koker et al., "
        "arXiv:2508.16067 and arXiv:2601.07742",
        "CC-BY-4.0",
    ),
    # Mg3Bi2, one spectrum
    "8d3e7384c69b46cfd099bbc766992da6bd5b3b5d0366f86123592a95c7e27fedb": Origin(
        "M. T. Agne et al., Mater. Today Phys. 6, 83 (2018)"
    ),
}


def origin(sha256: str, about: Mapping[str, Any]) -> Origin:
    """Origin of a file of data: as it states it, else as its content is known.

    Parameters
    ----------
    sha256 : str
        Of the file.
    about : mapping
        What it says about itself: `citation` and `licence`, where it does.
    """
    known = _PUBLISHED.get(sha256, UNKNOWN)
    return Origin(
        str(about.get("citation") or known.citation), str(about.get("licence") or known.licence)
    )
