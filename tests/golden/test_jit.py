"""Compiled code that is kept must be of the sources that are there."""

import numpy as np

from golden import credits, jit, ledger, schedule


def test_a_changed_source_changes_the_type_that_code_is_kept_by(tmp_path):
    one, two = tmp_path / "one.py", tmp_path / "two.py"
    one.write_text("a = 1\n")
    two.write_text("b = 2\n")
    before = np.dtype([("x", np.int64), jit.source_field(str(one), str(two))])
    assert before == np.dtype([("x", np.int64), jit.source_field(str(one), str(two))])
    two.write_text("b = 3\n")
    assert before != np.dtype([("x", np.int64), jit.source_field(str(one), str(two))])
    assert before.itemsize == 8


def test_the_schedule_names_every_file_that_is_compiled_into_it():
    files = {
        function.py_func.__code__.co_filename
        for module in (credits, ledger, schedule)
        for function in vars(module).values()
        if hasattr(function, "py_func")
    }
    name, *_ = jit.source_field(schedule.__file__, credits.__file__, ledger.__file__)
    assert files == {schedule.__file__, credits.__file__, ledger.__file__}
    assert name in (schedule.CORE.names or ())
