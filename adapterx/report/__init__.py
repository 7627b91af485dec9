"""A run's stored results → statistics, tables, figures, and the page that shows them. Needs no torch."""

from adapterx.report.analysis import Analysis, analyse
from adapterx.report.summary import summary
from adapterx.report.write import build, write

__all__ = ["Analysis", "analyse", "build", "summary", "write"]
