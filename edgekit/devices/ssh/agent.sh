# The device's half of edgekit.devices.ssh.shell: one request a line, one answer each, until standard input ends.
#
# POSIX sh with the tools that do_facts asks for. The host puts `token` and `who` before this text. A request is a
# verb and quoted words; what has to be received follows it. An answer is "TOKEN STATUS BYTES" and so many bytes.
#
# Whatever is interrupted leaves the device as it was: archives are received and unpacked in `incoming`, on disk
# before they get their name by one rename, and `current` is switched by one rename.

LC_ALL=C
export LC_ALL
umask 022
root=$HOME/edgekit
incoming=$root/incoming
workspace=
locked=
exec 3>&2

fail() {
    printf '%s\n' "$*"
    exit 1
}

# On disk, with everything below it, before anything refers to it.
flush() {
    sync -f "$1" 2>/dev/null || sync
}

section() {
    printf '\n== %s\n' "$1"
}

# facts PYTHON...: texts that the host makes a machine of; the Pythons are tried in this order.
do_facts() {
    exec 2>/dev/null
    section home
    printf '%s\n' "$HOME"
    section system
    uname -s
    section kernel_architecture
    uname -m
    section elf_class # of the userland's programs: 1 for 32 bits, 2 for 64
    od -An -tu1 -j4 -N1 /bin/sh
    section model
    { cat /sys/firmware/devicetree/base/model || cat /proc/device-tree/model; } | tr -d '\000'
    section cpuinfo
    cat /proc/cpuinfo
    section meminfo
    cat /proc/meminfo
    section os_release
    cat /etc/os-release
    section glibc
    getconf GNU_LIBC_VERSION || ldd --version | head -n 1
    section page_bytes
    getconf PAGESIZE
    section disk
    folder=$root
    [ -d "$folder" ] || folder=$HOME
    df -Pk "$folder" | tail -n 1
    [ -w "$folder" ] || echo "not writable"
    section missing_tools
    for tool in base64 cat cut date df find flock grep gzip head ln ls mkdir mktemp mv od readlink rm sha256sum \
        sleep sync tail tar touch tr uname wc; do
        command -v "$tool" >/dev/null || printf '%s\n' "$tool"
    done
    section python
    for python in "$@"; do
        command -v "$python" >/dev/null || continue
        "$python" -I -c '
import os, struct, sys
try:
    from importlib import metadata
    numpy = metadata.version("numpy")
except Exception:
    numpy = ""
print("%d.%d.%d|%d|%s|%s" % (sys.version_info[:3] + (struct.calcsize("P"), numpy, os.path.realpath(sys.executable))))
'
    done
    do_inventory
}

# inventory: what edgekit has put here.
do_inventory() {
    section parts
    ls "$root/parts" 2>/dev/null
    section apps
    for app in "$root"/apps/*; do
        [ -d "$app" ] || continue
        printf '%s|%s|%s|%s\n' "${app##*/}" "$(named "$app/current")" "$(named "$app/previous")" \
            "$(ls "$app/releases" | tr '\n' ' ')"
    done
}

# Name of the release that a link shows, where it is there.
named() {
    [ -d "$1" ] && found=$(readlink "$1") && printf '%s' "${found##*/}"
}

# lock SECONDS: this process works alone here until it ends, or says who else does. The kernel lets go of the lock
# when its last holder is gone, so that neither a crash nor a power cut leaves one behind.
lock() {
    mkdir -p "$incoming" "$root/parts" "$root/apps" 2>/dev/null && (: >>"$root/lock") 2>/dev/null || {
        out="cannot write below $root"
        return 1
    }
    exec 9>>"$root/lock"
    if ! wait_for_lock "$1"; then
        # No request takes so long: the holder's connection is dead, though nobody has closed it.
        if [ -n "$(find "$root/lock" -mmin +20)" ]; then
            kill "$(cut -d '|' -f 1 "$root/lock")" 2>/dev/null
        fi
        if ! wait_for_lock 1; then
            out=$(cut -d '|' -f 2- "$root/lock")
            return 75
        fi
    fi
    printf '%s|%s|%s\n' $$ "$who" "$(date '+%Y-%m-%d %H:%M:%S')" >"$root/lock"
    locked=yes
    out=
}

wait_for_lock() {
    left=$1
    until flock -n 9; do
        [ "$left" -gt 0 ] || return 1
        left=$((left - 1))
        sleep 1
    done
}

# unlock: lets others work here.
unlock() {
    exec 9>&-
    locked=
    out=
}

# clean DIGEST...: removes what interrupted deployments left, but for archives that can be completed.
do_clean() {
    for left in "$incoming"/*; do
        [ -e "$left" ] || [ -L "$left" ] || continue
        for digest in "$@"; do
            [ "$left" = "$incoming/$digest.tar.gz" ] && continue 2
        done
        rm -rf "$left"
    done
}

# size FILE: how many bytes of it are there.
do_size() {
    if [ -f "$1" ]; then wc -c <"$1"; else echo 0; fi
}

# put FILE OFFSET BYTES: appends so many bytes of standard input.
do_put() {
    head -c "$3" >>"$1" || fail "cannot write $1"
    [ "$(wc -c <"$1")" -eq $(($2 + $3)) ] || fail "$1 did not come whole"
}

# install DIGEST DESTINATION: what was put as DIGEST.tar.gz, checked and unpacked, appears as ~/edgekit/DESTINATION.
do_install() {
    archive=$incoming/$1.tar.gz folder=$incoming/$1 destination=$root/$2
    [ "$(sha256sum "$archive" | cut -d ' ' -f 1)" = "$1" ] || {
        rm -f "$archive"
        echo "an archive was damaged on its way"
        exit 65
    }
    rm -rf "$folder"
    mkdir -p "$folder" "${destination%/*}" || exit 1
    tar -xzof "$archive" -C "$folder" || {
        rm -rf "$folder"
        fail "cannot unpack an archive"
    }
    flush "$folder" && mv -T "$folder" "$destination" || exit 1
    rm -f "$archive"
    flush "${destination%/*}"
}

# A symbolic link in one step: there is never a moment without it.
relink() {
    rm -rf "$incoming/link"
    ln -s "$1" "$incoming/link" && mv -T "$incoming/link" "$2"
}

# switch NAME RELEASE: makes it the current one; the one that was is kept as the previous one.
do_switch() {
    app=$root/apps/$1
    [ -d "$app/releases/$2" ] || fail "there is no release $2"
    old=$(named "$app/current")
    if [ -n "$old" ] && [ "$old" != "$2" ]; then
        relink "releases/$old" "$app/previous" && flush "$app" || exit 1
    fi
    relink "releases/$2" "$app/current" || exit 1
    flush "$app" || :
}

# rollback NAME: swaps current and previous.
do_rollback() {
    app=$root/apps/$1
    now=$(named "$app/current") before=$(named "$app/previous")
    [ -n "$before" ] && [ "$before" != "$now" ] || fail "there is no earlier release of $1"
    relink "releases/$before" "$app/current" || exit 1
    [ -z "$now" ] || relink "releases/$now" "$app/previous"
    flush "$app" || :
}

# discard PATH: removes what is there, if anything; half removed, it does not bear its name any more.
do_discard() {
    [ -e "$1" ] || return 0
    rm -rf "$incoming/discarded"
    mv -T "$1" "$incoming/discarded" && rm -rf "$incoming/discarded"
}

# prune NAME KEEP: removes releases of NAME but the current, the previous and KEEP, then parts that no release uses.
do_prune() {
    app=$root/apps/$1
    for release in "$app"/releases/*; do
        case ${release##*/} in
        "$(named "$app/current")" | "$(named "$app/previous")" | "$2") ;;
        *) do_discard "$release" ;;
        esac
    done
    for part in "$root"/parts/*; do
        [ -d "$part" ] || continue
        grep -qsx "${part##*/}" "$root"/apps/*/releases/*/parts || do_discard "$part"
    done
}

# exec PROGRAM ARGUMENT...: its standard output; it does not keep the lock.
do_exec() {
    "$@" </dev/null 2>&3 3>&- 9>&-
}

# remove FILE: one in the workspace.
do_remove() {
    rm -f "$1"
}

# fetch FILE: its bytes in base64.
do_fetch() {
    base64 "$1"
}

# workspace: a folder for the files of a run, which goes when this process ends.
workspace() {
    [ -n "$workspace" ] || workspace=$(mktemp -d "${TMPDIR:-/tmp}/edgekit-XXXXXX" 2>&1) || {
        out=$workspace workspace=
        return 1
    }
    out=$workspace
}

trap '[ -z "$workspace" ] || rm -rf "$workspace"' EXIT
trap 'exit 129' HUP INT PIPE TERM

answer() {
    printf '%s\n' "$token" >&3 # what a program wrote to standard error came before this
    printf '%s %s %s\n%s' "$token" "$1" "${#2}" "$2"
}

answer 0 ''
while IFS= read -r line; do
    eval "set -- $line"
    verb=$1
    shift
    [ -z "$locked" ] || touch "$root/lock" 2>/dev/null
    case $verb in
    lock | unlock | workspace) "$verb" "$@" ;;
    *) out=$("do_$verb" "$@" 2>&1) ;;
    esac
    status=$?
    answer "$status" "$out"
    if [ "$verb" = put ] && [ "$status" -ne 0 ]; then
        exit 1 # what was sent may not be read to its end, and must not be taken for requests
    fi
done
