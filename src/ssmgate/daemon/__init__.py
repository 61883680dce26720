"""A fork server of one user's: it holds what a start imports, and nothing that a start is told.

`client` and what it imports stand at the beginning of every start. They import nothing that takes
time: of the standard library the modules in C, and `os`.
"""
