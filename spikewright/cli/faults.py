"""A fault of the kit: an error that nobody foresaw. One line, and the traceback in a file."""

from __future__ import annotations

import tempfile
import traceback
from pathlib import Path

EXIT_CODE = 70  # EX_SOFTWARE of sysexits.h: never 1, which means that a check failed


def report(error: BaseException) -> str:
    """Write the traceback of `error` to a file; returns the line that says where it is."""
    frames = traceback.extract_tb(error.__traceback__)
    at = f" at {Path(frames[-1].filename).name}:{frames[-1].lineno}" if frames else ""
    told = " ".join(str(error).split())
    what = f"{type(error).__name__}{at}: {told[:160]}"
    return f"a fault of Spikewright, not of your input: {what}; {_kept(error)}; please report it"


def _kept(error: BaseException) -> str:
    lines = "".join(traceback.format_exception(error))
    try:
        with tempfile.NamedTemporaryFile(
            "w", prefix="spikewright-fault-", suffix=".txt", delete=False,
            encoding="utf-8", errors="backslashreplace",
        ) as file:  # fmt: skip
            file.write(lines)
    except OSError as failure:
        return f"its traceback cannot be kept in {tempfile.gettempdir()} ({failure.strerror})"
    return f"its traceback is in {file.name}"
