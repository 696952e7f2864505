# Makes many attempts that are refused, and then one that matters.
import os

folder = os.open("..", os.O_PATH)
for at in range(__NUMBER__):
    try:
        os.symlink("x" * 4000, f"{at}", dir_fd=folder)
    except OSError:
        pass
try:
    open("../note.txt")
except OSError:
    pass
