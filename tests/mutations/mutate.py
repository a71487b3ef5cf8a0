"""Change the numerical core in one place at a time, and see whether a test notices.

`python tests/mutations/mutate.py --per-module 10 --minutes 60` writes `mutations.json` here: for
each change whether it was noticed, by what, and the line before and after. Not a part of CI: hours
for all changes, minutes for a sample. `survivors.md` argues those that nothing noticed.

Each change is made to the syntax tree of one module and tried in a forked process of its own: first
on the kept spectra (`tests/golden`), then with the tests of that module.
"""

from __future__ import annotations

import argparse
import ast
import contextlib
import importlib.abc
import importlib.util
import io
import json
import os
import random
import resource
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
TESTS = HERE.parent
#: Module -> the models whose kept spectra it makes, and its own tests.
TARGETS = {
    "network.radial": (("default", "paper"), ["network/test_networks.py"]),
    "network.harmonics": (("default", "paper"), ["network/test_harmonics.py"]),
    "network.convolution": (("default", "paper"), ["network/test_convolution.py"]),
    "network.graph": (("default", "paper"), ["network/test_graph.py"]),
    "network.site": (("default",), ["network/test_networks.py"]),
    "network.site_trunk": (("default",), ["network/test_networks.py"]),
    "network.paper": (("paper",), ["network/test_networks.py"]),
    "spectrum.grid": (("default", "paper"), ["spectrum/test_grid.py"]),
    "spectrum.density": (("default",), ["spectrum/test_phonon_spectrum.py"]),
    "spectrum.pieces": (("default",), ["spectrum/test_pieces.py"]),
    "spectrum.thermal": (("default",), ["spectrum/test_thermal.py"]),
}
SWAPS: dict[type[ast.AST], type[ast.AST]] = {
    ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Div, ast.Div: ast.Mult, ast.Lt: ast.Gt,
    ast.Gt: ast.Lt, ast.LtE: ast.Gt, ast.GtE: ast.Lt, ast.And: ast.Or, ast.Or: ast.And,
}  # fmt: skip
NAMES = {"silu": "relu", "sigmoid": "tanh", "sin": "cos", "maximum": "minimum", "exp": "expm1"}
#: Kept spectra that are tried first: what changes much shows here already.
FIRST = {"NaCl", "skew"}
#: CPU seconds after which a change counts as noticed: something does not end.
CPU_SECONDS = 120


def changes(tree: ast.Module) -> Iterator[tuple[ast.AST, str]]:
    """Places that can be changed, messages and annotations left out."""
    skipped: set[int] = set()
    for node in ast.walk(tree):
        hidden: list[ast.AST | None] = []
        if isinstance(node, (ast.Raise, ast.JoinedStr, ast.Import, ast.ImportFrom)):
            hidden = [node]
        elif isinstance(node, (ast.FunctionDef, ast.ClassDef)):
            hidden = [*node.decorator_list, getattr(node, "returns", None)]
        elif isinstance(node, (ast.AnnAssign, ast.arg)):
            hidden = [node.annotation]
        for part in hidden:
            skipped |= {id(n) for n in ast.walk(part)} if part is not None else set()
    for node in ast.walk(tree):
        if id(node) in skipped:
            continue
        if isinstance(node, ast.Constant) and type(node.value) in (int, float):
            yield node, "number"
        elif isinstance(node, (ast.BinOp, ast.BoolOp, ast.AugAssign)) and type(node.op) in SWAPS:
            yield node, "operator"
        elif isinstance(node, ast.Compare) and type(node.ops[0]) in SWAPS:
            yield node, "comparison"
        elif isinstance(node, ast.Attribute) and node.attr in NAMES:
            yield node, "function"


def changed(source: str, number: int) -> tuple[str, dict[str, Any]]:
    """The source with one of its `changes` made, and what that is."""
    tree = ast.parse(source)
    node, kind = list(changes(tree))[number]
    line = node.lineno  # type: ignore[attr-defined]
    before = ast.unparse(node)
    if isinstance(node, ast.Constant):
        value = node.value
        node.value = value + 1 if isinstance(value, int) else value * 1.05 or 0.05
    elif isinstance(node, ast.Compare):
        node.ops[0] = SWAPS[type(node.ops[0])]()  # type: ignore[assignment]
    elif isinstance(node, ast.Attribute):
        node.attr = NAMES[node.attr]
    else:
        node.op = SWAPS[type(node.op)]()  # type: ignore[attr-defined]
    about = {"line": line, "kind": kind, "before": before, "after": ast.unparse(node)}
    return ast.unparse(tree), {**about, "text": source.splitlines()[line - 1].strip()}


class Changed(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Imports one module from another source than its file's."""

    def __init__(self, name: str, path: Path, source: str) -> None:
        self.name, self.path, self.source = name, path, source

    def find_spec(self, name: str, path: object = None, target: object = None) -> Any:
        """Ours for the one module, nothing for the others."""
        if name != self.name:
            return None
        return importlib.util.spec_from_file_location(name, self.path, loader=self)

    def create_module(self, spec: object) -> None:
        """As usual."""

    def exec_module(self, module: Any) -> None:
        """Run the other source."""
        exec(compile(self.source, str(self.path), "exec"), module.__dict__)


def noticed_by(models: tuple[str, ...], files: list[str]) -> str | None:
    """What fails in this process: "golden", the tests, or nothing."""
    import numpy as np

    sys.path.insert(0, str(TESTS / "golden"))
    try:
        import spectra_of_models as golden

        kept = json.loads(golden.FILE.read_text(encoding="utf-8"))
        others = golden.crystals().keys() - FIRST
        for model, names in [(m, n) for n in (FIRST, others) for m in models]:
            for name, spectrum in golden.spectra(model, names).items():
                wanted = kept[model][name]
                error = golden.shape(spectrum) - np.array(wanted["density"]) / 1e5
                numbers = [(f(spectrum), wanted[k]) for k, f in golden.NUMBERS.items()]
                if not np.abs(error).max() < 1e-3 or not np.allclose(*np.array(numbers).T, 1e-3):
                    return "golden"
    except Exception:  # noqa: BLE001 - an error is a notice
        return "golden"
    import pytest

    arguments = ["-q", "-x", "-p", "no:cacheprovider", "-W", "ignore", "--no-header"]
    return "tests" if pytest.main([*arguments, *(str(TESTS / f) for f in files)]) else None


def tried(module: str, number: int) -> dict[str, Any]:
    """One change in a forked process."""
    name = f"ase_e3dos.{module}"
    path = TESTS.parent / "ase_e3dos" / Path(*module.split(".")).with_suffix(".py")
    source, about = changed(path.read_text(encoding="utf-8"), number)
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            resource.setrlimit(resource.RLIMIT_CPU, (CPU_SECONDS, CPU_SECONDS + 5))
            sys.meta_path.insert(0, Changed(name, path, source))
            with (
                contextlib.redirect_stdout(io.StringIO()),
                contextlib.redirect_stderr(io.StringIO()),
            ):
                by = noticed_by(*TARGETS[module])
            os.write(writing, (by or "nothing").encode())
        finally:
            os._exit(0)
    os.close(writing)
    with os.fdopen(reading, "rb") as stream:
        by = stream.read().decode() or "crash"
    os.waitpid(child, 0)
    return {"module": module, "number": number, **about, "noticed_by": by}


def main() -> None:
    """Try a sample of the changes of each module."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--per-module", type=int, default=10)
    parser.add_argument("--minutes", type=float, default=60.0)
    parser.add_argument("--modules", nargs="*", default=list(TARGETS))
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    sys.path.insert(0, str(TESTS.parent))
    import ase.build
    import phonopy
    import pytest
    import scipy.optimize
    import torch

    del ase, phonopy, pytest, scipy
    torch.set_num_threads(1)
    chosen = []
    for module in options.modules:
        path = TESTS.parent / "ase_e3dos" / Path(*module.split(".")).with_suffix(".py")
        n = sum(1 for _ in changes(ast.parse(path.read_text(encoding="utf-8"))))
        picked = random.Random(options.seed).sample(range(n), min(n, options.per_module))
        chosen.append([(module, number) for number in picked])
    order = [c for k in range(options.per_module) for part in chosen for c in part[k : k + 1]]
    rows, end = [], time.monotonic() + 60 * options.minutes
    for module, number in order:
        if time.monotonic() > end:
            break
        rows.append(tried(module, number))
        row = rows[-1]
        print(f"{row['noticed_by']:8} {module}:{row['line']} {row['before']} -> {row['after']}")
        survivors = sum(r["noticed_by"] == "nothing" for r in rows)
        summary = {"tried": len(rows), "noticed": len(rows) - survivors, "survived": survivors}
        text = json.dumps({**summary, "changes": rows}, indent=1) + "\n"
        (HERE / "mutations.json").write_text(text, encoding="utf-8")
    print(f"{len(rows)} changes of {len(order)} chosen")


if __name__ == "__main__":
    main()
