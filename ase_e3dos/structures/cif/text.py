"""The text of a CIF file as blocks whose items are found by their names."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Any

from gemmi import cif

__all__ = ["Block", "CifSyntaxError", "blocks_of"]

#: Signs outside ASCII that numbers and symbols are written with; others become "~".
_ASCII = {
    "\N{MINUS SIGN}": "-", "\N{EN DASH}": "-", "\N{HYPHEN}": "-", "\N{NON-BREAKING HYPHEN}": "-",
    "\N{NO-BREAK SPACE}": " ", "\N{ZERO WIDTH NO-BREAK SPACE}": "", "\N{ZERO WIDTH SPACE}": "",
    "\N{VULGAR FRACTION ONE HALF}": "1/2", "\N{VULGAR FRACTION ONE QUARTER}": "1/4",
    "\N{VULGAR FRACTION THREE QUARTERS}": "3/4", "\N{VULGAR FRACTION ONE THIRD}": "1/3",
    "\N{VULGAR FRACTION TWO THIRDS}": "2/3", "\N{RIGHT SINGLE QUOTATION MARK}": "'",
    "\N{LEFT SINGLE QUOTATION MARK}": "'", "\N{LEFT DOUBLE QUOTATION MARK}": '"',
    "\N{RIGHT DOUBLE QUOTATION MARK}": '"',
    **{chr(0x2080 + k): str(k) for k in range(10)},  # subscripts
    **{chr(0x2070 + k): str(k) for k in range(4, 10)},
    "\N{SUPERSCRIPT TWO}": "2", "\N{SUPERSCRIPT THREE}": "3",
    "\N{DEGREE SIGN}": "", "\N{MIDDLE DOT}": ".", "\N{DOT OPERATOR}": ".", "\N{BULLET}": ".",
    "\N{LATIN CAPITAL LETTER A WITH RING ABOVE}": "A", "\N{ANGSTROM SIGN}": "A",
    "\N{SUPERSCRIPT PLUS SIGN}": "+", "\N{SUPERSCRIPT MINUS}": "-",
}  # fmt: skip
_NOT_ASCII = re.compile(r"[^\x00-\x7f]")
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")

#: What people write without the quotation marks that its spaces need.
_UNQUOTED_VALUE = re.compile(
    r"^([ \t]*_(?:symmetry|space_group|chemical_formula|chemical_name)[\w.\-\[\]]*[ \t]+)"
    r"(?![\"';])(\S+(?:[ \t]+[^#\s]\S*)+)[ \t]*(?=\r?$|[ \t]#)",
    re.MULTILINE | re.IGNORECASE,
)
_UNQUOTED_TRIPLET = re.compile(
    r"^([ \t]*(?:\d+[ \t]+)?)([-+xyz\d./ \t]+,[-+xyz\d./ \t]+,[-+xyz\d./ \t]+?)[ \t]*\r?$",
    re.MULTILINE | re.IGNORECASE,
)
_BLOCK_NAME = re.compile(r"^(data_\S*)[ \t]+(?!#)(?!_|loop_)(\S.*?)[ \t]*\r?$", re.MULTILINE | re.I)
#: Of CIF 2.0: texts in three quotation marks, and lists and tables without others inside.
_TRIPLE = re.compile(r"(?<=\s)('''|\"\"\")(.*?)\1(?=\s|$)", re.DOTALL)
_LIST = re.compile(r"(?<=\s)[\[{][^\n]*[\]}](?=[ \t]*(?:\n|$))")
_NUMERAL = re.compile(r"[-+]?(\d+\.?\d*|\.\d+)")
_CIF2 = re.compile(r"^#\\#CIF_2", re.MULTILINE)
_STOP = re.compile(r"^[ \t]*stop_[ \t]*\r?$", re.MULTILINE | re.IGNORECASE)
_HEADING = re.compile(r"^[ \t]*(data_|global_)", re.MULTILINE | re.IGNORECASE)
_FIRST_TAG = re.compile(r"^[ \t]*(_\w|loop_)", re.MULTILINE | re.IGNORECASE)


class CifSyntaxError(ValueError):
    """A text that is not a CIF file."""


class Block:
    """The items of one data block, by names in small letters with dots and hyphens as underscores.

    Parameters
    ----------
    block : gemmi.cif.Block

    Attributes
    ----------
    name : str
        Of the block.
    """

    def __init__(self, block: cif.Block) -> None:
        self.name: str = block.name
        self._values: dict[str, str | tuple[list[str], int, int]] = {}
        self._twice: set[str] = set()
        for item in block:
            pair: Any = item.pair
            if pair is not None:
                self._add(pair[0], pair[1])
                continue
            loop = item.loop
            if loop is not None:
                values, tags = loop.values, loop.tags
                width = len(tags)
                for k, tag in enumerate(tags):
                    self._add(tag, (values, k, width))

    def _add(self, tag: str, value: str | tuple[list[str], int, int]) -> None:
        name = tag.lower().replace(".", "_").replace("-", "_")
        if name in self._values and not _are_equal(_column(self._values[name]), _column(value)):
            self._twice.add(name)
        self._values[name] = value

    def __contains__(self, name: str) -> bool:
        return name in self._values

    def names(self) -> Iterator[str]:
        """Names of all items."""
        return iter(self._values)

    def column(self, *names: str) -> list[str | None] | None:
        """Values of the first item that is there, plain; None for those not known ("?", ".").

        A single value is a column of one.

        Parameters
        ----------
        *names : str
            Names of the same item, in order of preference.

        Returns
        -------
        list of (str or None), or None
            None if no item is there.

        Raises
        ------
        CifSyntaxError
            The item is there twice, with different values.
        """
        for name in names:
            if name in self._values:
                if name in self._twice:
                    raise CifSyntaxError(f"{name} is there twice, with different values")
                return [_plain(v) for v in _column(self._values[name])]
        return None

    def value(self, *names: str) -> str | None:
        """The first of the items that is there and known.

        Parameters
        ----------
        *names : str
            Names of the same item, in order of preference.

        Returns
        -------
        str or None
        """
        for name in names:
            found = self._values.get(name)
            if found is None:
                continue
            if name in self._twice or not isinstance(found, str):
                values: Iterable[str | None] = self.column(name) or ()
            else:
                values = (_plain(found),)
            for value in values:
                if value is not None:
                    return value
        return None


def _column(value: str | tuple[list[str], int, int]) -> list[str]:
    if isinstance(value, str):
        return [value]
    values, start, width = value
    return values[start::width]


def _are_equal(one: list[str], other: list[str]) -> bool:
    """Whether columns have the same texts or numbers: 5.64 is 5.640."""
    return one == other or (
        len(one) == len(other)
        and all(
            a == b or (_NUMERAL.fullmatch(a) and _NUMERAL.fullmatch(b) and float(a) == float(b))
            for a, b in zip(one, other, strict=True)
        )
    )


def _plain(value: str) -> str | None:
    """A value without its quotation marks; None for one that is not known."""
    first = value[:1]
    if first in ("'", '"') or (first == ";" and "\n" in value):
        return str(cif.as_string(value)).strip() or None
    return None if value in ("?", ".", "") else value


def blocks_of(text: str) -> Iterator[Block]:
    """Data blocks of a CIF text.

    Parameters
    ----------
    text : str

    Yields
    ------
    Block

    Raises
    ------
    CifSyntaxError
        It is not a CIF file; the message says what is wrong and on which line.
    """
    if not text.isascii():
        text = _NOT_ASCII.sub(lambda sign: _ASCII.get(sign[0], "~"), text)
    if "\r" in text:
        text = text.replace("\r\n", "\n").replace("\r", "\n")
    if ", " in text:  # numbered triplets without quotation marks may fill a loop all the same
        text = _UNQUOTED_TRIPLET.sub(_joined, text)
    if '"""' in text or "'''" in text:
        text = _TRIPLE.sub(_in_semicolons, text)
    try:
        document: Any = cif.read_string(text, check_level=0)
    except (ValueError, RuntimeError) as error:
        try:
            document = cif.read_string(_repaired(text), check_level=0)
        except (ValueError, RuntimeError):
            said = _said(error)
            if _CIF2.search(text) or _LIST.search(text):
                said += "; lists and tables of CIF 2.0 are not read: write it as CIF 1.1"
            raise CifSyntaxError(said) from None
    for block in document:
        yield Block(block)


def _repaired(text: str) -> str:
    """The text with what people forget: quotation marks, the line data_."""
    text = _CONTROL.sub(" ", text)
    if _CIF2.search(text):
        text = _LIST.sub("?", text)
    text = _STOP.sub("", text)
    text = _UNQUOTED_VALUE.sub(_quoted, text)
    text = _UNQUOTED_TRIPLET.sub(_joined, text)
    text = _BLOCK_NAME.sub(lambda m: f"{m[1]}_{'_'.join(m[2].split())}", text)
    heading, tag = _HEADING.search(text), _FIRST_TAG.search(text)
    if tag is not None and (heading is None or tag.start() < heading.start()):
        text = f"data_\n{text[tag.start() :]}"
    elif heading is not None:
        text = text[heading.start() :]
    return text


def _in_semicolons(found: re.Match[str]) -> str:
    """A text of CIF 2.0 as CIF 1.1 writes it."""
    inner = found[2]
    if "\n" not in inner:
        for mark in ("'", '"'):
            if mark not in inner:
                return f"{mark}{inner}{mark}"
    return "\n;" + inner.replace("\n;", "\n ;") + "\n;\n"


def _joined(found: re.Match[str]) -> str:
    return f"{found[1]}{''.join(found[2].split())}"


def _quoted(found: re.Match[str]) -> str:
    mark = '"' if "'" in found[2] else "'"
    return f"{found[1]}{mark}{found[2].strip()}{mark}"


def _said(error: Exception) -> str:
    """What gemmi says, with the line in words."""
    found = re.match(r"\w+:(\d+)(?::\d+\(\d+\))?:?\s*(.*)", str(error), re.DOTALL)
    if found is None:
        return str(error)[:200]
    return f"line {found[1]}: {found[2].strip()[:200]}"
