# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# quickstart: a CA of its own and a server certificate for localhost, both ECDSA P-256.

new_key() {
    (umask 077 && openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out "$1") 2>/dev/null
}

make_ca() {
    local tls=$DIR/etc/tls
    new_key "$tls/ca.key" &&
        openssl req -x509 -new -key "$tls/ca.key" -out "$tls/ca.pem" -days 3650 -sha256 \
            -subj '/CN=speke-fcgi quickstart CA' \
            -addext 'basicConstraints=critical,CA:TRUE,pathlen:0' \
            -addext 'keyUsage=critical,keyCertSign,cRLSign'
}

make_server_certificate() {
    local tls=$DIR/etc/tls
    new_key "$tls/server.key" &&
        openssl req -new -key "$tls/server.key" -subj '/CN=localhost' -out "$tls/server.csr" &&
        openssl x509 -req -in "$tls/server.csr" -CA "$tls/ca.pem" -CAkey "$tls/ca.key" -CAcreateserial \
            -days 397 -sha256 -out "$tls/server.pem" -extfile <(
                printf '%s\n' 'basicConstraints=critical,CA:FALSE' 'keyUsage=critical,digitalSignature' \
                    'extendedKeyUsage=serverAuth' 'subjectAltName=DNS:localhost,IP:127.0.0.1,IP:::1' \
                    'subjectKeyIdentifier=hash' 'authorityKeyIdentifier=keyid'
            ) 2>/dev/null &&
        rm -f "$tls/server.csr"
}

# Makes what is missing, and the server's certificate anew in its last week.
make_certificates() {
    local tls=$DIR/etc/tls
    if [ ! -s "$tls/ca.pem" ]; then
        step "Making a CA in $tls"
        make_ca || die "openssl failed"
    fi
    if ! openssl x509 -in "$tls/server.pem" -noout -checkend 604800 >/dev/null 2>&1; then
        step "Making a certificate for localhost"
        make_server_certificate || die "openssl failed"
    fi
    give "$tls/server.key" "$WEB_USER" 0400
}
