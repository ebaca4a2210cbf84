# SPDX-License-Identifier: Apache-2.0
dist_man_MANS += doc/speke.fcgi.8 doc/speke.conf.5 doc/speke-tenant.5 doc/spekectl.1

# Units for systemd, as examples: nothing is enabled by an installation.
systemdexamplesdir = $(pkgdatadir)/examples/systemd
dist_systemdexamples_DATA = doc/systemd/speke.socket
systemdexamples_DATA = doc/systemd/speke.service doc/systemd/speke-audit-seal.service
EXTRA_DIST += doc/custody.md doc/systemd/speke.service.in doc/systemd/speke-audit-seal.service.in doc/audit.md doc/conformance.md doc/fuzzing.md doc/performance.md
EXTRA_DIST += doc/keys.md
EXTRA_DIST += doc/players.md
EXTRA_DIST += doc/fetch.md
CLEANFILES += doc/systemd/speke.service doc/systemd/speke-audit-seal.service

doc/systemd/speke.service doc/systemd/speke-audit-seal.service: %: $(srcdir)/%.in Makefile
	@$(MKDIR_P) doc/systemd
	$(AM_V_GEN)sed -e 's|@pkglibexecdir[@]|$(pkglibexecdir)|g' -e 's|@sysconfdir[@]|$(sysconfdir)|g' \
		-e 's|@bindir[@]|$(bindir)|g' $(srcdir)/$@.in > $@.new && mv $@.new $@
