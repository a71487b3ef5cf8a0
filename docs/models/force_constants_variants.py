"""Trials of what the network of force constants is made of, each trained shortly, alike but for it.

    python docs/models/force_constants_variants.py --data-dir DATA -o runs/variants [NAME ...]
    python docs/models/force_constants_variants.py --table

Each trial takes the trunk of `default` (but `scratch`), is trained on dynamical matrices with the
dipoles of its own charges for 500 steps, some minutes of one core, and is judged on the crystals
of phonondb's `valid`. A trial that ended is not run again; one that was stopped goes on. The record
is docs/models/force-constants-variants.json, and --table prints it.

Labels, a quarter of an hour of one core, are kept in the output folder.
"""

from __future__ import annotations

import argparse
import json
import pickle
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from ase_e3dos.data.force_sets import ForceSets, LabelledMatrices, labelled_matrices, marked_ids
from ase_e3dos.network.force_constants import ForceConstantNetwork
from ase_e3dos.network.graph import build_graph
from ase_e3dos.network.springs import Springs
from ase_e3dos.training.config import checked, overridden, read_fields
from ase_e3dos.training.force_config import ForceConstantConfig
from ase_e3dos.training.force_constants import new_network
from ase_e3dos.training.force_labels import MatrixEntry
from ase_e3dos.training.force_trainer import ForceConstantTrainer

RECORD = Path(__file__).with_name("force-constants-variants.json")
STAGE = {"steps": 500, "matrices": 12, "points": 2, "own_dipoles": True, "near": 1}


@dataclass(frozen=True)
class Variant:
    """One trial: what it is, the fields of the configuration that it changes, its share of data."""

    words: str
    fields: dict[str, Any]
    share: float = 1.0
    without: str = ""


VARIANTS = {
    "whole": Variant("as it ships: pair tensors, deformations, dipoles", {}),
    "pairs": Variant(
        "pair tensors alone",
        {"settings.n_scalar": 0, "settings.n_vector": 0, "settings.n_tensor": 0},
    ),
    "deformations": Variant("deformations alone", {}, without="pairs"),
    "positive": Variant("no deformations that soften", {"settings.n_negative": 0}),
    "double": Variant(
        "twice the deformations",
        {"settings.n_scalar": 12, "settings.n_vector": 12, "settings.n_tensor": 8},
    ),
    "uncharged": Variant("no dipoles", {}, without="charges"),
    "reach": Variant("springs to 5 Å, not 6", {"settings.reach": 5.0}),
    "scratch": Variant("a trunk from scratch", {"start_from": None}),
    "quarter": Variant("a quarter of the crystals", {}, share=1 / 4),
    "sixteenth": Variant("a sixteenth", {}, share=1 / 16),
    "least": Variant("one in 64", {}, share=1 / 64),
}


class Reduced(ForceConstantNetwork):
    """Without some of its outputs."""

    without = ""

    def springs(self, *given: Any, **options: Any) -> Springs:
        """As of the whole network, with zeros in the place of some."""
        found = super().springs(*given, **options)
        if self.without == "pairs":
            return replace(found, pairs=0 * found.pairs)
        return replace(found, born=0 * found.born)


def main() -> None:
    """Run the trials asked for, or print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", help=", ".join(VARIANTS))
    parser.add_argument("--data-dir", type=Path)
    parser.add_argument("-o", "--output", type=Path, default=Path("runs/variants"))
    parser.add_argument("--table", action="store_true")
    options = parser.parse_args()
    if options.table:
        print(table())
        return
    if options.data_dir is None:
        parser.error("--data-dir is needed to train")
    torch.set_num_threads(1)
    options.output.mkdir(parents=True, exist_ok=True)
    for name in options.names or VARIANTS:
        if not record().get(name):
            errors = trial(VARIANTS[name], options.data_dir, options.output, name)
            RECORD.write_text(json.dumps(record() | {name: errors}, indent=1) + "\n", "utf-8")


def trial(variant: Variant, data_dir: Path, folder: Path, name: str) -> dict[str, float]:
    """Errors on `valid` of a network that was trained for a trial."""
    stage = STAGE | ({"charges": 0.0} if variant.without == "charges" else {})
    fields = read_fields("force-constants") | {"stages": [stage], "spectra": [], "seed": 1}
    fields |= {"shares": [], "scale": [], "dipoles": []}
    config = checked(ForceConstantConfig, overridden(fields, variant.fields), name)
    network = new_network(config)
    if variant.without:
        reduced = Reduced(network.springs_settings)
        reduced.load_state_dict(network.state_dict())
        reduced.without = variant.without
        network = reduced
    (folder / name).mkdir(parents=True, exist_ok=True)
    training, valid = (
        [
            MatrixEntry(x, build_graph(x.crystal, network.cutoff))
            for x in labels(data_dir, folder, k)
        ]
        for k in ("train", "valid")
    )
    order = torch.randperm(len(training), generator=torch.Generator().manual_seed(0)).tolist()
    training = [training[k] for k in order[: round(variant.share * len(order))]]
    trainer = ForceConstantTrainer(config, network, training, valid, [], folder / name)
    trainer.resume()
    trainer.run()
    return {"crystals": len(training)} | trainer.judged()


def labels(data_dir: Path, folder: Path, split: str) -> list[LabelledMatrices]:
    """Dynamical matrices of a split, made once."""
    path = folder / f"{split}.pickle"
    if not path.is_file():
        without = marked_ids(data_dir / "dft_phonondb.parquet")
        rows = ForceSets(data_dir / "dft_phonondb_forces.parquet").rows(split)
        near = 4 if split == "train" else 0
        found = [labelled_matrices(r, near=near) for r in rows if str(r["id"]) not in without]
        path.write_bytes(pickle.dumps(found))
    labelled: list[LabelledMatrices] = pickle.loads(path.read_bytes())
    return labelled


def record() -> dict[str, dict[str, float]]:
    """What the trials reached, by their names."""
    known: dict[str, dict[str, float]] = json.loads(RECORD.read_text("utf-8"))
    return known


def table() -> str:
    """Markdown, a row a trial."""
    lines = [
        "| trial | training crystals | frequency (cm⁻¹) | median (cm⁻¹) | stable |",
        "| --- | ---: | ---: | ---: | ---: |",
    ]
    known = record()
    for name, variant in VARIANTS.items():
        if name in known:
            row = known[name]
            lines.append(
                f"| {variant.words} | {row['crystals']:.0f} | {row['valid_frequency']:.1f} | "
                f"{row['valid_frequency_median']:.1f} | {row['valid_stable']:.0%} |"
            )
    return "\n".join(lines)


if __name__ == "__main__":
    main()
