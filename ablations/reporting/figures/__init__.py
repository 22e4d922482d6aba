"""From plain tables to matplotlib figures, one function a figure.  Only files in this folder draw.

matplotlib is imported here first, whatever backend the environment names: one that a notebook or a shell has left need
not be there, and then matplotlib cannot even be imported.
"""

import os

_inherited = os.environ.pop("MPLBACKEND", None)
os.environ["MPLBACKEND"] = "agg"

import matplotlib as matplotlib

if _inherited is None:
    del os.environ["MPLBACKEND"]
else:
    os.environ["MPLBACKEND"] = _inherited  # other programs may want it
