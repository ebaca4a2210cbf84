# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# quickstart: as whom things run. Everything is done as the owner of the checkout. Where that is
# root, the servers run as system users, since PostgreSQL refuses to run as root and the others
# better do not: PostgreSQL as "postgres", the responder, which alone reads the KEK, as "daemon",
# the web server as "www-data".

OWNER=$(stat -c %U "$TOP")
OWNER_ID=$(stat -c %u "$TOP")
DB_USER=$OWNER RESPONDER_USER=$OWNER WEB_USER=$OWNER
if [ "$OWNER_ID" -eq 0 ]; then
    DB_USER=postgres RESPONDER_USER=daemon WEB_USER=www-data
fi

# Where sockets and process IDs are: in DIR, or, when that is so deep that a socket's name would
# pass the 107 bytes that Unix allows, in a short place that DIR/run links to.
RUN=

# become_owner ARGUMENT...: goes on as the owner of the checkout when root called for him.
become_owner() {
    local me
    me=$(id -u)
    [ "$me" -ne "$OWNER_ID" ] || return 0
    [ "$me" -eq 0 ] ||
        die "the checkout belongs to $OWNER: run quickstart as that user or as root"
    exec setpriv --reuid "$OWNER_ID" --regid "$(stat -c %g "$TOP")" --init-groups -- \
        env HOME="$(getent passwd "$OWNER_ID" | cut -d: -f6)" "$TOP/quickstart" "$@"
}

# give PATH USER MODE
give() {
    if [ "$OWNER_ID" -eq 0 ]; then
        chown "$2:" "$1" || die "cannot give $1 to $2"
    fi
    chmod "$3" "$1" || die "cannot change the mode of $1"
}

# as USER COMMAND...: runs the command as that user. Where root owns the checkout, with what the
# user lacks: the capability to pass through to DIR when it is below /root, and to listen on a port
# below 1024 when that was asked for.
as() {
    local user=$1 capabilities=''
    shift
    if [ "$user" = "$OWNER" ]; then
        "$@"
        return
    fi
    if ! setpriv --reuid "$user" --regid "$user" --init-groups -- test -x "$DIR/log" 2>/dev/null; then
        capabilities=+$(passing_capability)
    fi
    if [ "$user" = "$WEB_USER" ] && [ "$PORT" -lt 1024 ]; then
        capabilities+=${capabilities:+,}+net_bind_service
    fi
    setpriv --reuid "$user" --regid "$user" --init-groups \
        ${capabilities:+--inh-caps "$capabilities" --ambient-caps "$capabilities"} -- "$@"
}

# The weakest capability at hand that makes directories passable; containers often keep only the
# second one.
passing_capability() {
    if setpriv --inh-caps +dac_read_search --ambient-caps +dac_read_search true 2>/dev/null; then
        printf dac_read_search
    else
        printf dac_override
    fi
}

# The directories that servers write to.
make_service_directories() {
    find_runtime_directory
    mkdir -p "$RUN/db" "$RUN/speke" "$RUN/web" "$DIR/web" "$DIR/log/web" "$DIR/log/responder" \
        "$DIR/log/postgresql"
    give "$RUN/db" "$DB_USER" 0755
    give "$RUN/speke" "$RESPONDER_USER" 0755
    give "$RUN/web" "$WEB_USER" 0755
    give "$DIR/web" "$WEB_USER" 0755
    give "$DIR/log/web" "$WEB_USER" 0755
    give "$DIR/log/responder" "$RESPONDER_USER" 0755
    give "$DIR/log/postgresql" "$DB_USER" 0755
}

find_runtime_directory() {
    local longest=/run/speke/speke.sock.lock
    if [ -L "$DIR/run" ]; then
        RUN=$(readlink "$DIR/run")
        [ -d "$RUN" ] && [ -O "$RUN" ] && return
        rm -f "$DIR/run" # cleared with /tmp
    fi
    if [ "$(printf %s "$DIR$longest" | wc -c)" -le 107 ]; then
        RUN=$DIR/run
        mkdir -p "$RUN"
    else
        RUN=$(mktemp -d /tmp/speke-quickstart.XXXXXX) || die "cannot make a directory below /tmp"
        chmod 0755 "$RUN"
        ln -s "$RUN" "$DIR/run"
    fi
}

remove_runtime_directory() {
    if [ -L "$DIR/run" ] && [ -O "$(readlink "$DIR/run")" ]; then
        rm -rf "$(readlink "$DIR/run")"
    fi
}
