"""Parts of pages that are made when the site is built: the commands' options, the models' table.

In a page: ```{command-reference}``` and ```{model-table}```, both without contents.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

ROOT = Path(__file__).resolve().parents[2]
MODELS = ROOT / "ase_e3dos" / "models"
#: Measures of the cards, on the DFPT validation set: key, heading.
MEASURES = (("R2", "R²"), ("MAE", "MAE"), ("WD", "W₁"), ("wbar", "mean"), ("Cv_atom", "C_V"))


def command_reference() -> Iterator[str]:
    """Lines of Markdown: each command with its arguments and options."""
    from typer.main import get_command

    from ase_e3dos.cli import build_app
    from ase_e3dos.plugins.builtin import COMMANDS

    group: Any = get_command(build_app())
    for name in COMMANDS:
        context = group.make_context("e3dos", [name], resilient_parsing=True)
        yield from _command(f"e3dos {name}", group.resolve_command(context, [name])[1])


def _command(name: str, command: Any) -> Iterator[str]:
    parts = getattr(command, "commands", None)
    arguments = [p for p in command.params if p.param_type_name == "argument"]
    usage = " ".join([name, *(p.metavar or p.name.upper() for p in arguments)])
    yield from ("", f"## `{name}`", "")
    help_text = " ".join((command.help or "").split("\f")[0].split("\n\n")[0].split())
    yield from (help_text, "")
    if parts:
        for part, below in parts.items():
            yield from _command(f"{name} {part}", below)
        return
    yield from ("```text", f"{usage} [OPTIONS]", "```", "", "| option | what it is |")
    yield "| --- | --- |"
    for parameter in command.params:
        record = parameter.get_help_record(_context(command))
        if record is None or "--help" in parameter.opts:
            continue
        options, text = record
        yield f"| {_spelt(options)} | {_cell(text)} |"


def _context(command: Any) -> Any:
    return command.context_class(command)


def _spelt(options: str) -> str:
    """Options as code, one line; a bar inside of code ends a cell unless it is escaped."""
    return "`" + " ".join(options.split()).replace("|", "\\|") + "`"


def _cell(text: str) -> str:
    text = re.sub(r"\[/?[a-z ]+\]", "", " ".join(text.split()))  # rich's colours
    return text.replace("|", "\\|").replace("<", "&lt;").replace("[default:", "[by default:")


def model_table() -> Iterator[str]:
    """Lines of Markdown: the cards side by side."""
    names = ["default", *sorted(p.stem for p in MODELS.glob("*.md") if p.stem != "default")]
    yield "| model | what it is | points (cm⁻¹) | " + " | ".join(h for _, h in MEASURES) + " |"
    yield "| --- | --- | --- |" + " ---: |" * len(MEASURES)
    for name in names:
        card = (MODELS / f"{name}.md").read_text(encoding="utf-8")
        title = re.search(r"^# [\w-]+: (.*)$", card, re.MULTILINE)
        grid = re.search(r"^- Grid: (.*)$", card, re.MULTILINE)
        measured = re.search(
            rf"^{name} on dfpt_petretto\.parquet, split valid\n(.*)$", card, re.MULTILINE
        )
        values = dict(re.findall(r"(\w+)=(\S+)", measured[1])) if measured else {}
        cells = [_short(values.get(key, "")) for key, _ in MEASURES]
        if title is None or grid is None:
            raise ValueError(
                f"{name}.md: the card has no title '# {name}: ...' or no line '- Grid:'"
            )
        points = re.sub(r" points from (\S+) to (\S+) cm\^-1", r": \1 to \2", grid[1])
        yield f"| [{name}]({name}.md) | {title[1]} | {points} | " + " | ".join(cells) + " |"


def _short(value: str) -> str:
    return f"{float(value):.3g}" if value else ""


class _Generated(SphinxDirective):
    """Markdown lines in the place of a directive."""

    def lines(self) -> Iterator[str]:
        raise NotImplementedError

    def run(self) -> list[nodes.Node]:
        return self.parse_text_to_nodes("\n".join(self.lines()), allow_section_headings=True)


class CommandReference(_Generated):
    """Every command with every option."""

    def lines(self) -> Iterator[str]:
        return command_reference()


class ModelTable(_Generated):
    """The models side by side."""

    def lines(self) -> Iterator[str]:
        return model_table()


def setup(app: Sphinx) -> dict[str, Any]:
    """Register both directives."""
    app.add_directive("command-reference", CommandReference)
    app.add_directive("model-table", ModelTable)
    return {"parallel_read_safe": True}
