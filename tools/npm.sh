#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Installs the npm packages of a folder below var/npm: see usage() below.
set -eu
umask 022

TOP=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd -P)

usage() {
    cat <<'TEXT'
Usage: tools/npm.sh FOLDER
       tools/npm.sh --lock FOLDER

Installs what FOLDER/package.json and FOLDER/package-lock.json say, exactly, to var/npm/FOLDER, and
prints the path of the node_modules there: for NODE_PATH, or to serve files from. FOLDER is a path
in the checkout, such as tests/aws. Nothing is done when that is there already; several may ask at
once. Scripts of packages are not run. The source folder is only read.

--lock  writes FOLDER/package-lock.json anew after package.json was changed. The lock has versions
        and checksums but no addresses: packages come from the registry that npm is set up with.
TEXT
}

npm_quietly() {
    npm "$@" --cache "$TOP/var/npm/.cache" --ignore-scripts --no-audit --no-fund --no-update-notifier \
        --omit-lockfile-registry-resolved --loglevel=error
}

# copies PLACE FILE...: the files in an empty PLACE, which becomes the working directory.
copies() {
    local place=$1
    shift
    rm -rf "$place"
    mkdir -p "$place"
    cp "$@" "$place/"
    cd "$place"
}

# The copy of the lock comes last: where it is, the installation was finished.
install() {
    local place=$TOP/var/npm/$1 source=$TOP/$1
    if ! cmp -s "$source/package-lock.json" "$place/installed-lock.json"; then
        copies "$place" "$source/package.json" "$source/package-lock.json"
        npm_quietly ci --prefer-offline >&2
        cp "$source/package-lock.json" "$place/installed-lock.json"
    fi
    printf '%s\n' "$place/node_modules"
}

lock() {
    copies "$TOP/var/npm/.new" "$TOP/$1/package.json"
    npm_quietly install --package-lock-only >&2
    cp package-lock.json "$TOP/$1/package-lock.json"
}

action=install
if [ "${1-}" = --lock ]; then
    action=lock
    shift
fi
case ${1-} in
-h | --help) usage && exit 0 ;;
-*) usage >&2 && exit 2 ;;
esac
if [ $# -ne 1 ] || [ ! -f "$TOP/$1/package.json" ]; then
    usage >&2
    exit 2
fi
command -v npm >/dev/null || { echo "npm.sh: npm is missing (Debian: apt-get install npm)" >&2 && exit 1; }
mkdir -p "$TOP/var/npm"
exec 9>"$TOP/var/npm/.lock"
flock 9
"$action" "${1%/}"
