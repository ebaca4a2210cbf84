# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# quickstart demo: a clip, packaged with keys asked for by SPEKE, and a page on which browsers play it
# with keys from the player's door. Everything is in DIR/demo; the page in DIR/demo/www, which the web
# server shows from then on.

DEMO_CONTENTS=(demo-cenc demo-cbcs demo-aes128)
DEMO_SIGNER=viewers
DEMO_TOKEN_SECONDS=86400

demo_is_there() {
    [ -d "$DIR/demo/www" ]
}

demo_directories() {
    mkdir -p "$DIR/demo/www/data" "$DIR/demo/www/lib"
}

# Browsers ask each time whether a file changed: after a reset media of the same name has other keys.
demo_lighttpd() {
    cat <<TEXT
server.modules += ("mod_alias", "mod_setenv")
\$HTTP["url"] =~ "^/demo/" {
    alias.url = ("/demo/" => "$DIR/demo/www/")
    index-file.names = ("index.html")
    mimetype.assign = (
        ".html" => "text/html", ".css" => "text/css", ".js" => "text/javascript",
        ".json" => "application/json", ".mpd" => "application/dash+xml",
        ".m3u8" => "application/vnd.apple.mpegurl", ".mp4" => "video/mp4", ".ts" => "video/mp2t"
    )
    setenv.set-response-header = ("Cache-Control" => "no-cache")
}
TEXT
}

demo_apache() {
    local module
    for module in dir headers mime; do
        printf 'LoadModule %s_module /usr/lib/apache2/modules/mod_%s.so\n' "$module" "$module"
    done
    cat <<TEXT
TypesConfig /dev/null
Alias /demo/ "$DIR/demo/www/"
<Directory "$DIR/demo/www">
  Require all granted
  DirectoryIndex index.html
  AddType text/html .html
  AddType text/css .css
  AddType text/javascript .js
  AddType application/json .json
  AddType application/dash+xml .mpd
  AddType application/vnd.apple.mpegurl .m3u8
  AddType video/mp4 .mp4
  AddType video/mp2t .ts
  Header set Cache-Control no-cache
</Directory>
TEXT
}

# The page and the players' scripts, which are copies: nothing comes from the network.
demo_page() {
    local modules=$1 www=$DIR/demo/www
    cp "$TOP"/demo/*.html "$TOP"/demo/*.css "$TOP"/demo/*.js "$www/" || exit 1
    cp "$modules/shaka-player/dist/shaka-player.compiled.js" "$www/lib/shaka-player.js" || exit 1
    cp "$modules/dashjs/dist/modern/umd/dash.all.min.js" "$www/lib/dash.js" || exit 1
    cp "$modules/hls.js/dist/hls.min.js" "$www/lib/hls.js" || exit 1
}

# What the tenant's answers say, and who signs the tokens of its viewers. "rival" is there to be
# refused.
demo_tenants() {
    local tenant
    ctl --quiet drm set demo eme licence on || exit 1
    if ! ctl tenant list --json | grep -q '"rival"'; then
        ctl tenant add rival || exit 1
    fi
    for tenant in demo rival; do
        if [ ! -e "$(demo_signing_key "$tenant")" ]; then
            step "Making a key that signs the tokens of viewers of tenant \"$tenant\""
            ctl token-key add "$tenant" --kid "$DEMO_SIGNER" --generate --alg ES256 \
                --out "$(demo_signing_key "$tenant")" || exit 1
        fi
    done
}

# Your site has such a key; the provider needs its public half alone.
demo_signing_key() {
    printf '%s/etc/speke-fcgi/%s-%s.pem' "$DIR" "$DEMO_SIGNER" "$1"
}

demo_token() {
    local content bound=()
    for content in "${DEMO_CONTENTS[@]}"; do
        bound+=(--content-id "$content")
    done
    "$DIR/usr/bin/spekectl" token issue --key-file "$(demo_signing_key "$1")" --kid "$DEMO_SIGNER" \
        --sub "viewer-of-$1" --ttl "$DEMO_TOKEN_SECONDS" "${bound[@]}"
}

# Tokens are as good as keys: they go into a file that the web server's user alone reads, and not
# through arguments.
demo_settings() {
    local file=$DIR/demo/www/data/demo.json
    (
        umask 077
        { demo_token demo && demo_token rival; } | jq --raw-input --slurp '
            split("\n") | {
                door: "/player/",
                tokens: {entitled: .[0], stranger: .[1]},
                commands: {disable: $disable, enable: $enable}
            }' --arg disable "$(demo_command disable)" --arg enable "$(demo_command enable)" >"$file.new"
    ) || die "cannot issue tokens"
    give "$file.new" "$WEB_USER" 0400
    mv "$file.new" "$file"
}

demo_command() {
    printf "%s/usr/bin/spekectl --db '%s' token-key %s demo %s" \
        "$DIR" "$(database_of operator)" "$1" "$DEMO_SIGNER"
}

demo_media() {
    local modules=$1
    step "A clip, packaged: DASH cenc and cbcs (SD, HD and audio keys), HLS AES-128 with two keys"
    # shellcheck source=/dev/null
    (
        . "$DIR/env" && export SPEKECTL="$DIR/usr/bin/spekectl" \
            PACKAGER="$modules/shaka-packager/bin/packager-linux-x64" &&
            logged "$DIR/log/demo.log" "$TOP/demo/make-media" "$DIR/demo/clip" "$DIR/demo/www/media"
    ) || exit 1
}

demo_feed_file() {
    printf '%s/demo/www/data/audit.json' "$DIR"
}

start_demo_feed() {
    stop_demo_feed
    background "$DIR/log/feed.log" "$OWNER" "$TOP/demo/feed" "$(database_of auditor)" \
        "$(demo_feed_file)" "$RUN/feed.pid"
    wait_for 10 test -s "$(demo_feed_file)" || die "the audit cannot be read: see $DIR/log/feed.log"
}

stop_demo_feed() {
    end "$RUN/feed.pid" "$(demo_feed_file)" "the demonstration's view of the audit"
}

demo_tell() {
    cat <<TEXT

The demonstration:  https://localhost:$PORT/demo/
The browser has to trust $DIR/etc/tls/ca.pem, or you to click its warning away; a browser on another
machine reaches it through  ssh -L $PORT:localhost:$PORT THIS-MACHINE

The media are in $DIR/demo/www/media. Take the entitlement away and give it back:

$(demo_command disable)
$(demo_command enable)
TEXT
}

demo() {
    local modules
    step "The packager's and the players' npm packages"
    logged "$DIR/log/npm.log" "$TOP/tools/npm.sh" demo || exit 1
    modules=$TOP/var/npm/demo/node_modules
    demo_tenants
    demo_media "$modules"
    demo_page "$modules"
    demo_settings
    start_demo_feed
    demo_tell
}
