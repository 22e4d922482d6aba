"""Identifies the code that trained a record of AlexNet: a version raised by hand, and a digest of the sources."""

from __future__ import annotations

from ablations.records.lineage import digest_of

# Raise this by hand whenever the same trial would give another result than before, because of other draws, another
# update or another evaluation.  `tests/alexnet/test_version.py` compares losses with those of this version, and fails
# if they changed and the number did not.  Records of two versions are never paired.
#   1  every seed trained on the first images of each class
#   2  each seed draws its own; a network whose weights or evaluation are not finite has diverged
TRAINING_VERSION = 2

_TRAIN = "ablations.subjects.alexnet.training.train"
# The functions from which the digest follows every name that they use, directly or through others.
ENTRIES = ((_TRAIN, "training"), (_TRAIN, "evaluate_as"))


def training_digest() -> str:
    """Returns sixteen hex digits of the definitions that a training or its evaluation uses, without their comments."""
    return digest_of(ENTRIES)
