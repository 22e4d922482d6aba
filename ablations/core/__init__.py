"""The values that flow through the harness.  Standard library only."""
