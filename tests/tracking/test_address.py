"""Addresses are shown and written down without what gives access."""

from __future__ import annotations

import pytest

from ablations.core.secrets import hidden, without_password


@pytest.mark.parametrize(
    ("address", "shown"),
    [
        ("http://127.0.0.1:5000", "http://127.0.0.1:5000"),
        ("http://host:5000/a/b", "http://host:5000/a/b"),
        ("https://me@host/", "https://host/"),
        ("https://me:pass@host:1/", "https://host:1/"),
        ("https://me:pa/ss@wo:rd@host:1/", "https://host:1/"),
        ("postgresql+psycopg2://me:p@ss word@host/db", "postgresql+psycopg2://host/db"),
        ("mysql://host/db?user=me&password=x&ssl=1", "mysql://host/db?user=me&password=***&ssl=1"),
        ("http://host/?api_key=x", "http://host/?api_key=***"),
        ("sqlite:////a/b/mlflow.db", "sqlite:////a/b/mlflow.db"),
        ("--mlflow-uri=http://me:pass@host", "--mlflow-uri=http://host"),
        ("me@example.org", "me@example.org"),
    ],
)
def test_an_address_is_shown_without_users_and_secrets(address: str, shown: str) -> None:
    assert without_password(address) == shown


def test_parts_of_a_secret_that_an_error_quotes_are_hidden() -> None:
    said = hidden("'me:s3cret' is no host; pass=other", "http://me:s3cret/w@host")
    assert said == "'me:***' is no host; pass=other"
