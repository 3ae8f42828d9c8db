"""Every dotted name of the kit that a page mentions can be imported."""

from __future__ import annotations

import importlib
import re

import spikewright

# Not in quotation marks: there it is a group of entry points.
NAME = re.compile(r"(?<![\w/.\"-])spikewright((?:\.[A-Za-z_]\w*)+)")
SHORT = re.compile(r"\bsw\.(\w+)")


def unknown_names(text: str) -> list[str]:
    """Names `spikewright.x.y` and `sw.x` that are neither modules nor defined in one."""
    unknown = [f"spikewright{name}" for name in NAME.findall(text) if not defined(name[1:])]
    return unknown + [f"sw.{name}" for name in SHORT.findall(text) if name not in dir(spikewright)]


def defined(name: str) -> bool:
    """Whether each part of a name below `spikewright` is a module, or an attribute of the last."""
    value = spikewright
    for part in name.split("."):
        if not hasattr(value, part):
            try:
                importlib.import_module(f"{value.__name__}.{part}")
            except (ImportError, AttributeError):
                return False
        value = getattr(value, part)
    return True


def test_names_are_real(page):
    assert unknown_names(page.read_text()) == []


def test_there_are_names(pages):
    text = "".join(page.read_text() for page in pages)
    assert len(set(NAME.findall(text))) > 20
    assert len(set(SHORT.findall(text))) > 30


def test_a_wrong_name_is_found():
    right = "spikewright.golden.network.file.load, spikewright.hw.build, sw.verify"
    assert unknown_names(right) == []
    wrong = "spikewright.golden.reference.run, spikewright.golden.network.file.lead, sw.verifi"
    assert unknown_names(wrong) == [
        "spikewright.golden.reference.run", "spikewright.golden.network.file.lead", "sw.verifi",
    ]  # fmt: skip


def test_the_python_page_names_everything(root):
    page = (root / "docs/python.md").read_text()
    for name in spikewright.__all__:
        assert name.islower() is False or f"sw.{name}(" in page, name
