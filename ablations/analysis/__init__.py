"""From records to tables, effects, gates and verdicts: numbers alone, no sentences, files or figures."""
