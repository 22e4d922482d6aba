"""Numbers in a line by a pattern, also those that patterns forget: nan, inf and 1e+30 of a training that diverged."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Sequence

# Numbers that patterns often miss: those of a training that diverges, and one below zero.
ODD = ("nan", "inf", "1e+30", "-1.5")
NOT_FINITE = re.compile(r"(?<![^\s=:(\[{,;|'\"~])[-+]?(?:nan|inf(?:inity)?)(?![\w.-])", re.IGNORECASE)
STAND_INS = ("0", *(f"0.{'0' * digits}" for digits in range(1, 9)), "0.0e+00", "0.00e+00", "0.000e+00")
# GOES_ON matches the text right behind a group whose number goes on there.  BEGAN matches the text right before a group
# whose number began earlier.
GOES_ON = re.compile(r"\d|\.\d|[eE][-+]?\d")
BEGAN = re.compile(r"(?:\d\.?|(?<![^\s=:(\[{,;|'\"~])[-.]|\d[eE][-+]?)$")


def matches(pattern: str, line: str) -> Iterator[dict[str, str]]:
    """Yields, for each match of the pattern in a line, what its named groups hold.

    If nan or inf stands where the pattern expects another kind of number, the group holds it all the same: the line is
    searched again with a number in its place.  If the pattern takes only a part of a number, the group holds a text
    that says so, which is no number.
    """
    found, stands = [*re.finditer(pattern, line)], list[tuple[int, int, str]]()
    tokens = [*NOT_FINITE.finditer(line)]
    text = line
    for stand_in in STAND_INS if tokens else ():
        replaced, places = _with(line, tokens, stand_in)
        others = [*re.finditer(pattern, replaced)]
        if any(_stood(other.span(name), places) for other in others for name in other.groupdict()):
            if _groups(others) >= _groups(found):
                found, stands, text = others, places, replaced
            break
    for match in found:
        spans = {name: match.span(name) for name, words in match.groupdict().items() if words is not None}
        yield {name: _stood(span, stands) or _whole(text, *span) for name, span in spans.items()}


def _groups(found: Sequence[re.Match[str]]) -> int:
    return sum(words is not None for match in found for words in match.groupdict().values())


def _with(line: str, tokens: Sequence[re.Match[str]], stand_in: str) -> tuple[str, list[tuple[int, int, str]]]:
    """Returns the line with `stand_in` in place of each token, and the places of the stand-ins with their tokens."""
    text, places, end = "", list[tuple[int, int, str]](), 0
    for token in tokens:
        text += line[end : token.start()]
        places.append((len(text), len(text) + len(stand_in), token[0]))
        text, end = text + stand_in, token.end()
    return text + line[end:], places


def _stood(span: tuple[int, int], places: Sequence[tuple[int, int, str]]) -> str:
    """Returns the token whose stand-in a group took; empty if it took none."""
    return next((token for start, end, token in places if span[0] < end and start < span[1]), "")


def _whole(text: str, start: int, end: int) -> str:
    """Returns what a group took; if that is a part of a number, a text that says so."""
    taken, before, behind = text[start:end], text[:start], text[end:]
    if not taken[-1:].isdigit() and taken[-1:] != ".":
        return taken
    first, last = start, end
    if BEGAN.search(before):
        first -= len(before) - len(before.rstrip("0123456789.eE+-"))
    if GOES_ON.match(behind):
        last += len(behind) - len(behind.lstrip("0123456789.eE+-"))
    return taken if (first, last) == (start, end) else f"{taken} of {text[first:last]}"


def blind(pattern: str, lines: Collection[str], names: Collection[str]) -> dict[str, list[str]]:
    """Returns, for each of `names` that the pattern finds in a line, those of `ODD` that it would not find there."""
    found: dict[str, list[str]] = {}
    for line in lines:
        for match in re.finditer(pattern, line):
            for name in (name for name, words in match.groupdict().items() if name in names and words is not None):
                start, end = match.span(name)
                missed = [odd for odd in ODD if not _finds(pattern, f"{line[:start]}{odd}{line[end:]}", name, odd)]
                found.setdefault(name, missed)
    return {name: missed for name, missed in found.items() if missed}


def _finds(pattern: str, line: str, name: str, odd: str) -> bool:
    return any(match[name] and odd in match[name] for match in re.finditer(pattern, line))
