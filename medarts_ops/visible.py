"""Text of others as people may be shown it: what a terminal or a page would obey is written out."""

from __future__ import annotations

import unicodedata


def visible(text: str, *, line_breaks: bool = False) -> str:
    r"""`text` with an escape such as `\x1b` in the place of each character that shows nothing by itself.

    These are controls (C0 and C1), what turns the direction of writing, lone surrogates (the bytes of a file's name
    that are no UTF-8) and line breaks, so that a value keeps to its line. With `line_breaks`, "\n" stays.
    """
    if text.isprintable():
        return text
    kept = "\n" if line_breaks else ""
    return "".join(letter if letter in kept or _shows(letter) else _escape(letter) for letter in text)


def _shows(letter: str) -> bool:
    return letter.isprintable() or unicodedata.category(letter) == "Zs"  # spaces of all widths are no danger


def _escape(letter: str) -> str:
    return letter.encode("unicode_escape").decode("ascii")
