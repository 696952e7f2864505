# Serves a folder by HTTPS and by HTTP.
import http.server
import os
import ssl
import sys
import threading

folder, certificate, key = sys.argv[1:4]


class Handler(http.server.SimpleHTTPRequestHandler):
    def __init__(self, *a):
        super().__init__(*a, directory=folder)

    def log_message(self, *a):
        pass


context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(certificate, key)
for port in (443, 80):
    server = http.server.ThreadingHTTPServer(("", port), Handler)
    if port == 443:
        server.socket = context.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever).start()
open(folder + "/ready", "w").close()
