"""The table of a study's variants as a view that MLflow's own page of runs opens, by its name or by its address.

MLflow keeps a view in a tag of the experiment, `mlflow.sharedViewState.<id>`: its name, and the state of the page as
JSON in a string (3.17; earlier versions open the state alone, from an address, and list no views).
"""

from __future__ import annotations

import json
from collections.abc import Sequence

PREFIX = "mlflow.sharedViewState."
_NAME = "attributes.`Run Name`"
_NAME_WIDTH, _LETTER, _LEAST, _TAG = 230, 8, 70, 230  # pixels: of names; of a heading's letter; of a column; of a tag's


def view_id(study_id: str) -> str:
    """What the view of a study is called in addresses."""
    return f"ablations-{study_id}"


def state(name: str, condition: str, columns: Sequence[str], *, at: int, rising: bool) -> str:
    """The value of the tag: a view called `name`, made at `at` in milliseconds since 1970.

    It shows the runs that fulfil `condition` with these columns, such as `metrics.seeds`, sorted by the first of them,
    `rising` or falling.
    """
    kinds = [one.partition(".") for one in columns]
    columns = [f"{kind}.`{key}`" for kind, _, key in kinds]
    widths = [max(_LETTER * len(key), _TAG if kind == "tags" else _LEAST) for kind, _, key in kinds]
    shown = {
        "searchFilter": condition,
        "orderByKey": columns[0],
        "orderByAsc": rising,
        "startTime": "ALL",
        "lifecycleFilter": "Active",
        "datasetsFilter": [],
        "modelVersionFilter": "All Runs",
        "selectedColumns": columns,
        "columnOrder": [_NAME, *columns],
        "columnWidths": {_NAME: _NAME_WIDTH, **dict(zip(columns, widths, strict=True))},
        "groupBy": None,
        "runsHiddenMode": "SHOW_ALL",
    }
    return json.dumps({"name": name, "createdAt": at, "updatedAt": at, "state": json.dumps(shown)})
