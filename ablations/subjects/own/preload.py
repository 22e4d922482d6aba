"""Imported once by the server that trials are forked from: the study file, with all that it imports at its top."""

import contextlib
import os

from ablations.subjects.own.child import STUDY
from ablations.subjects.own.trial import imported

# An error is left to the trial: it imports the file again, and can report it, which the server cannot.
with contextlib.suppress(BaseException):
    if os.environ[STUDY].endswith(".py"):
        imported(os.environ[STUDY])
