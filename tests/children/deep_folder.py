"""Makes a folder deeper than PATH_MAX, and opens a file in it and the folder itself."""

import os

for _ in range(30):
    os.mkdir("d" * 200)
    os.chdir("d" * 200)
open("deep", "w").close()
os.close(os.open(".", os.O_RDONLY))
