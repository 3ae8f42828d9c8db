"""Every link, anchor and repository path of the pages leads somewhere."""

from __future__ import annotations

import itertools
import re
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
LINK = re.compile(r"\]\(([^)\s]+)\)")
FOLDERS = "golden|hw|model|sim|spikewright|tests|bench|docs|examples"
PATH = re.compile(rf"(?<![\w./-])(?:{FOLDERS}|\.ci|\.github)/[\w./{{}},*-]*")


@cache
def anchors(page: Path) -> frozenset[str]:
    """The anchors of a page's headings, as GitHub makes them."""
    text = re.sub(r"^```.*?^```", "", page.read_text(), flags=re.M | re.S)
    heads = [head.strip().lower() for head in re.findall(r"^#+ (.*)$", text, re.M)]
    return frozenset(re.sub(r"[^\w -]", "", head).replace(" ", "-") for head in heads)


def broken_links(page: Path, text: str) -> list[str]:
    """Relative links of a page that lead nowhere."""
    broken = []
    for link in LINK.findall(text):
        if link.startswith(("http://", "https://")):
            continue
        name, _, anchor = link.partition("#")
        target = page.parent / name if name else page
        if not target.exists() or (anchor and anchor not in anchors(target)):
            broken.append(link)
    return broken


def expanded(path: str) -> list[str]:
    """`a/{b,c}.py` as a shell reads it."""
    parts = re.split(r"\{([^}]*)\}", path)
    choices = [part.split(",") if index % 2 else [part] for index, part in enumerate(parts)]
    return ["".join(choice) for choice in itertools.product(*choices)]


def missing_paths(text: str) -> list[str]:
    """Paths below the folders of the repository that are not there; `sim/SIMULATOR` is not one."""
    named = [path for found in PATH.findall(text) for path in expanded(found.rstrip(".,"))]
    missing = [path for path in named if not any(ROOT.glob(path.rstrip("/")))]
    return [path for path in missing if not re.search(r"/[A-Z]+(?:/|$)", path)]


def test_links_and_anchors_lead_somewhere(page):
    assert broken_links(page, page.read_text()) == []


def test_paths_of_the_repository_exist(page):
    assert missing_paths(page.read_text()) == []


def test_there_are_links_anchors_and_paths(pages):
    text = "".join(page.read_text() for page in pages)
    assert len(pages) > 30
    assert len(LINK.findall(text)) > 60
    assert sum("#" in link for link in LINK.findall(text)) > 10
    assert len(PATH.findall(text)) > 100


def test_what_does_not_exist_is_found():
    page = ROOT / "docs" / "hardware.md"
    wrong = "[a](nothing.md) [b](plan.md#no-such-heading) [c](#nor-this) [d](plan.md) [e](#files)"
    assert broken_links(page, wrong) == ["nothing.md", "plan.md#no-such-heading", "#nor-this"]
    wrong = "`hw/core/{join,nothing}.py` and golden/cycles/machine.py, but hw/core/lane.py."
    assert missing_paths(wrong) == ["hw/core/nothing.py", "golden/cycles/machine.py"]
    assert missing_paths("`docs/nothing*.svg`") == ["docs/nothing*.svg"]


def packages(folder: Path) -> set[str]:
    return {
        each.parent.name for each in folder.glob("*/__init__.py") if not each.parent.is_symlink()
    }


def test_the_tree_of_contributing_is_the_tree(blocks):
    """All folders at the top, and all rooms of every part, each once."""
    page = (ROOT / "CONTRIBUTING.md").read_text()
    (tree,) = [block for block in blocks(page, "") if block.startswith("golden/")]
    shown: dict[str, set[str]] = {}
    for line in tree.splitlines():
        for name in re.findall(r"^([\w-]+)/", line):
            part = shown.setdefault(name, set())
        for name in re.findall(r"^  ([\w-]+)/ ", line):
            assert name not in part, line
            part.add(name)
    for part in ("golden", "hw", "model", "sim", "spikewright"):
        assert shown[part] - {"templates"} == packages(ROOT / part), part
    assert set(shown) >= {"tests", "bench", "docs"}


def test_the_rooms_of_decision_12_are_those_of_import_linter(table):
    page = (ROOT / "docs/decisions/0012-rooms.md").read_text()
    rows = table(page, "12. Rooms")
    assert " ".join(row[0] for row in rows) == "`golden` `model` `hw` `sim` `spikewright`"
    for part, rooms, modules in rows:
        folder = ROOT / part.strip("`")
        named = re.findall(r"`(\w+)`", rooms)
        assert sorted(named) == sorted(packages(folder)), part
        beside = re.findall(r"`(\w+)`", modules)
        own = {each.stem for each in folder.glob("*.py")} - {"__init__"}
        assert set(beside) == own or part == "`spikewright`", part
