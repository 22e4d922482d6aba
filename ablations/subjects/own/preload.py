"""What the server of trials imports once: the study file, with all that it imports at its top."""

import contextlib
import os

from ablations.subjects.own.child import STUDY
from ablations.subjects.own.trial import imported

# What cannot be imported is said by the trial, which tries again, and not by a server that nobody hears.
with contextlib.suppress(BaseException):
    if os.environ[STUDY].endswith(".py"):
        imported(os.environ[STUDY])
