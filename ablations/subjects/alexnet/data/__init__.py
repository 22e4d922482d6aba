"""Named data sets -> uint8 images on disk, mapped into memory -> batches.

`catalogue` is light enough for planning and `--help`; `prepare` decodes, `load` maps, `augment` crops.
"""
