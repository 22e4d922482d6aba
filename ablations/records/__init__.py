"""The files of a study, results/<study>/: they are written whole or not at all, and read back."""
