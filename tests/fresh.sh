#!/usr/bin/env bash
# Run `make demo` and `make test` on freshly installed Debian systems, as a user and as root.
#
#   tests/fresh.sh [-s SUITE]… [-u USER]… [-m MIRROR] [-d DIRECTORY] [-k] [COMMAND]…
#
#   -s  trixie (Debian 13) or bookworm (Debian 12), both without it; sid has a newer Python
#   -u  user (an ordinary user) or root; both without it
#   -m  the Debian mirror (or FRESH_MIRROR); without it the one in this system's APT sources
#   -d  the directory of systems and logs (or FRESH_DIRECTORY); /var/tmp/ssmgate-fresh without it
#   -k  keep the systems in which the commands ran
#
# Each COMMAND is a line for sh; without one they are `make demo` and `make test`. Each pair of
# suite and user gets a system of its own: a minimal one with the packages that the README names,
# and a clone of HEAD in the home directory. Needs root and debootstrap. The mounts live in a
# private namespace and vanish with it; so do all processes.
set -euo pipefail

fail() {
    echo "fresh: $1" >&2
    exit 2
}

# Inside the namespace: $1 is the system's directory, $2 the user, $3 the command.
inside() {
    root=$1 user=$2 command=$3
    mount --bind "$root" "$root"
    cd "$root"
    mount -t proc proc proc
    mount -t sysfs -o ro sysfs sys
    mount --rbind /dev dev
    while IFS= read -r path; do
        [ -e "$path" ] || continue
        if [ -d "$path" ]; then
            mkdir -p ".$path"
        else
            mkdir -p ".$(dirname "$path")" && touch ".$path"
        fi
        mount --bind -o ro "$path" ".$path"
    done < "$root.paths"
    # Unlike chroot, this leaves a process free to make user namespaces.
    mkdir .outside
    pivot_root . .outside
    umount -l /.outside
    rmdir /.outside
    home=/root path=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
    [ "$user" = root ] || home=/home/$user path=/usr/local/bin:/usr/bin:/bin
    cd "$home/ssmgate"
    passed=()
    for name in http_proxy https_proxy no_proxy HTTP_PROXY HTTPS_PROXY NO_PROXY; do
        [ -z "${!name-}" ] || passed+=("$name=${!name}")
    done
    # Not by exec: the namespace's first process has to wait for orphans.
    setpriv --reuid "$user" --regid "$user" --init-groups -- \
        env --default-signal=INT,QUIT -i HOME="$home" USER="$user" LOGNAME="$user" SHELL=/bin/bash PATH="$path" \
        LANG=C.UTF-8 "${passed[@]}" sh -c "$command" < /dev/null
}
if [ "${1-}" = --inside ]; then
    shift
    inside "$@"
    exit
fi

# In braces, bash reads all of it first: the file may change while it runs.
{
suites=() users=() mirror=${FRESH_MIRROR-} directory=${FRESH_DIRECTORY-} keep=''
directory=${directory:-${TMPDIR:-/var/tmp}/ssmgate-fresh}
while getopts s:u:m:d:k option; do
    case $option in
        s) suites+=("$OPTARG") ;;
        u) users+=("$OPTARG") ;;
        m) mirror=$OPTARG ;;
        d) directory=$OPTARG ;;
        k) keep=1 ;;
        *) exit 2 ;;
    esac
done
shift $((OPTIND - 1))
[ "${#suites[@]}" -gt 0 ] || suites=(trixie bookworm)
[ "${#users[@]}" -gt 0 ] || users=(user root)
[ $# -gt 0 ] || set -- 'make demo' 'make test'

[ "$(id -u)" = 0 ] || fail 'only root can do this'
command -v debootstrap > /dev/null || fail 'debootstrap is not installed: apt install debootstrap'
cd "$(dirname "$0")/.."
script=$PWD/tests/fresh.sh
packages=$(sed -n 's/.*`sudo apt install \([a-z0-9 -]*[a-z0-9]\)`.*/\1/p' README.md)
[ -n "$packages" ] || fail 'the README names no Debian packages'
mkdir -p "$directory/logs"
directory=$(cd "$directory" && pwd -P)

# Prints the first Debian mirror in this system's APT sources.
configured_mirror() {
    find /etc/apt -name '*.list' -o -name '*.sources' | sort | xargs -d '\n' -r \
        sed -nE 's/^URIs:[[:space:]]*([^[:space:]]+).*/\1/p
            s/^deb[[:space:]]+(\[[^]]*\][[:space:]]*)?([^[:space:]]+).*/\2/p' |
        grep debian | grep -v security | sed 1q || true
}

# The minimal system of suite $1, made once for each list of packages. Sets `base`.
bootstrap() {
    base=$directory/$1-${packages// /+}
    [ ! -d "$base" ] || return 0
    [ -n "$mirror" ] || mirror=$(configured_mirror)
    [ -n "$mirror" ] || fail 'no Debian mirror in the APT sources of this system: name one with -m'
    echo "fresh: $1: installing a minimal system with $packages"
    rm -rf --one-file-system "$base.new"
    debootstrap --variant=minbase --include="${packages// /,}" "$1" "$base.new" "$mirror" \
        > "$directory/logs/$1.debootstrap" 2>&1 ||
        fail "debootstrap failed, see $directory/logs/$1.debootstrap"
    chroot "$base.new" useradd --create-home --shell /bin/bash user
    mv "$base.new" "$base"
}

# What pip is configured to here, as /etc/pip.conf in $1, and the local files that it names in
# $1.paths: they are mounted at the same place.
configure_pip() {
    python3 - "$1" << 'PYTHON'
import configparser, os, subprocess, sys, urllib.parse

root = sys.argv[1]
listed = subprocess.run(
    [sys.executable, "-m", "pip", "config", "list"], capture_output=True, text=True, check=False
)
config, paths = configparser.RawConfigParser(), set()
for line in listed.stdout.splitlines():
    key, _, value = line.partition("=")
    section, _, name = key.rpartition(".")
    section = "global" if section == ":env:" else section
    value = value.strip("'\"").replace("\\n", "\n")
    if not config.has_section(section):
        config.add_section(section)
    config.set(section, name, value)
    for word in value.split():
        if word.startswith("file://"):
            # An index refers to files in its directory.
            paths.add(os.path.dirname(urllib.parse.urlsplit(word).path.rstrip("/")))
        elif word.startswith("/"):
            paths.add(word)
with open(f"{root}/etc/pip.conf", "w") as file:
    config.write(file)
with open(f"{root}.paths", "w") as file:
    file.writelines(f"{path}\n" for path in sorted(paths - {"/"}))
PYTHON
}

# Ends what runs, and removes the system in which it ran. Nothing is mounted there but in the
# namespaces, which end with `unshare`.
remove() {
    if [ -n "$child" ]; then
        kill -KILL "$child" || true
        wait "$child" 2> /dev/null || true
    fi
    child=''
    if [ -n "$root" ] && [ -n "$keep" ]; then
        echo "fresh: not removed: $root"
    elif [ -n "$root" ]; then
        rm -rf --one-file-system "$root" "$root.paths"
    fi
    root=''
}
trap remove EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP

child='' root='' summary=() failed=0
for suite in "${suites[@]}"; do
    bootstrap "$suite"
    for user in "${users[@]}"; do
        root=$(mktemp -d "$directory/run-$suite-$user.XXXXXX")
        cp -a --reflink=auto "$base/." "$root"
        cp -L /etc/resolv.conf /etc/hosts "$root/etc/"
        configure_pip "$root"
        home=$root/root
        [ "$user" = root ] || home=$root/home/$user
        git clone --quiet --no-hardlinks . "$home/ssmgate"
        chroot "$root" chown -R "$user:" "${home#"$root"}/ssmgate"
        number=0
        for command; do
            number=$((number + 1))
            log=$directory/logs/$suite-$user-$number.log
            echo "fresh: $suite, $user: $command (log: $log)"
            SECONDS=0 status=0
            set -m # a process group of its own: Ctrl-C is for this script
            unshare --mount --propagation private --pid --fork --kill-child -- \
                "$script" --inside "$root" "$user" "$command" > "$log" 2>&1 &
            child=$!
            set +m
            wait "$child" || status=$?
            child=''
            result=passed
            [ "$status" = 0 ] || result="failed with $status" failed=1
            [ "$status" = 0 ] || tail -n 40 "$log"
            grep '^not run: ' "$log" | sort -u || true
            summary+=("$suite, $user: $command: $result after $SECONDS s")
        done
        remove
    done
done
echo
printf '%s\n' "${summary[@]}"
exit "$failed"
}
