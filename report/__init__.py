"""What a run leaves behind for people and machines: text and JSON."""
