"""How many bits hold an index, or a range of integers."""

from __future__ import annotations


def bits_for(values: int) -> int:
    """How many bits an index into `values` things takes.

    >>> [bits_for(n) for n in (1, 2, 3, 4, 5)]
    [0, 1, 2, 2, 3]
    """
    return max(values - 1, 0).bit_length()


def signed_bits(lowest: int, highest: int) -> int:
    """The fewest two's-complement bits that hold every integer of `lowest..highest`.

    >>> signed_bits(0, 0), signed_bits(-1, 0), signed_bits(0, 1), signed_bits(-2, 1)
    (1, 1, 2, 2)
    >>> signed_bits(-128, 127), signed_bits(-128, 128), signed_bits(-129, 0)
    (8, 9, 9)
    """
    negative = (-1 - lowest).bit_length() if lowest < 0 else 0
    positive = highest.bit_length() if highest > 0 else 0
    return 1 + max(negative, positive)
