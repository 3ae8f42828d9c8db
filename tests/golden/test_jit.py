"""Compiled code that is kept must be of the sources that are there."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from spikewright.golden import jit
from spikewright.golden.cycles import clock, core_step, stalls, state
from spikewright.golden.models import kernels
from spikewright.model.ops import surrogate

ROOT = Path(__file__).parents[2]


def test_a_changed_source_changes_the_type_that_code_is_kept_by(tmp_path):
    one, two = tmp_path / "one.py", tmp_path / "two.py"
    one.write_text("a = 1\n")
    two.write_text("b = 2\n")
    before = np.dtype([("x", np.int64), jit.source_field(str(one), str(two))])
    assert before == np.dtype([("x", np.int64), jit.source_field(str(one), str(two))])
    two.write_text("b = 3\n")
    assert before != np.dtype([("x", np.int64), jit.source_field(str(one), str(two))])
    assert before.itemsize == 8


def test_the_cycle_model_names_every_file_that_is_compiled_into_it():
    files = {
        Path(function.py_func.__code__.co_filename)
        for module in (clock, stalls, core_step)
        for function in vars(module).values()
        if hasattr(function, "py_func")
    }
    named = [Path(state.__file__).parents[1] / name for name in state.COMPILED]
    assert files <= set(named)
    name, *_ = jit.source_field(*map(str, named))
    assert name in (state.CORE.names or ())


def cache_file(folder: Path, stamp: str = "of the source") -> Any:
    return jit._CacheFile(str(folder), "function-1.py311", stamp)


@pytest.mark.parametrize("last", ["integers", "floats"])
def test_two_processes_that_compile_at_once_never_get_each_others_code(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, last: str
) -> None:
    """Both read the index before the other writes it; one index and one data file come last."""
    first, second = cache_file(tmp_path), cache_file(tmp_path)
    first_index, second_index, first_data = (
        first._save_index, second._save_index, first._save_data,
    )  # fmt: skip

    def both_indices(mine: dict[str, str]) -> None:
        def its(theirs: dict[str, str]) -> None:
            first_index(mine)
            if last == "floats":
                first_data(mine["integers"], "code for integers")
            second_index(theirs)

        monkeypatch.setattr(second, "_save_index", its)
        second.save("floats", "code for floats")

    monkeypatch.setattr(first, "_save_index", both_indices)
    if last == "floats":
        monkeypatch.setattr(first, "_save_data", lambda *_: None)
    first.save("integers", "code for integers")
    for key in ("integers", "floats"):
        assert cache_file(tmp_path).load(key) in (None, f"code for {key}")
    for key in ("integers", "floats"):
        cache_file(tmp_path).save(key, f"code for {key}")
        assert cache_file(tmp_path).load(key) == f"code for {key}"


def test_code_of_an_older_source_is_not_run_after_a_kill(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache_file(tmp_path, "of an older source").save("integers", "old code")
    killed = cache_file(tmp_path)
    monkeypatch.setattr(killed, "_save_data", lambda *_: None)  # it has no time for that
    killed.save("integers", "new code")
    assert cache_file(tmp_path).load("integers") is None


def test_what_no_index_names_is_removed(tmp_path: Path) -> None:
    cache_file(tmp_path, "of an older source").save("integers", "old code")
    (tmp_path / "function-10.py311.1.nbc").write_text("of another function")
    found = cache_file(tmp_path)
    found.save("integers", "new code")
    found.save("floats", "new code")
    names = sorted(path.name for path in tmp_path.iterdir())
    assert len(names) == 4
    assert names[-1] == "function-10.py311.1.nbc"


def test_every_compiled_function_is_cached_so() -> None:
    """Numba's own cache is used nowhere in the kit."""
    parts = ("golden", "model", "sim", "hw")
    sources = [path for part in parts for path in (ROOT / part).rglob("*.py")]
    assert [path.name for path in sources if "cache=True" in path.read_text()] == ["jit.py"]
    assert isinstance(kernels.list_events._cache._cache_file, jit._CacheFile)
    assert isinstance(surrogate.fill_slope._cache._cache_file, jit._CacheFile)
