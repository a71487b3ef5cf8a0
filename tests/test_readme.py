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


def test_links_of_the_readme_are_absolute_and_lead_to_files() -> None:
    """PyPI shows the README, and knows nothing of the files around it."""
    text = README.read_text()
    targets = re.findall(r"\]\(([^)#]+)\)", text)
    assert all(target.startswith("https://") for target in targets)
    own = re.findall(r"\]\(https://[\w.]+/ase-e3dos/ase-e3dos/(?:blob/)?main/([^)#]+)\)", text)
    assert len(own) > 10
    for target in own:
        assert (README.parent / target).exists(), target
    for crystal in re.findall(r"docs/crystals/[\w.]+", text):
        assert (README.parent / crystal).exists(), crystal


def test_cpu_build_is_named_before_the_first_command() -> None:
    text = README.read_text()
    assert 0 < text.find("https://download.pytorch.org/whl/cpu") < text.find("```console")
