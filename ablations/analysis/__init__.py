"""From records to tables, effects, gates and verdicts."""
