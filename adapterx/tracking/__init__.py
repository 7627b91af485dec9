"""What a run tells an experiment tracker: losses while it trains, scores as stages end. Off unless it is asked for."""

from adapterx.tracking.base import TrackedRun, Tracker, Trackers, TrackingError
from adapterx.tracking.registry import NAMES, start

__all__ = ["NAMES", "TrackedRun", "Tracker", "Trackers", "TrackingError", "start"]
