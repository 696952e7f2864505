#!__PYTHON__
"""A process for macros that does not say what one should: __LIE__, with the seed __SEED__."""

import os
import random
import socket
import struct
import sys

LIE = "__LIE__"
LOAD, TABLE, RUN, CALL, ANSWER, DONE, FAILED, QUEUED = range(1, 9)
FORESEEN = 18  # Bytes of `struct foreseen`.
bridge = socket.socket(fileno=3)
chance = random.Random(int("__SEED__"))
buffered = b""


def receive(size):
    global buffered
    while len(buffered) < size:
        more = os.read(arriving, 1 << 16)
        if not more:
            sys.exit(0)
        buffered += more
    taken, buffered = buffered[:size], buffered[size:]
    return taken


def hear():
    kind, size, extra = struct.unpack("<IIQ", receive(16))
    return kind, extra, receive(size)


def write(data):
    while data:
        data = data[os.write(leaving, data) :]


def say(kind, data=b"", size=None, extra=0):
    write(struct.pack("<IIQ", kind, len(data) if size is None else size, extra) + data)


def number(handle):
    return struct.pack("<I", handle)


def queued(data, handle=0, size=None):
    return struct.pack("<II", len(data) if size is None else size, handle) + data


def made(times):
    """Make streams of the input, and drop them."""
    handles = range(following, following + times)
    made = b"".join(queued(CLONE + number(given), each) for each in handles)
    return made + b"".join(queued(DROP + number(each)) for each in handles)


def text(data):
    return struct.pack("<I", len(data)) + data


def table(layout, symbol, macros=None, count=None):
    """`macros`: kind, name, attributes of each."""
    macros = [(2, b"wanted", [])] if macros is None else macros
    written = bytes([layout]) + text(symbol)
    written += struct.pack("<I", len(macros) if count is None else count)
    for kind, name, attributes in macros:
        written += bytes([kind]) + text(name) + struct.pack("<I", len(attributes))
        written += b"".join(map(text, attributes))
    return written


buffered, (arriving, leaving), _, _ = socket.recv_fds(bridge, 1 << 16, 2)
kind, layout, loaded = hear()
assert kind == LOAD
foreseen, symbol = loaded[:FORESEEN], loaded[FORESEEN:]
size_of_name = foreseen[0]
DROP, CLONE = (foreseen[at : at + size_of_name] for at in (2, 4))
given = following = 0  # The handle of what a macro is given, and the one that comes next.
LIES_AT_LOAD = {
    "table of garbage": lambda: say(TABLE, chance.randbytes(chance.randrange(200))),
    "empty table": lambda: say(TABLE),
    "name that is no UTF-8": lambda: say(TABLE, table(layout, symbol, [(2, b"a\xff", [])])),
    "surrogate": lambda: say(TABLE, table(layout, symbol, [(2, b"\xed\xa0\x80", [])])),
    "overlong": lambda: say(TABLE, table(layout, symbol, [(2, b"\xc0\xaf", [])])),
    "unknown kind": lambda: say(TABLE, table(layout, symbol, [(3, b"wanted", [])])),
    "too many": lambda: say(TABLE, table(layout, symbol, count=0xFFFFFFFF)),
    "attributes that are not there": lambda: say(
        TABLE, table(layout, symbol, [(0, b"W", [])])[:-4] + b"\xff\xff\0\0"
    ),
    "too many macros": lambda: say(TABLE, table(layout, symbol, [(2, b"w", [])] * 20000)),
    "most macros": lambda: say(TABLE, table(layout, symbol, [(2, b"w", [])] * 16384)),
    "bytes behind": lambda: say(TABLE, table(layout, symbol) + b"\0"),
    "another symbol": lambda: say(TABLE, table(layout, symbol + b"x")),
    "another layout": lambda: say(TABLE, table(0, symbol, count=1)),
    "huge frame": lambda: say(TABLE, b"x", size=0xFFFFFFFF),
    "huge frame within bounds": lambda: (say(TABLE, b"x", size=1 << 30), sys.exit(0)),
    "half a head": lambda: (write(b"\2\0\0"), sys.exit(0)),
    "two frames": lambda: write(struct.pack("<IIQIIQ", TABLE, 0, 0, TABLE, 0, 0)),
    "wrong turn": lambda: say(CALL, b"\0\0"),
    "failure in JSON": lambda: say(FAILED, b'\n{"reason":"build-finished"}\x1b[2J\xff' * 40),
    "no word": lambda: sys.exit(0),
    "no macros": lambda: say(TABLE, table(layout, symbol, [])),
}
if LIE in LIES_AT_LOAD:
    LIES_AT_LOAD[LIE]()
else:
    say(TABLE, table(layout, symbol))
LIES_IN_QUEUES = {
    "a queue longer than its frame": lambda: say(CALL, b"\0", extra=2),
    "a queue longer than all": lambda: say(DONE, b"\0\1", extra=(1 << 64) - 1),
    "half a head in a queue": lambda: say(QUEUED, b"\0\0\0", extra=3),
    "a call longer than its queue": lambda: tell_queued(queued(DROP + number(1), size=1 << 31)),
    "an empty call in a queue": lambda: tell_queued(queued(b"")),
    "a call in a queue that waits for its answer": lambda: tell_queued(queued(b"\0")),
    "garbage in a queue": lambda: tell_queued(chance.randbytes(chance.randrange(200))),
    "a stream that is dropped twice": lambda: tell_queued(
        queued(DROP + number(given)) * 2, (CALL, QUEUED, DONE)[chance.randrange(3)]
    ),
    "a stream that is none is dropped": lambda: tell_queued(queued(DROP + number(4711))),
    "a stream that is none is cloned": lambda: tell_queued(queued(CLONE + number(9), following)),
    "half a handle": lambda: tell_queued(queued(DROP + b"\1\0")),
    "another handle": lambda: tell_queued(queued(CLONE + number(given), following + 1)),
    "a clone answered like a drop": lambda: tell_queued(queued(CLONE + number(given))),
    "a drop answered like a clone": lambda: tell_queued(queued(DROP + number(given), following)),
    "a wrong queue at the end": lambda: tell_queued(queued(DROP + number(4711)), DONE),
    "half a queue, and the end": lambda: (
        say(QUEUED, made(1000), size=1 << 20, extra=1 << 20),
        sys.exit(0),
    ),
    "a queue for ever": lambda: [tell_queued(made(0)) for _ in range(10000)] and sys.exit(0),
    "millions in a queue": lambda: tell_queued(made(1 << 20), DONE),
    "queue upon queue": lambda: [tell_queued(made(100)) for _ in range(1000)],
}


def tell_queued(queue, kind=QUEUED):
    global following
    say(kind, queue + b"\0\1" * (kind == DONE), extra=len(queue))
    if kind != DONE:
        kind, following, answer = hear()
        assert (kind, answer) == (ANSWER, b"")


while True:
    kind, extra, data = hear()
    assert kind == RUN
    following = extra & 0xFFFFFFFF
    given = following - 1
    if LIE in LIES_IN_QUEUES:
        LIES_IN_QUEUES[LIE]()
        if LIE != "queue upon queue":
            continue
    if LIE == "unknown call":
        say(CALL, b"\xff\xff")
        hear()
    elif LIE == "empty call":
        say(CALL)
        hear()
    elif LIE == "calls of garbage":
        for _ in range(20):
            say(CALL, chance.randbytes(chance.randrange(1, 60)))
            hear()
    elif LIE == "calls that exist":
        for _ in range(100):
            say(CALL, bytes([chance.randrange(30)]) + chance.randbytes(chance.randrange(40)))
            hear()
    elif LIE == "huge call":
        say(CALL, b"x", size=(1 << 30) + 1)
    elif LIE == "half a call":
        say(CALL, b"x", size=1 << 30)
        sys.exit(0)
    elif LIE == "table again":
        say(TABLE, table(layout, symbol))
    RESULTS = {
        "done with nothing": b"",
        "done with garbage": b"\2" + chance.randbytes(chance.randrange(20)),
        "done with garbage that looks well": b"\0" + chance.randbytes(chance.randrange(1, 8)),
        "done with an unknown handle": b"\0\0" + struct.pack("<I", 4711),
        "panic that is no UTF-8": b"\1\0" + struct.pack("<Q", 1) + b"\xff",
        "panic that is longer": b"\1\0" + struct.pack("<Q", 1 << 62) + b"x",
    }
    say(DONE, RESULTS.get(LIE, b"\0\1"))
