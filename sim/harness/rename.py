"""Prefixes the modules and memories of a Verilog text, so that designs can share a simulator."""

from __future__ import annotations

import re

_MODULE = re.compile(r"^\s*module\s+(\\\S+|\w+)", re.MULTILINE)
_MEMORY = re.compile(r'(\.INIT\(")(?!")')


def prefix_verilog(text: str, prefix: str) -> str:
    r"""`text` with `prefix` before every module it defines and every memory file it reads.

    >>> text = 'module \\a.b (x);\nendmodule\nmodule a (x);\n  \\a.b  b (\n'
    >>> prefix_verilog(text, 'p_').split('\n')[3] == '  \\p_a.b  b ('
    True
    """
    names = sorted(set(_MODULE.findall(text)), key=len, reverse=True)
    if not names:
        return text
    some = "|".join(re.escape(name) for name in names)
    # A definition or an instance: the name begins a line, and a blank, `(` or `#` follows.
    uses = re.compile(rf"^(\s*(?:module\s+)?)({some})(?=[\s(#;])", re.MULTILINE)

    def renamed(match: re.Match[str]) -> str:
        name = match[2]
        return match[1] + ("\\" + prefix + name[1:] if name.startswith("\\") else prefix + name)

    return _MEMORY.sub(rf"\g<1>{prefix}", uses.sub(renamed, text))
