"""A contender's own process: trains without end, in slices that the benchmark asks for.

    python -m ablations.bench.worker '{"contender": "plain", "net": "cifar", ...}'

Lines in: seconds to run for; no more lines, and it ends.  Lines out: JSON with what was done and in which time.
"""

from __future__ import annotations

import json
import os
import sys

from ablations.bench.task import Clock, Task


def main() -> None:
    """Runs the task of the command line."""
    # What libraries print must not mix with the answers.
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    from ablations.bench.contenders import CONTENDERS

    task = Task(**json.loads(sys.argv[1]))
    CONTENDERS[task.contender](task, Clock(sys.stdin, answers))


if __name__ == "__main__":
    main()
