import os

while True:
    os.close(os.open("/etc/hostname", os.O_RDONLY))
