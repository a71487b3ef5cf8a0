"""The code on the pages of docs/ does what stands there, and the tutorials' scripts run."""

from __future__ import annotations

import doctest
import importlib
import os
import re
import shutil
import subprocess
import sys
import warnings
from pathlib import Path

import pytest

DOCS = Path(__file__).resolve().parents[2] / "docs"
BLOCK = re.compile(r"^```pycon\n(.*?)^```", re.MULTILINE | re.DOTALL)
PAGES = sorted(
    p for p in DOCS.rglob("*.md") if "_build" not in p.parts and BLOCK.search(p.read_text())
)
#: Pages whose blocks of Python are complete, so that a reader may copy them.
WITH_PYTHON = ("index", "gallery", "howto/alloys", "howto/descriptors", "howto/displacements",
               "howto/experiments", "howto/isotopes", "howto/phases", "howto/phonopy-tools",
               "howto/uncertainty")  # fmt: skip
NEEDS = {"howto/descriptors": ("sklearn", "pandas"), "howto/experiments": ("periodictable",)}
EXAMPLES = ("encoder", "first_spectrum", "calculator", "phonopy_workflow", "qha")

pytestmark = [
    pytest.mark.skipif(not DOCS.is_dir(), reason="the documentation is not in this copy"),
    pytest.mark.usefixtures("default_model"),
]


@pytest.fixture
def copy_of_docs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """docs/ with crystals and scripts in an empty folder, which is the working directory."""
    for part in ("crystals", "examples"):
        shutil.copytree(DOCS / part, tmp_path / "docs" / part)
    (tmp_path / "docs" / "figures").mkdir()
    monkeypatch.chdir(tmp_path)
    return tmp_path / "docs"


@pytest.mark.parametrize("page", PAGES, ids=lambda p: str(p.relative_to(DOCS)))
def test_examples_on_pages(page: Path, copy_of_docs: Path) -> None:
    """All blocks of a page are one session."""
    text = page.read_text(encoding="utf-8")
    session = "\n".join(BLOCK.findall(text))
    test = doctest.DocTestParser().get_doctest(session, {}, page.name, str(page), 0)
    told: list[str] = []
    options = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        result = doctest.DocTestRunner(optionflags=options).run(test, out=told.append)
    assert result.attempted > 0
    assert result.failed == 0, "".join(told)


@pytest.mark.parametrize("page", WITH_PYTHON)
def test_python_on_pages_runs(page: str, copy_of_docs: Path) -> None:
    for package in NEEDS.get(page, ()):
        pytest.importorskip(package)
    text = (DOCS / f"{page}.md").read_text(encoding="utf-8")
    code = "\n".join(re.findall(r"^```python\n(.*?)^```", text, re.MULTILINE | re.DOTALL))
    assert code
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        exec(compile(f"import matplotlib; matplotlib.use('Agg')\n{code}", page, "exec"), {})


@pytest.mark.slow
@pytest.mark.parametrize("name", EXAMPLES)
def test_scripts_print_what_the_tutorials_show(name: str, copy_of_docs: Path) -> None:
    """The same lines up to the numbers, which depend on the weights and the platform."""
    done = subprocess.run(
        [sys.executable, "-W", "ignore", str(copy_of_docs / "examples" / f"{name}.py")],
        capture_output=True,
        text=True,
        env={**os.environ, "MPLBACKEND": "Agg"},
        timeout=900,
    )
    assert done.returncode == 0, done.stderr
    shown = (DOCS / "examples" / "output" / f"{name}.txt").read_text(encoding="utf-8")
    assert without_numbers(done.stdout) == without_numbers(shown)


def without_numbers(text: str) -> list[list[str]]:
    """Words of each line, numbers all alike."""
    return [re.sub(r"-?\d+(\.\d+)?", "#", line).split() for line in text.splitlines()]


@pytest.mark.parametrize("script", ["data_tables", "speed_table"])
def test_tables_are_what_scripts_write_from_records(script: str, tmp_path: Path) -> None:
    """No number between the marks of a page was typed in."""
    copy = shutil.copytree(DOCS / "benchmarks", tmp_path / "benchmarks")
    subprocess.run([sys.executable, str(copy / f"{script}.py")], check=True, capture_output=True)
    for page in ("index", "data-efficiency"):
        ours = (DOCS / "benchmarks" / f"{page}.md").read_text(encoding="utf-8")
        assert (copy / f"{page}.md").read_text(encoding="utf-8") == ours


def test_every_figure_and_output_is_there() -> None:
    """Files that pages include; Sphinx says so too, but needs the docs extra."""
    missing = []
    for page in DOCS.rglob("*.md"):
        for target in re.findall(r"\{(?:image|figure|literalinclude)\} (\S+)", page.read_text()):
            path = (page.parent / target).resolve()
            if not path.is_file() or not path.stat().st_size:
                missing.append(f"{page.relative_to(DOCS)}: {target}")
    assert not missing


@pytest.mark.parametrize("page", ["architecture", "extend"])
def test_modules_named_for_developers_are_there(page: str) -> None:
    text = (DOCS / "develop" / f"{page}.md").read_text(encoding="utf-8")
    for path in re.findall(r"`((?:ase_e3dos|plugins|tests)/[\w/.-]+)`", text):
        assert (DOCS.parent / path).exists() or "NAME" in path, path
    names = set(re.findall(r"`(ase_e3dos(?:\.\w+)+)", text))
    assert len(names) > 5
    for name in names:
        module, found = name, None
        while found is None:  # what is left over are attributes
            try:
                found = importlib.import_module(module)
            except ModuleNotFoundError:
                module = module.rpartition(".")[0]
        for part in name.removeprefix(module).split(".")[1:]:
            found = getattr(found, part)
