"""Addresses of MLflow: where it keeps its data, and which page shows a study."""

from __future__ import annotations

import shlex
from pathlib import Path
from urllib.parse import quote, unquote

from ablations.core.secrets import without_password

# The characters that need no quoting in the path of a database.
_PLAIN = "".join(chr(code) for code in range(32, 127) if chr(code) not in "%?")


def default_uri(results: Path) -> str:
    """Returns the address of the database beside the records: `sqlite:////.../results/mlflow.db`."""
    path = str(results.resolve())
    quoted = quote(path, safe=_PLAIN)
    # SQLAlchemy decodes the path of a database, and reads what follows a ? as options, so both are quoted.  But MLflow
    # makes the folder of an address that begins with sqlite:/// without decoding it, so a quoted one names its driver.
    return f"sqlite{'' if quoted == path else '+pysqlite'}:///{quoted}/mlflow.db"


def database_of(uri: str) -> Path:
    """Returns the path of the file that an SQLite address names."""
    return Path(unquote(uri.partition(":///")[2].partition("?")[0]))


def ui_command(uri: str) -> str:
    """Returns the command that starts a page server for a database; for a tracking server, its address."""
    if is_server(uri):
        return without_password(uri)
    return f"mlflow ui --workers 1 --backend-store-uri {shlex.quote(without_password(uri))}"


def page(uri: str, experiment: str, view: str = "") -> str:
    """Returns the web address of the saved view with the id `view`, or of all runs of the experiment if it is empty.

    The address names a page, since the experiment's bare address opens an empty page for language models.
    """
    server = without_password(uri).rstrip("/") if is_server(uri) else "http://127.0.0.1:5000"
    return f"{server}/{place(experiment, view=view)}"


def place(experiment: str, within: str = "/runs", view: str = "") -> str:
    """Returns the address of a page `within` an experiment, relative to the server or to any other page."""
    return f"#/experiments/{experiment}{within}?workflowType=machine_learning{view and f'&viewStateShareKey={view}'}"


def is_server(uri: str) -> bool:
    """Returns whether the address is that of a tracking server, and not of a database."""
    return uri.startswith(("http://", "https://"))
