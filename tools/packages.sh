# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# Installs what the file "packages" lists without leaving a server running; to be sourced by bash
# after tools/ui.sh. TOP is the checkout.

# packages_missing KIND...: those of the list that are not installed, one a line.
packages_missing() {
    local kind package
    for kind in "$@"; do
        sed -n "s/^$kind //p" "$TOP/packages"
    done | while read -r package; do
        packages_installed "$package" || printf '%s\n' "$package"
    done
}

# A package that came from elsewhere and provides another counts for it: Node.js of other origins
# brings npm along, and conflicts with Debian's.
packages_installed() {
    [ "$(dpkg-query --show --showformat='${db:Status-Status}' "$1" 2>/dev/null)" = installed ] ||
        packages_provided | grep -qxF -- "$1"
}

# The names that installed packages provide, without versions, one a line.
packages_provided() {
    dpkg-query --show --showformat='${db:Status-Status}, ${Provides}\n' 2>/dev/null |
        sed -n 's/^installed, //p' | tr ',' '\n' | sed 's/^ *//; s/ (.*//'
}

# packages_ensure LOG KIND...: installs what is missing, as root or with sudo; says how to when it
# may not, and returns 1.
packages_ensure() {
    local log=$1 missing as_root=()
    shift
    mapfile -t missing < <(packages_missing "$@")
    [ ${#missing[@]} -gt 0 ] || return 0
    if [ "$(id -u)" -ne 0 ]; then
        if command -v sudo >/dev/null && { [ -t 0 ] || sudo -n true 2>/dev/null; }; then
            as_root=(sudo)
            sudo true || return 1 # asks for the password here, where it can be seen
        else
            say "Packages are missing. As root, once:"
            say "  apt-get install --no-install-recommends ${missing[*]}"
            return 1
        fi
    fi
    step "Installing ${#missing[@]} packages: ${missing[*]}"
    logged "$log" "${as_root[@]}" bash "$TOP/tools/install-packages" "${missing[@]}"
}
