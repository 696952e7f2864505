# Lowers limits, and tries to raise one again.
import resource

resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
resource.getrlimit(resource.RLIMIT_CORE)
resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))
try:
    resource.setrlimit(resource.RLIMIT_CORE, (1, 1))
except ValueError:
    print("cargo:rustc-cfg=refused")
