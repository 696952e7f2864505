# Waits for job tokens in nine threads, and puts in again what they took.
from threading import Thread

for _ in range(9):
    Thread(target=os.read, args=(R, 1), daemon=True).start()
time.sleep(0.5)
for token in b"abc":
    os.write(W, bytes([token]))
time.sleep(0.5)
for token in b"abc":
    os.write(W, bytes([token]))
time.sleep(0.5)
os._exit(0)
