# Does much, but never so much at once that a limit is reached.
import os
import threading

out = os.environ["OUT_DIR"]
for _ in range(20):  # One after the other, so never more than two at once.
    if os.fork() == 0:
        os._exit(0)
    os.wait()
os.mkdir(out + "/d")
open(out + "/d/a", "wb").write(bytes(1 << 20))
for _ in range(30):
    os.link(out + "/d/a", out + "/b")
    os.unlink(out + "/b")
threads = [threading.Thread(target=str) for _ in range(8)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
print("cargo:rustc-cfg=a")
