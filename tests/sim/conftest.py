"""Builds that several tests share: kept between runs, named by what they are made of."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

KEPT = 40  # builds; a session makes about 15


def pytest_configure(config: pytest.Config) -> None:
    """Name the marker of the tests that need Icarus."""
    config.addinivalue_line("markers", "icarus: needs Icarus Verilog (make test-icarus)")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Icarus is a Debian package: its tests run only when asked for (`-m icarus`)."""
    if "icarus" in config.getoption("markexpr"):
        return
    wanted = [item for item in items if item.get_closest_marker("icarus") is None]
    config.hook.pytest_deselected(items=[item for item in items if item not in wanted])
    items[:] = wanted


@pytest.fixture(scope="session")
def simulations(request: pytest.FixtureRequest) -> Iterator[Path]:
    """A folder for simulator builds that outlives the session; builds in it are named by hash."""
    folder = request.config.cache.mkdir("simulations")
    yield folder
    builds = sorted(folder.glob("*/*"), key=lambda build: build.stat().st_mtime, reverse=True)
    for outdated in builds[KEPT:]:
        shutil.rmtree(outdated, ignore_errors=True)
