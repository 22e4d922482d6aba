"""Scripts of a user's own as subjects: a TOML file says which command a trial is, and the script is left as it is."""
