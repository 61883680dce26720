"""Check what belongs to ssmgate on this machine: configuration, records, cache, daemon."""

from __future__ import annotations

import os
import shlex
import socket
import stat
from collections.abc import Iterator, Mapping

from ssmgate.daemon import client, location, peer, protocol
from ssmgate.doctor import named_files
from ssmgate.doctor.results import Result, ok, problem, warning
from ssmgate.gate.cache import store
from ssmgate.gate.config import merge
from ssmgate.gate.config.load import Config, ConfigSource, Records, user_path
from ssmgate.gate.config.schema import USER_PLACEHOLDER
from ssmgate.gate.decision.errors import ConfigurationProblem
from ssmgate.gate.records import local, syslog
from ssmgate.gate.system import private_directory, trusted_files, trusted_open
from ssmgate.gate.system.trusted_files import InsecurePermissions
from ssmgate.login import landlock

_SYSLOG_SECONDS = 2


def home(environ: Mapping[str, str]) -> str | None:
    """Return the user's home directory, None if this process cannot use it."""
    path = environ.get("HOME", "")
    return path if os.path.isabs(path) and os.access(path, os.R_OK | os.X_OK) else None


def check_home(environ: Mapping[str, str]) -> Result:
    """Check HOME. Sessions start without it, but nothing below it is used."""
    path = environ.get("HOME", "")
    fix = 'export HOME="$(getent passwd "$(id -u)" | cut -d: -f6)"'
    if home(environ) is not None:
        return ok("home", path)
    if not path:
        return warning("home", "HOME is not set: no file below it is used", fix)
    if not os.path.isabs(path):
        return warning("home", f"HOME is not an absolute path: {path}", fix)
    why = "does not exist" if not os.path.exists(path) else "cannot be read by this user"
    return warning("home", f"{path} {why}: no file below it is used", fix)


def configuration(
    environ: Mapping[str, str], system: ConfigSource | None = None
) -> tuple[Config, Result]:
    """Load ssmgate's configuration. Returns the default one if it is invalid."""
    name = "configuration"
    try:
        found, locked = merge.settings(environ, system)
        config = merge.made(found, locked)
    except ConfigurationProblem as error:
        return Config(), problem(name, error.message, _repair(error, user_path(environ)))
    origins = [origin for setting in found.values() for origin in setting.origins]
    files = list(dict.fromkeys(origins))
    text = f"set by {', '.join(files)}" if files else "nothing is set"
    if config.locked:
        text += f"; {len(config.locked)} keys are locked"
    if config.permissive:
        text = "mode is permissive: sessions start although access is denied"
        return config, warning(name, text, "ssmgate config show --origin")
    for key, why in (*named_files.unusable(config), *_unconfined(config)):
        if key.startswith("login."):
            return config, warning(name, f"{key}: {why}", "ssmgate config show --origin")
    return config, ok(name, text)


def _unconfined(config: Config) -> Iterator[tuple[str, str]]:
    """Yield the key that has no effect if logins are configured, and the kernel has no Landlock."""
    login = config.login
    configured = login.aws_config_file or login.aws_credentials_file
    if configured and login.confine_plugin and not landlock.version():
        yield "login.confine_plugin", f"has no effect: {landlock.MISSING}"


def _repair(error: ConfigurationProblem, user_file: str) -> str:
    """Return a command that repairs what `error` is about: a file or an environment variable."""
    cause = error.__cause__
    where = error.message.removeprefix("unknown environment variable ").partition(": ")[0]
    if isinstance(cause, InsecurePermissions):
        return _secure(cause)
    if where.startswith("SSMGATE_"):
        return f"unset {shlex.quote(where)}"
    if isinstance(cause, PermissionError):
        return f"chmod u+r {shlex.quote(where)}"
    editor = "${EDITOR:-vi}" if where == user_file else "sudoedit"
    return f"{editor} {shlex.quote(where)}"


def _secure(error: InsecurePermissions) -> str:
    """Return a command that makes the file or directory secure, else one that shows it."""
    path = shlex.quote(error.path)
    try:
        known = os.stat(error.path)
    except OSError:
        return f"ls -ld {path}"
    mine = known.st_uid == os.geteuid()
    if mine and "mode 0700" in error.why:
        return f"chmod 700 {path}"
    # Not in a directory that is meant for all users, such as /tmp.
    if "written by others" in error.why and not known.st_mode & stat.S_ISVTX:
        return f"{'' if mine else 'sudo '}chmod go-w {path}"
    return f"ls -ld {path}"


def records(environ: Mapping[str, str], config: Config) -> Result:
    """Check whether records could be written now. Writes none."""
    name, wanted = "records", config.records
    if not (wanted.file or wanted.syslog):
        if wanted.required:
            text = "record.required is set without record.file or record.syslog: no session starts"
            return problem(name, text, "ssmgate config show --origin")
        return ok(name, "not configured")
    found = []
    if wanted.file:
        found.append(_record_file(environ, wanted.file))
    if wanted.syslog:
        found.append(_syslog(wanted))
    for where, why, fix in found:
        if why:
            lost = "no session starts" if wanted.required else "sessions start without a record"
            result = problem if wanted.required else warning
            return result(name, f"{where}: {why}; {lost}", fix)
    return ok(name, f"can be written: {', '.join(where for where, _, _ in found)}")


def _record_file(environ: Mapping[str, str], path: str) -> tuple[str, str, str]:
    """Return the path, why no record could be appended, and a command that repairs it."""
    user = local.LocalUser.here(environ).user
    if USER_PLACEHOLDER in path:
        if not user or "/" in user:
            return path, "this user has no name", "id"
        path = path.replace(USER_PLACEHOLDER, user)
    mine, directory = os.geteuid(), os.path.dirname(path)
    quoted, above = shlex.quote(path), shlex.quote(directory)
    owners = frozenset({0, mine})
    try:
        file = trusted_open.open_trusted(path, os.O_RDWR | os.O_APPEND, owners=owners)
        known = os.fstat(file)
        os.close(file)
        if known.st_uid != mine or known.st_nlink != 1 or known.st_mode & 0o077:
            return path, "must be yours, with mode 0600 and no hard link", f"chmod 600 {quoted}"
    except FileNotFoundError:
        try:
            trusted_open.require_trusted_directory(directory, owners)
        except InsecurePermissions as error:
            return path, str(error), _secure(error)
        except OSError as error:
            why = f"{directory}: {error.strerror}"
            return path, why, f'sudo install -d -m 700 -o "$(id -u)" {above}'
        if not os.access(directory, os.W_OK | os.X_OK):
            return path, f"{directory} cannot be written", f"ls -ld {above}"
    except InsecurePermissions as error:
        return path, str(error), _secure(error)
    except OSError as error:
        return path, str(error.strerror), f"ls -l {quoted}"
    if not os.statvfs(directory).f_bavail:
        return path, "no space left on the device", f"df -h {above}"
    return path, "", ""


def _syslog(wanted: Records) -> tuple[str, str, str]:
    address, native = syslog.address(wanted)
    name = f"{'journal' if native else 'syslog'} ({address})"
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as log:
            log.settimeout(_SYSLOG_SECONDS)
            log.connect(address)
    except OSError as error:
        why = error.strerror or str(error)
        return name, why, "systemctl status systemd-journald.socket"
    return name, "", ""


def cache(environ: Mapping[str, str], config: Config) -> Result:
    """Check whether allow decisions can be cached. Sessions start without, with more calls."""
    name, path = "cache", home(environ)
    if config.locked or not config.cache_ttl:
        why = "the system's configuration locks keys" if config.locked else "cache.ttl is 0"
        return ok(name, f"off: {why}")
    if path is None:
        return ok(name, "off: see 'home'")
    place = os.path.join(path, store.DIRECTORY)
    try:
        try:
            directory = private_directory.open_directory(path, store.DIRECTORY)
            count = sum(not entry.endswith(store.LOCK) for entry in os.listdir(directory))
            os.close(directory)
        except FileNotFoundError:
            return _new_cache(path, place)
    except InsecurePermissions as error:
        return warning(name, f"nothing is cached: {error}", _secure(error))
    except OSError as error:
        why = f"nothing is cached: {place}: {error.strerror}"
        return warning(name, why, f"ls -ld {shlex.quote(place)}")
    return ok(name, f"{place}, {count} {'entry' if count == 1 else 'entries'}")


def _new_cache(above: str, place: str) -> Result:
    """Check whether the directory of the cache, which is missing, could be made."""
    for part in store.DIRECTORY.split("/"):
        if not os.path.isdir(inner := os.path.join(above, part)):
            break
        above = inner
    mine = frozenset({0, os.geteuid()})
    directory, insecure = trusted_files.walk(above, mine, follow=True, allow_sticky=True)
    os.close(directory)
    if insecure is not None:
        raise insecure
    if not os.access(above, os.W_OK | os.X_OK):
        why = f"nothing is cached: {above} cannot be written"
        return warning("cache", why, f"ls -ld {shlex.quote(above)}")
    return ok("cache", f"{place}, empty")


def daemon(environ: Mapping[str, str], config: Config) -> Result:
    """Check the daemon. Sessions start without it, more slowly."""
    name = "daemon"
    if config.locked or config.daemon == "off":
        why = "the system's configuration locks keys" if config.locked else 'daemon is "off"'
        return ok(name, f"not used: {why}")
    if home(environ) is None:
        return ok(name, "not used: see 'home'")
    try:
        own = peer.own_facts()
        fingerprint = location.environment_fingerprint(environ, own)
        connection = client.connected(environ["HOME"], fingerprint, own)
    except peer.Unproven as error:
        result = warning if config.daemon == "auto" else ok
        return result(name, f"cannot be used here: {error}")
    except (protocol.Broken, OSError) as error:
        text = f"does not answer ({error or 'invalid message'}); sessions start without it"
        return warning(name, text, "ssmgate daemon stop")
    if connection is None:
        return ok(name, "not running")
    connection.close()
    return ok(name, "running")


def aws_files(environ: Mapping[str, str]) -> Result:
    """Check the AWS CLI's configuration file and credentials file."""
    name, found = "AWS files", []
    for variable, default, secret in (
        ("AWS_CONFIG_FILE", "config", False),
        ("AWS_SHARED_CREDENTIALS_FILE", "credentials", True),
    ):
        given = environ.get(variable)
        if not given and home(environ) is None:
            continue
        path = given or os.path.join(environ["HOME"], ".aws", default)
        path = os.path.expanduser(os.path.expandvars(path))
        quoted = shlex.quote(path)
        try:
            known = os.stat(path)
            with open(path, "rb") as file:
                text = file.read().decode()
        except FileNotFoundError:
            if given:
                return warning(name, f"{variable} names {path}, which does not exist",
                               f"unset {variable}")  # fmt: skip
            continue
        except (OSError, ValueError) as error:
            why = getattr(error, "strerror", None) or "is not UTF-8"
            return warning(name, f"{path} is not used: {why}", f"ls -l {quoted}")
        if why := _invalid(text):
            return problem(name, f"{path}: {why}", f"${{EDITOR:-vi}} {quoted}")
        if secret and stat.S_IMODE(known.st_mode) & 0o077:
            return warning(name, f"other users can read {path}", f"chmod 600 {quoted}")
        found.append(path)
    return ok(name, ", ".join(found) or "none")


def _invalid(text: str) -> str:
    """Return why botocore's parser rejects an AWS file, empty if it does not."""
    import configparser

    try:
        configparser.RawConfigParser().read_string(text)
    except configparser.Error as error:
        return error.message.replace("\n", " ").removeprefix("'<string>' ")
    return ""
