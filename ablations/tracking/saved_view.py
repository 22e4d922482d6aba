"""Makes the saved view of MLflow's page of runs that shows a study's variants as a table.

MLflow 3.17 keeps a saved view in a tag of the experiment, `mlflow.sharedViewState.<id>`, which holds its name and the
state of the page as JSON.  Earlier versions open a view by its address only, and do not list it by its name.
"""

from __future__ import annotations

import json
from collections.abc import Sequence

PREFIX = "mlflow.sharedViewState."
_NAME = "attributes.`Run Name`"
_NAME_WIDTH, _LETTER, _LEAST, _TAG = 230, 8, 70, 230  # widths in pixels: of the names,
# of a letter of a heading, of the narrowest column, and of the narrowest column of a tag


def view_id(study_id: str) -> str:
    """Returns the id of a study's view, as addresses hold it."""
    return f"ablations-{study_id}"


def state(name: str, condition: str, columns: Sequence[str], *, at: int, rising: bool) -> str:
    """Returns the value of the tag for a view called `name`.

    The view shows the runs that fulfil `condition`.  It has the `columns`, such as `metrics.seeds`, and is sorted by
    the first of them, in ascending order if `rising`.  `at` is when the view is made, in milliseconds since 1970.
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
