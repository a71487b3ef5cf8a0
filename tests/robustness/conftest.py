from __future__ import annotations

from typing import Any

COUNTS: list[dict[str, Any]] = []


def pytest_terminal_summary(terminalreporter: Any) -> None:
    if not COUNTS:
        return
    terminalreporter.section("damaged inputs")
    for row in COUNTS:
        told = ", ".join(f"{n} {outcome}" for outcome, n in row["outcomes"].items())
        terminalreporter.write_line(
            f"{row['kind']:9}{row['inputs']:5} inputs: {told}; slowest {row['slowest_s']} s"
        )
