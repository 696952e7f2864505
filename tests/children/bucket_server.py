"""Serves an empty S3 bucket on loopback until its standard input ends; says its port first."""

import logging
import sys
import urllib.request

from moto.server import ThreadedMotoServer

logging.disable(logging.CRITICAL)
server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
server.start()
_, port = server.get_host_and_port()
made = urllib.request.Request(f"http://127.0.0.1:{port}/bucket", method="PUT")
urllib.request.urlopen(made).read()
print(port, flush=True)
sys.stdin.read()
server.stop()
