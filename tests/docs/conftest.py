"""The pages of the project, and what their fenced blocks hold."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """A test with the argument `page` runs for every page."""
    if "page" in metafunc.fixturenames:
        names = [page.relative_to(ROOT).as_posix() for page in PAGES]
        metafunc.parametrize("page", PAGES, ids=names)


@pytest.fixture(scope="session")
def root() -> Path:
    return ROOT


@pytest.fixture(scope="session")
def pages() -> list[Path]:
    return PAGES


@pytest.fixture(scope="session")
def blocks():
    """The fenced blocks of a text in one language; "" are those without a name: shells, output."""

    def find(text: str, language: str) -> list[str]:
        return [
            body
            for name, body in re.findall(r"^```(\w*)\n(.*?)^```", text, re.M | re.S)
            if name == language
        ]

    return find


@pytest.fixture(scope="session")
def table():
    """The rows of the first table after a heading: cells as text, without head and rule."""

    def rows(text: str, heading: str) -> list[list[str]]:
        section = re.split(rf"^#+ {re.escape(heading)}$", text, maxsplit=1, flags=re.M)[1]
        lines = re.search(r"(?:^\|.*\n)+", section, re.M)
        assert lines is not None, heading
        found = [
            [cell.strip() for cell in line.strip("|").split(" | ")]
            for line in lines[0].strip().split("\n")[2:]
        ]
        assert found, heading
        return found

    return rows
