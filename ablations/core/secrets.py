"""Passwords and tokens are masked before anything is written or said."""

from __future__ import annotations

import re

_USER = re.compile(r"//(?:[^\s/@:]*:[^\n]*|[^\s/@]*)@")  # a password may hold anything, whatever the standard says
_SECRET = re.compile(r"([?&][^\s=&]*(?:pass|pwd|token|secret|key)[^\s=&]*=)([^\s&]+)", re.IGNORECASE)


def without_password(text: str) -> str:
    """An address, or a text that holds some, as it may be shown and written down: without users and secrets."""
    return _SECRET.sub(r"\1***", _USER.sub("//", text))


def hidden(text: str, *addresses: str) -> str:
    """`text` without the users and secrets of these addresses, of which an error may quote a part."""
    found = [piece for address in addresses for match in _USER.findall(address) for piece in re.split("[/@:]", match)]
    found += [secret for address in addresses for _, secret in _SECRET.findall(address)]
    for piece in sorted({*found}, key=len, reverse=True):
        if len(piece) > 2:
            text = text.replace(piece, "***")
    return without_password(text)


def reason(error: BaseException, address: str = "") -> str:
    """The first line of what lies at the bottom: "connection refused" rather than four layers of wrapping."""
    while cause := error.__cause__ or error.__context__:
        error = cause
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {hidden(lines[0], address)[:200]}" if lines else type(error).__name__
