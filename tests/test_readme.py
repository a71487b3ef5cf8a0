"""The README's recipes, each as it stands."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

README = Path(__file__).resolve().parents[1] / "README.md"
RECIPES = re.findall(
    r"^\*\*(.+?)\.\*\*.*?```python\n(.*?)```", README.read_text(), re.DOTALL | re.MULTILINE
)


def test_there_are_six_recipes() -> None:
    assert len(RECIPES) == 6


@pytest.mark.usefixtures("default_model")
@pytest.mark.parametrize(("title", "code"), RECIPES, ids=[title for title, _ in RECIPES])
def test_recipe(
    title: str, code: str, tmp_path: Path, crystals_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(crystals_folder, tmp_path / "docs" / "crystals")
    monkeypatch.chdir(tmp_path)
    exec(compile(code, f"README: {title}", "exec"), {})  # the README is ours


def links(text: str) -> list[str]:
    return re.findall(r"\]\(([^)#]+)[^)]*\)", text)


def test_links_of_the_readme_lead_to_files() -> None:
    text = README.read_text()
    own = [target for target in links(text) if not target.startswith("https://")]
    assert len(own) > 10
    for target in [*own, *re.findall(r"docs/crystals/[\w.]+", text)]:
        assert (README.parent / target).exists(), target


def test_links_are_absolute_once_the_repository_has_an_address(tmp_path: Path) -> None:
    """PyPI shows the README, and knows nothing of the files around it."""
    script = README.parent / ".ci" / "set_repository.py"
    if not script.is_file():
        pytest.skip("the script is not in this copy of the package")
    for name in ("README.md", "pyproject.toml"):
        shutil.copy(README.parent / name, tmp_path)
    address = "https://example.org/owner/name"
    subprocess.run([sys.executable, script, address, "--folder", tmp_path], check=True)
    text = (tmp_path / "README.md").read_text()
    assert all(target.startswith("https://") for target in links(text))
    assert f"[docs/limits.md]({address}/blob/main/docs/limits.md)" in text
    assert f"]({address}/raw/main/docs/figures/SrTiO3.png)" in text
    urls = tomllib.loads((tmp_path / "pyproject.toml").read_text())["project"]["urls"]
    assert urls["Homepage"] == address
    assert urls["Paper"].startswith("https://doi.org/")


def test_cpu_build_is_named_before_the_first_command() -> None:
    text = README.read_text()
    assert 0 < text.find("https://download.pytorch.org/whl/cpu") < text.find("```console")
