"""Write the weights of `combined` from those of `force-constants` and `default`.

    python docs/models/combine.py [FOLDER]

The file holds no tensors of its own: it names both files, which lie beside it, with their digests.
Its record of data and elements is both's. It has no error bars until they are fitted:
`python docs/models/calibrate_force_constants.py --data-dir DATA --weights combined.safetensors`.
"""

from __future__ import annotations

import argparse
from collections import Counter
from dataclasses import replace
from pathlib import Path

from ase_e3dos.network.combined import CombinedNetwork
from ase_e3dos.network.weights import (
    WeightsHeader,
    read_header,
    save_weights,
    weights_digest,
)

MODELS = Path(__file__).resolve().parents[2] / "ase_e3dos" / "models"
#: Prefix of its tensors -> model.
PARTS = {"force_constants": "force-constants", "site": "default"}
#: Share of the force constants in the spectra, in quarters. Of the DFPT validation set, where
#: shares from 0.6 to 0.9 differ little.
QUARTERS = 3


def joined(constants: WeightsHeader, site: WeightsHeader) -> WeightsHeader:
    """The header of both."""
    elements = Counter(site.elements)
    for number, count in constants.elements.items():
        elements[number] = max(elements[number], count)  # the same crystals, for the most part
    citations = dict.fromkeys(f"{site.citation}; {constants.citation}".split("; "))
    return replace(
        site,
        network=CombinedNetwork.kind,
        settings={
            "force_constants": constants.settings,
            "site": site.settings,
            "quarters": QUARTERS,
            "n_features": site.settings["n_features"],
        },
        members=1,
        elements=dict(elements),
        calibration=None,
        companion={},
        trust={k: v for k, v in site.trust.items() if k != "disagreement"},
        trained_on={**site.trained_on, **constants.trained_on},
        citation="; ".join(citations),
        description=f"{QUARTERS} quarters of the spectra by force constants, one by site spectra, "
        "and all else by the network of site spectra",
    )


def main() -> None:
    """Write the file."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, nargs="?", default=MODELS, help="of the weights files")
    options = parser.parse_args()
    files = {name: options.folder / f"{model}.safetensors" for name, model in PARTS.items()}
    parts = {
        name: {"file": file.name, "sha256": weights_digest(file)} for name, file in files.items()
    }
    header = joined(*(read_header(file) for file in files.values()))
    output = options.folder / "combined.safetensors"
    save_weights(output, replace(header, parts=parts), [{}])
    print(f"{output}: {output.stat().st_size / 1e3:.1f} kB")


if __name__ == "__main__":
    main()
