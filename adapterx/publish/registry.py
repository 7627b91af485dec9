"""The forms in which results leave, by name. A new one is a module with a `Publisher`, and a line here."""

from __future__ import annotations

from collections.abc import Mapping

from adapterx.publish.base import Publisher
from adapterx.publish.layouts import LibraryFiles
from adapterx.publish.xtreme import XtremeSubmission

PUBLISHERS: Mapping[str, Publisher] = {
    one.name: one for one in (LibraryFiles("peft"), LibraryFiles("adapterhub"), XtremeSubmission())
}
