"""The tests."""

import os

# What the tests train is small: a second thread spins more than it helps, many times so on a busy machine.  Every
# process that a test starts inherits this, and torch and the linear algebra of numpy read it when they are imported.
os.environ["OMP_NUM_THREADS"] = "1"
