"""The sections of a report: from records to words, tables and pictures, one function a section."""
