"""The modules that one crystal passes, from its file to phonopy's total density of states.

    python docs/develop/modules_of_one_crystal.py docs/crystals/NaCl.cif

They are in the order in which their functions are called first; plug-ins and weights are loaded
before.
"""

from __future__ import annotations

import argparse
import sys
import threading
from types import FrameType
from typing import Any

from ase_e3dos import predict

PACKAGE = "ase_e3dos."

arguments = argparse.ArgumentParser(description=__doc__)
arguments.add_argument("crystal", help="structure file")
arguments.add_argument("--model", default="default")
given = arguments.parse_args()


def passed(crystal: str, model: str) -> list[str]:
    """Names of the modules without that of the package."""
    found: dict[str, None] = {}

    def note(frame: FrameType, _event: str, _argument: Any) -> None:
        module = str(frame.f_globals.get("__name__", ""))
        if module.startswith(PACKAGE) and frame.f_code.co_name != "<module>":
            found.setdefault(module.removeprefix(PACKAGE))

    sys.setprofile(note)
    threading.setprofile(note)
    try:
        predict(crystal, model=model, device="cpu")[0].to_phonopy()
    finally:
        sys.setprofile(None)
        threading.setprofile(None)  # type: ignore[arg-type]
    return list(found)


predict(given.crystal, model=given.model, device="cpu")
modules = passed(given.crystal, given.model)
print(f"{len(modules)} modules")
for name in modules:
    print(name)
