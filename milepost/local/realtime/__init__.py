"""A stand-in for Supabase Realtime, for development and tests only.

The real server ships in a container, and Milepost's local stack runs without one. This package speaks the
same protocol (versions 1.0.0 and 2.0.0) over the same paths, so unmodified Supabase clients work against it.
It serves one project from one process, keeps its channels in memory, and is held to facts recorded from the
real server by tests/realtime. It is no replacement for the real server: never put it in production.
"""

from milepost.local.realtime.limits import Limits
from milepost.local.realtime.misbehaviour import Misbehaviour
from milepost.local.realtime.server import Realtime

__all__ = ["Limits", "Misbehaviour", "Realtime"]
