# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=sh
# A private PostgreSQL cluster that listens on a Unix socket in its own directory and nowhere
# else. To be sourced by a POSIX shell; root runs it as user postgres.
#
#   pg_available          true when the programs are there
#   pg_start DIR [OPT]    makes DIR (which must not exist, and be short: it holds the socket) a
#                         cluster and starts it. OPT are further arguments of postgres. Exports
#                         PGHOST, PGPORT and PGUSER=postgres, the superuser; everybody is trusted.
#   pg_load DB [USER]     creates database DB and loads the schema: with the group roles, as PG_DBA
#                         (default: postgres), or, when USER is given, as that role alone, which
#                         then owns the database
#   pg_restart, pg_stop   pg_stop removes DIR as well; should the shell that called pg_start be
#                         killed, this is done for it
#
# SPEKE_SQL is the directory of the SQL files, PG_BINDIR that of the server programs.

: "${PG_BINDIR:=$(pg_config --bindir 2>/dev/null)}"
: "${SPEKE_SQL:=sql}"

pg_available() {
    [ -x "$PG_BINDIR/initdb" ] && [ -x "$PG_BINDIR/pg_ctl" ] && command -v psql >/dev/null
}

pg_as() {
    if [ "$(id -u)" -eq 0 ]; then
        setpriv --reuid postgres --regid postgres --init-groups -- "$@"
    else
        "$@"
    fi
}

pg_start() {
    PG_DIR=$1
    PG_OPTIONS="-c listen_addresses= -c unix_socket_directories=$PG_DIR -c shared_buffers=64MB ${2-}"
    mkdir -m 0755 "$PG_DIR" || return 1
    pg_watch
    if [ "$(id -u)" -eq 0 ]; then
        chown postgres: "$PG_DIR" || return 1
    fi
    pg_as "$PG_BINDIR/initdb" -D "$PG_DIR/data" -U postgres -A trust -E UTF8 --locale=C.UTF-8 \
        --no-sync >"$PG_DIR.log" 2>&1 || { cat "$PG_DIR.log" >&2; return 1; }
    PGHOST=$PG_DIR PGPORT=5432 PGUSER=postgres
    export PGHOST PGPORT PGUSER
    pg_ctl_start
}

# Outlives the shell by a second or two, in a session of its own, and ends when DIR is gone.
pg_watch() {
    # shellcheck disable=SC2016 # the inner shell expands it
    setsid sh -c 'while [ -d "$2" ]; do
            kill -0 "$1" 2>/dev/null && sleep 1 && continue
            kill -QUIT "$(head -n 1 "$2/data/postmaster.pid")"
            sleep 1
            rm -rf "$2" "$2.log"
        done' pg-watch $$ "$PG_DIR" </dev/null >/dev/null 2>&1 &
}

pg_ctl_start() {
    (cd / && pg_as "$PG_BINDIR/pg_ctl" -D "$PG_DIR/data" -l "$PG_DIR/log" -w -t 30 \
        -o "$PG_OPTIONS" start) >/dev/null || { cat "$PG_DIR/log" >&2; return 1; }
}

pg_ctl_stop() {
    (cd / && pg_as "$PG_BINDIR/pg_ctl" -D "$PG_DIR/data" -m "$1" -w -t 30 stop) >/dev/null
}

pg_restart() {
    pg_ctl_stop fast && pg_ctl_start
}

pg_stop() {
    [ -n "${PG_DIR-}" ] || return 0
    if [ -f "$PG_DIR/data/postmaster.pid" ]; then
        pg_ctl_stop immediate || return 1
    fi
    rm -rf "$PG_DIR" "$PG_DIR.log"
    PG_DIR=
}

pg_run() {
    psql --no-psqlrc --quiet --set ON_ERROR_STOP=1 "$@"
}

pg_load() {
    pg_dba=${PG_DBA:-postgres}
    if [ -z "${2-}" ]; then
        pg_run -d postgres -U "$pg_dba" -f "$SPEKE_SQL/roles.sql" || return 1
        pg_run -d postgres -U "$pg_dba" -c "CREATE DATABASE $1 OWNER speke_owner" || return 1
    else
        pg_dba=$2
        pg_run -d postgres -c "CREATE DATABASE $1 OWNER $2" || return 1
    fi
    for pg_file in "$SPEKE_SQL"/migrations/*.sql; do
        pg_run -d "$1" -U "$pg_dba" -f "$pg_file" || return 1
    done
}
