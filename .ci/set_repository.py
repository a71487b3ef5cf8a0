"""Write the address of the public repository where a published package needs it.

`python .ci/set_repository.py https://HOST/OWNER/NAME` makes the README's links absolute, as PyPI
needs them, and adds the project's addresses to pyproject.toml. A step of the release: until the
repository has a public address, the links lead to the files around the README.
"""

from __future__ import annotations

import argparse
import re
from pathlib import Path

PAGES = {"Homepage": "", "Documentation": "/tree/main/docs", "Issues": "/issues",
         "Changelog": "/blob/main/CHANGELOG.md"}  # fmt: skip


def absolute_links(text: str, address: str) -> str:
    """Markdown whose relative links and pictures lead to files of the repository."""

    def absolute(match: re.Match[str]) -> str:
        mark, label, target = match.groups()
        kind = "raw" if mark else "blob"
        return f"{mark}[{label}]({address}/{kind}/main/{target})"

    return re.sub(r"(!?)\[([^\]]*)\]\((?!https?:|#)([^)]+)\)", absolute, text)


def with_addresses(text: str, address: str) -> str:
    """pyproject.toml with the addresses of the project."""
    lines = "".join(f'{name} = "{address}{page}"\n' for name, page in PAGES.items())
    return text.replace("[project.urls]\n", f"[project.urls]\n{lines}", 1)


def main() -> None:
    """Change the two files of the folder that is given, or this one's repository."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("address", help="https://HOST/OWNER/NAME")
    parser.add_argument("--folder", type=Path, default=Path(__file__).resolve().parents[1])
    options = parser.parse_args()
    address = options.address.rstrip("/")
    for name, change in (("README.md", absolute_links), ("pyproject.toml", with_addresses)):
        path = options.folder / name
        path.write_text(change(path.read_text(encoding="utf-8"), address), encoding="utf-8")


if __name__ == "__main__":
    main()
