"""The types that all rooms share.  Standard library only."""
