# Tells Cargo which descriptors are open.
import os

for number in range(3, 1000):
    try:
        os.fstat(number)
    except OSError:
        continue
    print("cargo::warning=open:", number)
print("cargo::warning=looked")
