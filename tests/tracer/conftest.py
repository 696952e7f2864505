"""Real children under a real recorder, for every test here."""

from tests.tracer.recorded_child import child, record

__all__ = ["child", "record"]
