"""Real children under a real recorder, for every test here."""

from tests.tracer.recorded_child import child, inner_loop, record

__all__ = ["child", "inner_loop", "record"]
