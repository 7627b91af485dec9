"""What is learnt and how it is scored: task specifications, their data, its encoding, metrics and sampling.

This module itself is the catalog that a plan asks (`adapterx.plan.TaskFacts`).
"""

from adapterx.tasks.catalog import TaskError, UnknownTask, find, names
from adapterx.tasks.data import fingerprint, load, sizes
from adapterx.tasks.spec import TaskSpec

__all__ = ["TaskError", "TaskSpec", "UnknownTask", "find", "fingerprint", "load", "names", "sizes"]
