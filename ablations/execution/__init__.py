"""Runs trials, in this process or on Ray: turns, failures, further tries.  No statistics."""
