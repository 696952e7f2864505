# Goes after attempted_calls.py: flags of files, by ioctl(2).
name = os.environ["OUT_DIR"] + "/file"
file, pipe = open(name, "wb+"), os.pipe()
for number, target, argument in (
    *((n, file, bytes(64)) for n in (0x2, 0xC020660B, 0x80086601, 0x80087601, 0x801C581F)),
    *((n, file, bytes(256)) for n in (0x81009431, 0x80111500, 0x80811501)),
    (0x40049409, file, os.open(name, os.O_RDONLY)),
    *((n, pipe[0], bytes(4)) for n in (0x5421, 0x541B)),
    (0x5451, pipe[0], 0),
    (0x5401, file, bytes(64)),
):
    try:
        fcntl.ioctl(target, number, argument)
    except OSError as error:
        if error.errno == 1:
            print(hex(number))
