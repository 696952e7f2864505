"""What the commands do: learn, review, hold, decide, verify. Free of click and of textual."""
