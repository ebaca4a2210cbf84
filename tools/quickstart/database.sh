# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# quickstart: a private PostgreSQL cluster that listens on a Unix socket alone. Who may be which
# database role follows from the system user (peer authentication): there are no passwords.

# Connection string of a database role.
database_of() {
    printf 'host=%s dbname=speke user=%s' "$RUN/db" "$1"
}

# spekectl as the operator.
ctl() {
    "$DIR/usr/bin/spekectl" --db "$(database_of operator)" "$@"
}

superuser() {
    psql --no-psqlrc --quiet --set ON_ERROR_STOP=1 --host "$RUN/db" --username postgres "$@"
}

# Where the programs of the cluster's version are; the newest when there is no cluster yet.
postgresql_programs() {
    local version=
    if [ -e "$DIR/db/PG_VERSION" ]; then
        version=$(cat "$DIR/db/PG_VERSION")
    else
        version=$(find /usr/lib/postgresql -mindepth 1 -maxdepth 1 -printf '%f\n' | sort -n | tail -n 1)
    fi
    printf '/usr/lib/postgresql/%s/bin' "$version"
}

make_cluster() {
    local system_user database_user
    step "Making a PostgreSQL cluster in $DIR/db"
    mkdir -p "$DIR/db"
    give "$DIR/db" "$DB_USER" 0700
    logged "$DIR/log/postgresql.log" as "$DB_USER" "$(postgresql_programs)/initdb" --pgdata "$DIR/db" \
        --username postgres --auth peer --encoding UTF8 --locale C.UTF-8 --data-checksums ||
        { rm -rf "$DIR/db" && exit 1; }
    printf 'local all all peer map=quickstart\n' >"$DIR/db/pg_hba.conf"
    {
        for system_user in root "$OWNER" "$DB_USER"; do
            for database_user in postgres operator auditor; do
                printf 'quickstart %s %s\n' "$system_user" "$database_user"
            done
        done
        printf 'quickstart %s responder\n' "$RESPONDER_USER"
    } | sort -u >"$DIR/db/pg_ident.conf"
    printf '%s\n' "listen_addresses = ''" "logging_collector = off" >>"$DIR/db/postgresql.conf"
}

database_runs() {
    [ -e "$DIR/db/postmaster.pid" ] && kill -0 "$(head -n 1 "$DIR/db/postmaster.pid")" 2>/dev/null &&
        pg_isready --quiet --host "$RUN/db"
}

start_database() {
    [ -e "$DIR/db/PG_VERSION" ] || make_cluster
    database_runs && return
    step "Starting PostgreSQL on a Unix socket in $RUN/db"
    # The sockets' directory goes on the command line: it may be another one after a reboot.
    logged "$DIR/log/postgresql.log" as "$DB_USER" "$(postgresql_programs)/pg_ctl" --pgdata "$DIR/db" \
        --log "$DIR/log/postgresql/postgresql.log" --wait --timeout 60 \
        --options "-c unix_socket_directories=$RUN/db" start ||
        { tail -n 10 "$DIR/log/postgresql/postgresql.log" && exit 1; }
}

stop_database() {
    database_runs || return 0
    step "Stopping PostgreSQL"
    logged "$DIR/log/postgresql.log" as "$DB_USER" "$(postgresql_programs)/pg_ctl" --pgdata "$DIR/db" \
        --mode fast --wait --timeout 60 stop
}

# Database, group roles, schema, and a login role for each of those who come.
make_schema() {
    if ! superuser --dbname postgres --tuples-only --command \
        "SELECT 'there' FROM pg_database WHERE datname = 'speke'" | grep -q there; then
        step "Making the database"
        superuser --dbname postgres --command \
            "CREATE DATABASE speke ENCODING 'UTF8' TEMPLATE template0" || exit 1
    fi
    "$DIR/usr/bin/spekectl" --db "$(database_of postgres)" db init || exit 1
    superuser --dbname speke <<'SQL' || exit 1
DO $$
DECLARE
    v_login text;
    v_group text;
BEGIN
    FOR v_login, v_group IN VALUES ('responder', 'speke_service'), ('operator', 'speke_operator'),
                                   ('auditor', 'speke_auditor')
    LOOP
        IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = v_login) THEN
            EXECUTE format('CREATE ROLE %I LOGIN', v_login);
            EXECUTE format('GRANT %I TO %I', v_group, v_login);
        END IF;
    END LOOP;
END
$$;
SQL
}

# The key-encryption key, which only the responder's user may read.
make_kek() {
    local kek=$DIR/etc/speke-fcgi/kek
    if [ ! -e "$kek" ]; then
        step "Making a key-encryption key in $kek"
        ctl kek create --file "$kek" || exit 1
    fi
    give "$kek" "$RESPONDER_USER" 0400
}
