"""Removes users, passwords and tokens from text before it is written or printed."""

from __future__ import annotations

import re

# `//user:password@` or `//user@`.  A password is taken to reach to the last @ of its line, since passwords may hold any
# character, whether or not the standard of URLs allows it.
_USER = re.compile(r"//(?:[^\s/@:]*:[^\n]*|[^\s/@]*)@")
_SECRET = re.compile(r"([?&][^\s=&]*(?:pass|pwd|token|secret|key)[^\s=&]*=)([^\s&]+)", re.IGNORECASE)


def without_password(text: str) -> str:
    """Returns `text` with the users and secrets of all addresses in it removed."""
    return _SECRET.sub(r"\1***", _USER.sub("//", text))


def hidden(text: str, *addresses: str) -> str:
    """Returns `text` without the users and secrets of these addresses, even where it quotes only a part of one.

    Pieces of one or two characters stay, since masking them would make the text unreadable.
    """
    found = [piece for address in addresses for match in _USER.findall(address) for piece in re.split("[/@:]", match)]
    found += [secret for address in addresses for _, secret in _SECRET.findall(address)]
    for piece in sorted({*found}, key=len, reverse=True):
        if len(piece) > 2:
            text = text.replace(piece, "***")
    return without_password(text)


def reason(error: BaseException, address: str = "") -> str:
    """Returns the type and the first line of the error that started a chain of errors, such as "connection refused".

    Secrets of `address` are masked.
    """
    while cause := error.__cause__ or error.__context__:
        error = cause
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {hidden(lines[0], address)[:200]}" if lines else type(error).__name__
