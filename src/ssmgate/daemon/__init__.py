"""A fork server of one user: it holds imported modules, and no data of any session start.

Every start first loads `client` and what that imports. These modules import nothing that takes
time: from the standard library only modules in C, and `os`.
"""
