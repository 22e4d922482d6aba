"""The process of a contender, which trains in slices as the benchmark asks for them.

    python -m ablations.bench.worker '{"contender": "plain", "net": "cifar", ...}'

Each line that it reads holds the seconds of a slice; at the end of the input it ends.  Each line that it writes is JSON
with what was done, and in how many seconds.
"""

from __future__ import annotations

import json
import os
import sys

from ablations.bench.task import Clock, Task


def main() -> None:
    """Runs the task that the command line holds."""
    # What libraries print must not mix with the answers.
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    from ablations.bench.contenders import CONTENDERS

    task = Task(**json.loads(sys.argv[1]))
    CONTENDERS[task.contender](task, Clock(sys.stdin, answers))


if __name__ == "__main__":
    main()
