"""The components, one per file.  The registry loads every file in this folder; CONTRIBUTING says how to add one."""
