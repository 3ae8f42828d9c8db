"""The user's cache: what is made once for a machine, and shared by all builds."""

from __future__ import annotations

import os
from pathlib import Path


def user_cache() -> Path:
    """The folder: $SPIKEWRIGHT_CACHE, or `spikewright` in the user's cache folder."""
    override = os.environ.get("SPIKEWRIGHT_CACHE")
    if override:
        return Path(override)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "spikewright"
