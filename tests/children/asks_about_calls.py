"""Tries to have its calls answered by somebody else, before and after it is so already."""

from buildperm.sandbox import probe

before = probe._in_child(probe._ask)
probe._ask()
print(before, probe._in_child(probe._ask))
