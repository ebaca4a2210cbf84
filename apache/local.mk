# SPDX-License-Identifier: Apache-2.0
# Examples that an operator includes: nothing is enabled by an installation.
apacheexamplesdir = $(pkgdatadir)/examples/apache
dist_apacheexamples_DATA = \
	apache/shared-hosting.htaccess \
	apache/speke-basic.conf \
	apache/speke-client-cert.conf \
	apache/speke-digest.conf \
	apache/speke-fcgid.conf \
	apache/speke-gateway.conf \
	apache/speke-player-fcgid.conf \
	apache/speke-player.conf \
	apache/speke-proxy.conf \
	apache/speke-server.conf \
	apache/speke-webauth-dbd.conf \
	apache/tls.conf

dist_doc_DATA = doc/recipes.md doc/shared-hosting.md
