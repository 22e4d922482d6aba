"""Draws plain tables as matplotlib figures, one function a figure.  Only files in this folder draw.

matplotlib is imported here first, with the agg backend.  A notebook or a shell may have named a backend in the
environment that is not installed here, and then matplotlib could not even be imported.
"""

import os

_inherited = os.environ.pop("MPLBACKEND", None)
os.environ["MPLBACKEND"] = "agg"

import matplotlib as matplotlib

if _inherited is None:
    del os.environ["MPLBACKEND"]
else:
    os.environ["MPLBACKEND"] = _inherited  # programs that this one starts may want it
