"""IAM's allow decisions, cached for seconds, and single flight: one process simulates for many.

What is cached
    An allow decision of the first simulation (the caller, the questions, IAM's answers and the
    endpoints they came from), and the caller's identity. Never cached: a denial, what is unknown,
    an allow that needed tags, an identity whose role path is not known, anything while keys are
    locked or `cache.ttl` is 0. An entry permits nothing: `decide` decides about its answers as
    about fresh ones, and only if the questions are the very same.

What the key holds
    Everything that decides who is asked, by whom, and what (`key.dependencies`): credentials, user
    ids, boot id, region and partition, options, MFA, the configuration of ssmgate and of AWS,
    environment variables, CA bundles, proxies, releases; and the document. From its SHA-256 two
    values are derived: the name of the entry, and the key of the HMAC that authenticates its text.
    So whoever does not hold the credentials can neither find, make, change nor prolong an entry.

Who may write
    Only this user: the directory is one of `system.private_directory`, the files have mode 0600.
    Where another user could write, the cache is not used, and one line says so. Whoever runs
    programs as this user and holds the credentials could ask IAM as well. Files are replaced by
    rename, so that a reader sees an entry whole or not at all. Old ones are deleted by writers.

Single flight
    A process that finds no entry takes the lock file of its key (flock), looks again if it waited,
    simulates, writes the entry and releases the lock. Those who wait poll the lock. At a terminal
    they say after two seconds what they wait for. Credentials are resolved before the lock is
    taken, as that may ask for an MFA code; the time limit of the check begins inside it.

How a failed leader is noticed
    The kernel releases the lock of a process that ends, and the next one simulates. A leader that
    got no cacheable decision writes the time into the lock file (`mark_failed`): whoever has waited
    since before then goes on without the lock, a moment after the one before. A leader that is
    stopped is waited for at most 30 seconds. A file system without locks: everyone simulates.

Clocks
    `created_at` has two: the wall clock, and the time since boot, which nobody can set. The greater
    age counts, and an entry of the future is invalid. The boot id is part of the key, as homes are
    shared between machines and times since boot start anew. An entry is invalid, too, once the
    credentials expire.
"""
