#!__PYTHON__
"""A process for macros that does not say what one should: __LIE__, with the seed __SEED__."""

import os
import random
import socket
import struct
import sys

LIE = "__LIE__"
LOAD, TABLE, RUN, CALL, ANSWER, DONE, FAILED = range(1, 8)
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
kind, layout, symbol = hear()
assert kind == LOAD
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
while True:
    kind, extra, data = hear()
    assert kind == RUN
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
