"""Which code trained a record of AlexNet: a version that people count, and a digest of the sources that it reads."""

from __future__ import annotations

from ablations.records.lineage import digest_of

# Raised by hand whenever the same trial would come out otherwise than before: other draws, another update, another
# evaluation.  `tests/alexnet/test_version.py` compares losses with those of this version, and fails where they moved
# and the number did not.  Records of two versions are never paired.
#   1  the first images of each class were the training images of every seed
#   2  each seed draws its own; a network whose weights or evaluation are not finite has diverged
TRAINING_VERSION = 2

_TRAIN = "ablations.subjects.alexnet.training.train"
ENTRIES = ((_TRAIN, "training"), (_TRAIN, "evaluate_as"))


def training_digest() -> str:
    """Sixteen hex digits of every definition that a training or its evaluation reaches."""
    return digest_of(ENTRIES)
