"""What holds for every test: which ones run, and how many threads and how much compiling they take.

Many tests draw random networks. Those marked `sample` run for the seeds that the marker names in
every `make test`; the rest of the seeds is the campaign, which `make campaign` runs in full.
"""

from __future__ import annotations

import gc
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

# For this process and all that it starts, before any of them imports torch. The workers share the
# cores already: OpenMP's threads would only spin while they wait for each other.
os.environ.setdefault("OMP_NUM_THREADS", "1")
# Simulations of a second or two: compiling them well costs more than it saves.
os.environ.setdefault("SPIKEWRIGHT_OPTIMIZE", "-O0")
# Elaborated hardware is millions of objects that live until the test ends.
gc.set_threshold(50_000, 20, 50)

SIMULATIONS_KEPT = 60  # builds; a session makes about 30


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Mark the campaign; Icarus is a Debian package: its tests run only when asked for."""
    for item in items:
        for marker in item.iter_markers("sample"):
            [(name, kept)] = marker.kwargs.items()
            if item.callspec.params[name] not in kept:
                item.add_marker("campaign")
    if "icarus" in config.getoption("markexpr"):
        return
    unwanted = [item for item in items if item.get_closest_marker("icarus")]
    wanted = [item for item in items if not item.get_closest_marker("icarus")]
    config.hook.pytest_deselected(items=unwanted)
    items[:] = wanted


@pytest.fixture(scope="session")
def simulations(request: pytest.FixtureRequest) -> Iterator[Path]:
    """A folder for simulator builds, shared by all workers and sessions.

    A build is named by the hash of its sources and tools and appears complete or not at all.
    """
    folder = request.config.cache.mkdir("simulations")
    yield folder
    made = (build for build in folder.glob("*/*") if build.suffix != ".part")
    builds = sorted(made, key=lambda build: build.stat().st_mtime, reverse=True)
    for outdated in builds[SIMULATIONS_KEPT:]:
        shutil.rmtree(outdated, ignore_errors=True)
