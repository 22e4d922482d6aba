"""Mirrors records to MLflow, as a view that nothing reads back."""
