"""A run's stored results → statistics, tables, figures, and the page that shows them. Needs no torch."""

from adapterx.report.analysis import Analysis, analyse, statistics
from adapterx.report.summary import summary
from adapterx.report.write import OUTDATED, build, mark_outdated, write

__all__ = ["OUTDATED", "Analysis", "analyse", "build", "mark_outdated", "statistics", "summary", "write"]
