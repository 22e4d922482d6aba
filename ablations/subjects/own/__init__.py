"""Subjects of a user's own: a study file in Python, with a reference, components, metrics and a function."""
