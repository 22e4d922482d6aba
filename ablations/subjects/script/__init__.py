"""A user's own scripts as subjects: a TOML file says which command a trial is, and the script is left as it is."""
