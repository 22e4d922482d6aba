"""Turns named data sets into batches, through uint8 images on disk that are mapped into memory.

`catalogue` names the data sets and is light enough for planning and `--help`; `prepare` decodes images, `load` maps
them, and `augment` cuts and augments batches.
"""
