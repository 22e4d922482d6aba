"""Findings -> pages, figures, tables for other programs, and the lines at the end of a run."""
