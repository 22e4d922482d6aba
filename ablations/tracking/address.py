"""Where MLflow keeps its data, and which address shows a study."""

from __future__ import annotations

import shlex
from pathlib import Path
from urllib.parse import quote, unquote

from ablations.core.secrets import without_password

_PLAIN = "".join(chr(code) for code in range(32, 127) if chr(code) not in "%?")  # in the path of a database


def default_uri(results: Path) -> str:
    """The database beside the records: `sqlite:////.../results/mlflow.db`."""
    path = str(results.resolve())
    quoted = quote(path, safe=_PLAIN)
    # SQLAlchemy decodes a database's path, and takes what follows a ? for options.  MLflow makes the folder of an
    # address that begins with sqlite:/// without decoding it, so another one would appear beside ours.
    return f"sqlite{'' if quoted == path else '+pysqlite'}:///{quoted}/mlflow.db"


def database_of(uri: str) -> Path:
    """Where the file of an SQLite address lies."""
    return Path(unquote(uri.partition(":///")[2].partition("?")[0]))


def ui_command(uri: str) -> str:
    """What shows the view: a command for a database, the address itself for a server."""
    if is_server(uri):
        return without_password(uri)
    return f"mlflow ui --workers 1 --backend-store-uri {shlex.quote(without_password(uri))}"


def page(uri: str, experiment: str, view: str = "") -> str:
    """The address of the saved `view` of a study, or of all runs.

    The experiment's bare address opens an empty page for language models.
    """
    server = without_password(uri).rstrip("/") if is_server(uri) else "http://127.0.0.1:5000"
    return f"{server}/{place(experiment, view=view)}"


def place(experiment: str, within: str = "/runs", view: str = "") -> str:
    """A place in the pages of an experiment, seen from any of them."""
    return f"#/experiments/{experiment}{within}?workflowType=machine_learning{view and f'&viewStateShareKey={view}'}"


def is_server(uri: str) -> bool:
    """Whether the address is a tracking server's, not a database's."""
    return uri.startswith(("http://", "https://"))
