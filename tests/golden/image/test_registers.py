"""One table, many faces: map, header, page and driver say the same."""

import re
from pathlib import Path

import pytest

from spikewright.golden.errors import BadInput
from spikewright.golden.image.host_interface import HostInterface
from spikewright.golden.image.registers import (
    ADDRESS_BITS,
    REGISTERS,
    Identity,
    c_header,
    describe,
    page,
)

IDENTITY = Identity(
    cores=3, lanes=12, timesteps=4, inputs=784, outputs=10, shape="0123456789abcdef" * 4,
    network="fedcba9876543210" * 4, loadable=False, counters=True,
)  # fmt: skip


def test_registers_do_not_overlap_and_fit_the_block():
    places = [each.offset + 4 * i for each in REGISTERS for i in range(each.count)]
    assert len(set(places)) == len(places)
    assert max(places) < 1 << ADDRESS_BITS
    for each in REGISTERS:
        bits = [field.low + i for field in each.fields for i in range(field.width)]
        assert len(set(bits)) == len(bits)
        assert all(bit < 32 for bit in bits)


def test_the_header_says_what_the_json_says():
    text = c_header(IDENTITY)
    defined = dict(re.findall(r"#define SPIKEWRIGHT_(\w+) (\w+?)u?\b", text))
    for row in describe(IDENTITY)["registers"]:
        name = row["name"]
        assert int(defined[name], 16) == row["offset_bytes"]
        for field in row["fields"]:
            mask = ((1 << field["width_bits"]) - 1) << field["low_bit"]
            assert int(defined[f"{name}_{field['name'].upper()}"], 16) == mask
        for index, value in enumerate(row["reset"]):
            key = f"{name}_VALUE" + (f"_{index}" if row["count"] > 1 else "")
            assert int(defined.get(key, hex(value)), 16) == value


def test_a_loadable_build_starts_without_a_network():
    about = Identity(**{**vars(IDENTITY), "loadable": True})
    resets = about.resets()
    assert resets["NETWORK"] == (0,) * 8
    assert (resets["CONTROL"], resets["STATUS"]) == ((0,), (0,))
    assert IDENTITY.resets()["CONTROL"] == (1,)


def test_the_page_is_that_of_the_table():
    assert (Path(__file__).parents[3] / "docs" / "registers.md").read_text() == page()


def test_what_cannot_be_is_one_line():
    with pytest.raises(BadInput, match="number of cores is 129, must be at most 128"):
        Identity(**{**vars(IDENTITY), "cores": 129})
    with pytest.raises(BadInput, match="registers is left out, must be there in a loadable"):
        HostInterface(registers=False, loadable=True)
