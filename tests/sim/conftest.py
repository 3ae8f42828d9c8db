"""Builds that several tests share: kept between runs, named by what they are made of."""

from __future__ import annotations

from pathlib import Path

import pytest


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
def simulations(request: pytest.FixtureRequest) -> Path:
    """A folder for simulator builds that outlives the session; builds in it are named by hash."""
    return request.config.cache.mkdir("simulations")
