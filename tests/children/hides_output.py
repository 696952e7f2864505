# Fills one folder of OUT_DIR, and makes others that take long to walk.
import os
import time

out = os.environ["OUT_DIR"]
os.mkdir(out + "/m")
for letter in "abcxyz":
    os.mkdir(out + "/" + letter)
    os.chdir(out + "/" + letter)
    for _ in range(210):
        os.mkdir("d")
        os.chdir("d")
for number in range(100_000):
    with open(out + f"/m/{number}", "wb") as file:
        file.write(bytes(65536))
    time.sleep(0.001)
