# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# quickstart: the responder and the web server, with the recipes of lighttpd/ and apache/ as they
# are installed.

# running PIDFILE WORD: whether the process of the file is alive and has WORD in its command line.
running() {
    local pid
    pid=$(head -n 1 "$1" 2>/dev/null) && [ -n "$pid" ] &&
        { tr '\0' ' ' <"/proc/$pid/cmdline" | grep -qF -- "$2"; } 2>/dev/null
}

# end PIDFILE WORD NAME: SIGTERM, and SIGKILL after 15 seconds.
end() {
    local pid i
    running "$1" "$2" || return 0
    pid=$(head -n 1 "$1")
    step "Stopping $3"
    kill -TERM "$pid" 2>/dev/null
    for ((i = 0; i < 150; i++)); do
        running "$1" "$2" || break
        sleep 0.1
    done
    if running "$1" "$2"; then
        kill -KILL "$pid"
    fi
    rm -f "$1"
}

# wait_for SECONDS COMMAND...
wait_for() {
    local i tenths=$(($1 * 10))
    shift
    for ((i = 0; i < tenths; i++)); do
        "$@" && return 0
        sleep 0.1
    done
    return 1
}

# background LOG USER COMMAND...
background() {
    local log=$1 user=$2
    shift 2
    (as "$user" setsid "$@" >>"$log" 2>&1 </dev/null &)
}

responder_config() {
    printf '%s/etc/speke-fcgi/speke.conf' "$DIR"
}

start_responder() {
    local config program=$DIR/usr/libexec/speke-fcgi/speke.fcgi log=$DIR/log/responder/responder.log
    config=$(responder_config)
    printf '%s\n' "# Written by quickstart." "database = $(database_of responder)" \
        "kek_file = $DIR/etc/speke-fcgi/kek" "player_url = https://localhost:$PORT/player" \
        "log_level = info" >"$config"
    stop_responder # a new build may have come
    step "Starting the responder"
    background "$log" "$RESPONDER_USER" "$program" --config "$config" --listen "$RUN/speke/speke.sock" \
        --workers 2 --pid-file "$RUN/speke/responder.pid"
    if ! wait_for 10 test -S "$RUN/speke/speke.sock"; then
        tail -n 10 "$log"
        die "the responder does not start: see $log"
    fi
    # "daemon" may not hand the socket to the web server's group, root may.
    if [ "$OWNER_ID" -eq 0 ]; then
        chgrp "$WEB_USER" "$RUN/speke/speke.sock"
    fi
}

stop_responder() {
    end "$RUN/speke/responder.pid" "$(responder_config)" "the responder"
}

write_lighttpd_config() {
    local examples=$DIR/usr/share/speke-fcgi/examples/lighttpd
    cat <<TEXT
# Written by quickstart.
server.document-root = "$DIR/web"
server.bind = "127.0.0.1"
server.port = $PORT
server.pid-file = "$RUN/web/lighttpd.pid"
server.errorlog = "$DIR/log/web/lighttpd.log"
server.upload-dirs = ("$DIR/web")
server.modules = ("mod_accesslog")
accesslog.filename = "$DIR/log/web/access.log"
accesslog.format = "%h %u %t \"%m %U %H\" %>s %b"
include "$examples/speke-defaults.conf"
speke_examples := "$examples"
speke_listen := "127.0.0.1:$PORT"
speke_certificate := "$DIR/etc/tls/server.pem"
speke_certificate_key := "$DIR/etc/tls/server.key"
speke_users := "$USERS"
speke_socket := "$RUN/speke/speke.sock"
speke_player_socket := "$RUN/speke/speke.sock"
include speke_examples + "/tls.conf"
include speke_examples + "/speke-socket.conf"
include speke_examples + "/speke-digest.conf"
include speke_examples + "/speke-player.conf"
TEXT
    ! demo_is_there || demo_lighttpd
}

write_apache_config() {
    local examples=$DIR/usr/share/speke-fcgi/examples/apache module
    cat <<TEXT
# Written by quickstart.
ServerRoot $DIR/web
DefaultRuntimeDir $RUN/web
PidFile $RUN/web/apache.pid
Mutex file:$RUN/web default
ServerName localhost
ErrorLog $DIR/log/web/apache.log
TEXT
    for module in mpm_event authn_core authn_file authz_core authz_user auth_digest alias proxy \
        proxy_fcgi buffer env reqtimeout ssl socache_shmcb; do
        printf 'LoadModule %s_module /usr/lib/apache2/modules/mod_%s.so\n' "$module" "$module"
    done
    cat <<TEXT
LogFormat "%h %u %t \"%m %U %H\" %>s %b" common
CustomLog $DIR/log/web/access.log common
DocumentRoot $DIR/web
<Directory />
  Require all denied
</Directory>
Define SPEKE_EXAMPLES $examples
Define SPEKE_CERTIFICATE $DIR/etc/tls/server.pem
Define SPEKE_CERTIFICATE_KEY $DIR/etc/tls/server.key
Define SPEKE_USERS $USERS
Define SPEKE_SOCKET $RUN/speke/speke.sock
Define SPEKE_PLAYER_SOCKET $RUN/speke/speke.sock
Include \${SPEKE_EXAMPLES}/speke-server.conf
Listen 127.0.0.1:$PORT
<VirtualHost 127.0.0.1:$PORT>
  ServerName localhost
  Include \${SPEKE_EXAMPLES}/tls.conf
  Include \${SPEKE_EXAMPLES}/speke-proxy.conf
  Include \${SPEKE_EXAMPLES}/speke-digest.conf
  Include \${SPEKE_EXAMPLES}/speke-player.conf
</VirtualHost>
TEXT
    ! demo_is_there || demo_apache
}

web_config() {
    printf '%s/etc/%s.conf' "$DIR" "$1"
}

health() {
    curl --silent --output "$DIR/log/health" --write-out '%{http_code}' --max-time 5 \
        --cacert "$DIR/etc/tls/ca.pem" "${URL%/v2.0/*}/health"
}

healthy() {
    [ "$(health)" = 200 ]
}

port_taken() {
    (exec 3<>"/dev/tcp/127.0.0.1/$PORT") 2>/dev/null
}

start_web() {
    local config command
    config=$(web_config "$SERVER")
    stop_web # the other server, or the same with other parameters
    "write_${SERVER}_config" >"$config"
    ! port_taken || die "port $PORT is in use by another program: QUICKSTART_PORT=NUMBER ./quickstart"
    step "Starting $SERVER on https://localhost:$PORT/speke"
    if [ "$SERVER" = lighttpd ]; then
        command=(/usr/sbin/lighttpd -f "$config")
    else
        command=(/usr/sbin/apache2 -f "$config" -k start)
    fi
    logged "$DIR/log/web.log" as "$WEB_USER" "${command[@]}" || exit 1
    if ! wait_for 20 healthy; then
        tail -n 5 "$DIR/log/web/$SERVER.log" "$DIR/log/responder/responder.log"
        die "/speke/health answers $(health) $(cat "$DIR/log/health" 2>/dev/null): see $DIR/log"
    fi
}

stop_web() {
    end "$RUN/web/lighttpd.pid" "$(web_config lighttpd)" lighttpd
    end "$RUN/web/apache.pid" "$(web_config apache)" Apache
}

status() {
    local all=0 web=stopped responder=stopped database=stopped
    find_runtime_directory
    database_runs && database=running || all=3
    running "$RUN/speke/responder.pid" "$(responder_config)" && responder=running || all=3
    if running "$RUN/web/lighttpd.pid" "$(web_config lighttpd)"; then
        web="lighttpd, running"
    elif running "$RUN/web/apache.pid" "$(web_config apache)"; then
        web="Apache, running"
    else
        all=3
    fi
    say "database:   $database"
    say "responder:  $responder"
    say "web server: $web"
    if [ "$all" -eq 0 ]; then
        URL=$(from_environment SPEKE_URL)
        say "URL:        $URL"
        say "health:     $(health) $(head -c 60 "$DIR/log/health")"
    fi
    exit "$all"
}
