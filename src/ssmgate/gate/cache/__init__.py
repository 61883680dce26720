"""IAM's allow decisions, cached for seconds, and single flight: one process simulates for many.

What is cached
    An allow decision of the first simulation (the caller, the questions, IAM's answers and the
    endpoints they came from), and the caller's identity. Never cached: a denial, what is unknown,
    an allow that needed tags, an identity whose role path is not known, anything while keys are
    locked or `cache.ttl` is 0. An entry permits nothing: `decide` decides about its answers as
    about fresh ones, and only if the questions are the very same.

What the key contains
    Everything that decides which services evaluate what, for which caller (`key.dependencies`):
    credentials, user ids, boot id, region and partition, options, MFA, the configuration of ssmgate
    and of AWS, environment variables, CA bundles, proxies, releases; and the document. Two values
    are derived from its SHA-256: the name of the entry, and the key of the HMAC that authenticates
    its text. So an attacker without the credentials cannot find, make, change or prolong an entry.

Who may write
    Only this user: the directory is opened by `system.private_directory`, the files have mode 0600.
    If another user could write, the cache is not used, and a warning is printed. An attacker who
    runs programs as this user and has the credentials could call IAM as well. Files are replaced by
    rename, so that a reader sees a complete entry or none. Writers delete old entries.

Single flight
    A process that finds no entry locks the lock file of its key (flock), reads again if it waited,
    simulates, writes the entry and releases the lock. Waiting processes poll the lock. At a
    terminal they print after two seconds what they wait for. Credentials are resolved before the
    lock is taken, as that may prompt for an MFA code; the time limit of the check begins inside it.

How a failed leader is detected
    The kernel releases the lock of a process that ends, and the next one simulates. A leader
    without a cacheable decision writes the time into the lock file (`mark_failed`): processes that
    began to wait before then continue without the lock, one after another. Processes wait for a
    stopped leader at most 30 seconds. On a file system without locks, every process simulates.

Clocks
    `created_at` has two: the wall clock, and the time since boot, which cannot be set. The greater
    age is used, and an entry from the future is invalid. The boot id is part of the key, as home
    directories are shared between machines, and the time since boot restarts. An entry is also
    invalid once the credentials expire.
"""
