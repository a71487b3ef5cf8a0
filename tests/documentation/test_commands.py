"""Commands of the pages run as written, from a clone. Not run are those that only show a form, and
those that take long or need what a clone has not, which docs/commands_not_run.toml lists with the
reason; their options are checked. ``python tests/documentation/test_commands.py`` counts them.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
LIST = DOCS / "commands_not_run.toml"
PAGES = [
    page
    for pattern in ("*.md", "docs/**/*.md", "plugins/*/README.md", "ase_e3dos/models/*.md")
    for page in sorted(ROOT.glob(pattern))
    if not {"_build", "node_modules"} & set(page.parts) and page.name != "CHANGELOG.md"
]
BLOCK = re.compile(r"^( *)(`{3,})([^\n`]*)\n(.*?)^\1\2\s*$", re.MULTILINE | re.DOTALL)
SPAN = re.compile(r"(?<!`)`([^`]+)`(?!`)")
PROGRAM = re.compile(
    r"(?:\.venv/bin/|\.tox-venv/bin/)?(e3dos|phonopy-\w+|python|pip|tox|git|conda)(\s|$)"
)
#: A word in capitals that stands for what the reader has, "..." and "[x]": a synopsis.
PLACEHOLDER = re.compile(r"(?<![\w./=:-])[A-Z][A-Z_]{2,}(\.\w+)?(?![\w./])|\.\.\.|\[[A-Z]|vX")

pytestmark = pytest.mark.skipif(not DOCS.is_dir(), reason="the documentation is not in this copy")


class Command(NamedTuple):
    """A command of a page."""

    page: str
    text: str

    @property
    def is_synopsis(self) -> bool:
        """Whether it only names a command, or leaves something to be put in."""
        words = self.text.split()
        names = len(words) == 2 and words[0] == "e3dos" and words[1] not in ("models", "plugins")
        return PLACEHOLDER.search(self.text) is not None or (names and words[1][0] != "-")


def commands_of(page: Path) -> list[Command]:
    """Commands in blocks and in spans of code, in the order of the page, each once."""
    text = page.read_text(encoding="utf-8")
    name = str(page.relative_to(ROOT))
    found: list[tuple[int, str]] = []
    for block in BLOCK.finditer(text):
        language = block[3].strip().strip("{}").split(" ")[0]
        if language not in ("", "console", "bash", "sh", "shell", "text"):
            continue
        lines = re.sub(r"\\\n\s*(?:> )?", "", block[4])
        for line in lines.splitlines():
            line = line.strip()
            if line.startswith("$ ") or (language != "text" and PROGRAM.match(line)):
                found.append((block.start(), line.removeprefix("$ ")))
    prose = BLOCK.sub(lambda b: " " * len(b[0]), text)
    for line in re.finditer(r"^ {4}(e3dos .*)$", prose, re.MULTILINE):  # blocks by indentation
        found.append((line.start(), line[1]))
    for span in SPAN.finditer(prose):
        command = " ".join(span[1].split())
        if PROGRAM.match(command) and " " in command:
            found.append((span.start(), command))
    found.sort(key=lambda item: item[0])
    return [Command(name, c) for c in dict.fromkeys(c for _, c in found)]


def not_run() -> list[dict[str, str]]:
    """What is not run: `begins` or `contains`, and the `reason`."""
    rows: list[dict[str, str]] = tomllib.loads(LIST.read_text(encoding="utf-8"))["not_run"]
    return rows


def excuses(row: dict[str, str], command: Command) -> bool:
    if "begins" in row:
        return command.text.startswith(row["begins"])
    return row["contains"] in command.text


def excused(command: Command) -> bool:
    return any(excuses(row, command) for row in not_run())


COMMANDS = (
    {str(page.relative_to(ROOT)): commands_of(page) for page in PAGES} if LIST.exists() else {}
)
RUN = {
    page: [c for c in found if not c.is_synopsis and not excused(c)]
    for page, found in COMMANDS.items()
}


def test_commands_are_found_and_the_list_is_not_stale() -> None:
    every = [c for found in COMMANDS.values() for c in found]
    assert len(every) > 100
    assert sum(map(len, RUN.values())) > 40
    for row in not_run():
        assert len(row["reason"]) > 10, row
        assert any(excuses(row, c) for c in every), f"no page has such a command any more: {row}"


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """What a clone has, without the figures, as the working directory's contents."""
    keep = shutil.ignore_patterns("_build", "figures", "__pycache__", "*.egg-info", "notebooks")
    for part in ("docs", "plugins"):
        shutil.copytree(ROOT / part, tmp_path / part, ignore=keep)
    for folder in ("docs/figures/gallery",):
        (tmp_path / folder).mkdir(parents=True)
    for item in ROOT.iterdir():
        if item.name not in ("docs", "plugins") and not item.name.startswith("."):
            (tmp_path / item.name).symlink_to(item)
    return tmp_path


#: Commands that ran once; those that only list what is installed need not run for each page.
DONE: set[str] = set()
LISTS = ("e3dos models", "e3dos plugins", "e3dos --help")


@pytest.mark.usefixtures("default_model")
@pytest.mark.parametrize("page", [page for page, found in RUN.items() if found])
def test_commands_of_a_page_run_as_written(
    page: str,
    clone: Path,
    run_cli: Callable[..., tuple[int, str, str]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """One after the other, in one folder, as a reader would."""
    monkeypatch.chdir(clone)
    monkeypatch.setenv(
        "PATH", os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    )
    for command in RUN[page]:
        if command.text in DONE and command.text.startswith(LISTS):
            continue
        DONE.add(command.text)
        words = [
            match
            for word in shlex.split(command.text, comments=True)
            for match in (sorted(map(str, Path().glob(word))) if "*" in word else [word])
        ]
        if words[0] == "e3dos":
            code, out, err = run_cli(*words[1:])
        else:
            done = subprocess.run(
                [sys.executable if words[0] == "python" else words[0], *words[1:]],
                capture_output=True,
                text=True,
                env={**os.environ, "MPLBACKEND": "Agg"},
                timeout=300,
            )
            code, out, err = done.returncode, done.stdout, done.stderr
        assert code == 0, f"{command.page}: {command.text}\n{out[-500:]}\n{err[-1500:]}"


@pytest.mark.parametrize("page", [page for page, found in COMMANDS.items() if found])
def test_commands_and_options_that_pages_name_exist(page: str) -> None:
    """Of those that are not run, too."""
    from ase_e3dos.plugins import get_registry

    known = get_registry().commands()
    for command in COMMANDS[page]:
        words = re.split(r"\s+", command.text.partition(" #")[0])
        if words[0] != "e3dos" or words[1].startswith("-") or words[1] not in known:
            continue
        options = options_of(words[1])
        for word in words[2:]:
            option = re.match(r"--[a-z][a-z-]+", word)
            if option:
                assert option[0] in options | {"--help"}, f"{page}: {command.text}"


def options_of(name: str) -> set[str]:
    """Options of a command and of the commands below it."""
    from typer.main import get_command

    from ase_e3dos.cli import build_app

    group: Any = get_command(build_app())
    context = group.make_context("e3dos", [name], resilient_parsing=True)
    command = group.resolve_command(context, [name])[1]
    found: set[str] = set()
    for each in [command, *getattr(command, "commands", {}).values()]:
        for parameter in each.params:
            found |= {*parameter.opts, *parameter.secondary_opts}
    return found


def counted() -> str:
    """How many commands there are, how many of them are run, and why others are not."""
    every = [command for found in COMMANDS.values() for command in found]
    run, forms = sum(map(len, RUN.values())), sum(command.is_synopsis for command in every)
    return (
        f"{len(every)} commands on {len(PAGES)} pages: {run} are run, {len(every) - run - forms} "
        f"are not for a reason that {LIST.name} gives, {forms} only show a form"
    )


if __name__ == "__main__":
    sys.stdout.write(f"{counted()}\n")
