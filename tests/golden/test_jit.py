"""Compiled code that is kept must be of the sources that are there."""

from pathlib import Path

import numpy as np

from spikewright.golden import jit
from spikewright.golden.cycles import clock, core_step, stalls, state


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
