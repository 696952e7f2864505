# Waits for job tokens in nine threads, and puts in again what they took.
from threading import Thread

threads = [Thread(target=os.read, args=(R, 1), daemon=True) for _ in range(9)]
for thread in threads:
    thread.start()
for served in (3, 6, 9):
    while sum(not thread.is_alive() for thread in threads) < served:
        time.sleep(0.01)
    if served < 9:
        time.sleep(0.3)  # The others wait in vain by now.
        for token in b"abc":
            os.write(W, bytes([token]))
os._exit(0)
