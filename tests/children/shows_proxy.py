# Goes after connections.py: fetches, says at which port the proxy is, and waits.
import time
import urllib.request

proxy = int(os.environ["http_proxy"].rpartition(":")[2])
urllib.request.urlopen(f"http://127.0.0.1:{port}/").read()
open(out + "/new", "w").write(str(proxy))
os.rename(out + "/new", out + "/proxy-port")
while not os.path.exists(pkg + "/go"):
    time.sleep(0.01)
