"""The README's recipes, each as it stands."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest

README = Path(__file__).resolve().parents[1] / "README.md"
RECIPES = re.findall(
    r"^\*\*(.+?)\.\*\*.*?```python\n(.*?)```", README.read_text(), re.DOTALL | re.MULTILINE
)


def test_there_are_five_recipes() -> None:
    assert len(RECIPES) == 5


@pytest.mark.usefixtures("default_model")
@pytest.mark.parametrize(("title", "code"), RECIPES, ids=[title for title, _ in RECIPES])
def test_recipe(
    title: str, code: str, tmp_path: Path, crystals_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(crystals_folder, tmp_path / "docs" / "crystals")
    monkeypatch.chdir(tmp_path)
    exec(compile(code, f"README: {title}", "exec"), {})  # the README is ours


def test_files_that_the_readme_names_are_there() -> None:
    text = README.read_text()
    for target in re.findall(r"\]\((?!https?:)([^)#]+)\)", text):
        assert (README.parent / target).exists(), target
    for crystal in re.findall(r"docs/crystals/[\w.]+", text):
        assert (README.parent / crystal).exists(), crystal
