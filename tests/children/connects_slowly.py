# Connects in a thread while it goes on in another one.
import os
import socket
import threading
import time

s = socket.socket()
at = ("127.0.0.1", __PORT__)
t = threading.Thread(target=s.connect, args=(at,))
t.start()
time.sleep(0.3)
for n in range(20):
    open(os.environ["OUT_DIR"] + f"/{n}", "w").close()
print(t.is_alive(), flush=True)
open(os.environ["OUT_DIR"] + "/alive", "w").close()
t.join()
print(s.getpeername()[1])
