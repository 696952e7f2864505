# Goes after connections.py: fetches from two hosts, as the environment says.
import urllib.request

tell(urllib.request.urlopen(f"http://127.0.0.1:{port}/").read().decode())
try:
    urllib.request.urlopen("http://example.test/")
except OSError as error:
    tell(error.code)
os.getenv("HTTP_PROXY")
