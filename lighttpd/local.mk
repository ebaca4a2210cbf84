# SPDX-License-Identifier: Apache-2.0
# Examples that an operator includes: nothing is enabled by an installation.
lighttpdexamplesdir = $(pkgdatadir)/examples/lighttpd
dist_lighttpdexamples_DATA = \
	lighttpd/speke-basic.conf \
	lighttpd/speke-client-cert.conf \
	lighttpd/speke-defaults.conf \
	lighttpd/speke-digest.conf \
	lighttpd/speke-gateway.conf \
	lighttpd/speke-player-spawn.conf \
	lighttpd/speke-player.conf \
	lighttpd/speke-socket.conf \
	lighttpd/speke-spawn.conf \
	lighttpd/speke-webauth-dbi.conf \
	lighttpd/tls.conf
