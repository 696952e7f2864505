"""Reads recordings back, once the supervisor that wrote them is gone."""
