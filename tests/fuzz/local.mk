# SPDX-License-Identifier: Apache-2.0
# Each target is a program: with --enable-fuzz one of libFuzzer, else one that replays the seeds and
# what was once found, which "make check" runs.
fuzz_targets = \
	tests/fuzz/fuzz-base64 \
	tests/fuzz/fuzz-certificate \
	tests/fuzz/fuzz-clearkey \
	tests/fuzz/fuzz-csv \
	tests/fuzz/fuzz-document \
	tests/fuzz/fuzz-fcgi \
	tests/fuzz/fuzz-keyring \
	tests/fuzz/fuzz-open \
	tests/fuzz/fuzz-pssh \
	tests/fuzz/fuzz-request \
	tests/fuzz/fuzz-settings \
	tests/fuzz/fuzz-show \
	tests/fuzz/fuzz-template \
	tests/fuzz/fuzz-tenant \
	tests/fuzz/fuzz-token \
	tests/fuzz/fuzz-uuid
check_PROGRAMS += $(fuzz_targets)
fuzz_common = tests/fuzz/fuzz.c tests/fuzz/fuzz.h
if ENABLE_FUZZ
fuzz_main =
FUZZ_LINK = -fsanitize=fuzzer
else
fuzz_main = tests/fuzz/replay.c
FUZZ_LINK =
TESTS += $(fuzz_targets)
endif
EXTRA_DIST += tests/fuzz/clearkey.dict tests/fuzz/cpix.dict tests/fuzz/finds tests/fuzz/replay.c \
	tests/fuzz/request.dict tests/fuzz/run tests/fuzz/seeds tests/fuzz/settings.dict \
	tests/fuzz/targets tests/fuzz/template.dict tests/fuzz/tenant.dict \
	tests/fuzz/token.dict

FUZZ_SECONDS = 600
fuzz-programs: $(fuzz_targets)
fuzz: fuzz-programs
	$(top_srcdir)/tests/fuzz/run --build . $(FUZZ_SECONDS)
.PHONY: fuzz fuzz-programs

fuzz_flags = $(AM_LDFLAGS) $(FUZZ_LINK)
fuzz_small_libs = src/cpix/libcpix.a src/base/libbase.a $(LIBXML2_LIBS) $(OPENSSL_LIBS)
fuzz_exchange_libs = src/player/libplayer.a src/exchange/libexchange.a src/drm/libdrm.a \
	$(fuzz_small_libs) $(FCGI_LIBS) $(CJOSE_LIBS) $(JANSSON_LIBS)
fuzz_ctl_libs = src/ctl/libctl.a src/player/libplayer.a src/exchange/libexchange.a src/keystore/libkeystore.a \
	src/drm/libdrm.a $(fuzz_small_libs) $(LIBPQ_LIBS) $(LIBCURL_LIBS) $(CJOSE_LIBS) \
	$(JANSSON_LIBS)
# The responder without what listens and keeps workers.
fuzz_responder = \
	tests/fuzz/answer_check.c tests/fuzz/answer_check.h tests/fuzz/memory_keystore.c \
	src/responder/answer.c src/responder/location.c src/responder/request.c \
	src/responder/player_routes.c src/responder/responder.c src/responder/routes.c \
	src/keystore/clock.c

tests_fuzz_fuzz_base64_SOURCES = tests/fuzz/base64.c $(fuzz_common) $(fuzz_main)
tests_fuzz_fuzz_base64_CPPFLAGS = $(AM_CPPFLAGS) -I$(top_srcdir)/tests/fuzz -DFUZZ_TARGET='"base64"'
tests_fuzz_fuzz_base64_LDFLAGS = $(fuzz_flags)
tests_fuzz_fuzz_base64_LDADD = $(fuzz_small_libs)

tests_fuzz_fuzz_certificate_SOURCES = tests/fuzz/certificate.c $(fuzz_common) $(fuzz_main)
tests_fuzz_fuzz_certificate_CPPFLAGS = $(AM_CPPFLAGS) -I$(top_srcdir)/tests/fuzz -DFUZZ_TARGET='"certificate"'
tests_fuzz_fuzz_certificate_LDFLAGS = $(fuzz_flags)
tests_fuzz_fuzz_certificate_LDADD = $(fuzz_small_libs)

tests_fuzz_fuzz_document_SOURCES = tests/fuzz/document.c $(fuzz_common) $(fuzz_main)
tests_fuzz_fuzz_document_CPPFLAGS = $(AM_CPPFLAGS) -I$(top_srcdir)/tests/fuzz -DFUZZ_TARGET='"document"'
tests_fuzz_fuzz_document_LDFLAGS = $(fuzz_flags)
tests_fuzz_fuzz_document_LDADD = src/drm/libdrm.a $(fuzz_small_libs)

tests_fuzz_fuzz_fcgi_SOURCES = tests/fuzz/fcgi.c $(fuzz_common) $(fuzz_responder) src/responder/fcgi.c src/responder/io.c $(fuzz_main)
tests_fuzz_fuzz_fcgi_CPPFLAGS = $(AM_CPPFLAGS) -I$(top_srcdir)/tests/fuzz -DFUZZ_TARGET='"fcgi"'
tests_fuzz_fuzz_fcgi_LDFLAGS = $(fuzz_flags)
tests_fuzz_fuzz_fcgi_LDADD = $(fuzz_exchange_libs)

tests_fuzz_fuzz_keyring_SOURCES = tests/fuzz/keyring.c $(fuzz_common) $(fuzz_main)
tests_fuzz_fuzz_keyring_CPPFLAGS = $(AM_CPPFLAGS) -I$(top_srcdir)/tests/fuzz -DFUZZ_TARGET='"keyring"'
tests_fuzz_fuzz_keyring_LDFLAGS = $(fuzz_flags)
tests_fuzz_fuzz_keyring_LDADD = src/keystore/libkeystore.a $(fuzz_small_libs) $(LIBPQ_LIBS)

tests_fuzz_fuzz_pssh_SOURCES = tests/fuzz/pssh.c $(fuzz_common) $(fuzz_main)
tests_fuzz_fuzz_pssh_CPPFLAGS = $(AM_CPPFLAGS) -I$(top_srcdir)/tests/fuzz -DFUZZ_TARGET='"pssh"'
tests_fuzz_fuzz_pssh_LDFLAGS = $(fuzz_flags)
tests_fuzz_fuzz_pssh_LDADD = src/ctl/libctl.a $(fuzz_small_libs)

tests_fuzz_fuzz_request_SOURCES = tests/fuzz/request.c $(fuzz_common) $(fuzz_responder) $(fuzz_main)
tests_fuzz_fuzz_request_CPPFLAGS = $(AM_CPPFLAGS) -I$(top_srcdir)/tests/fuzz -DFUZZ_TARGET='"request"'
tests_fuzz_fuzz_request_LDFLAGS = $(fuzz_flags)
tests_fuzz_fuzz_request_LDADD = $(fuzz_exchange_libs)

tests_fuzz_fuzz_settings_SOURCES = tests/fuzz/settings.c $(fuzz_common) $(fuzz_main)
tests_fuzz_fuzz_settings_CPPFLAGS = $(AM_CPPFLAGS) -I$(top_srcdir)/tests/fuzz -DFUZZ_TARGET='"settings"'
tests_fuzz_fuzz_settings_LDFLAGS = $(fuzz_flags)
tests_fuzz_fuzz_settings_LDADD = $(fuzz_small_libs)

tests_fuzz_fuzz_template_SOURCES = tests/fuzz/template.c $(fuzz_common) $(fuzz_main)
tests_fuzz_fuzz_template_CPPFLAGS = $(AM_CPPFLAGS) -I$(top_srcdir)/tests/fuzz -DFUZZ_TARGET='"template"'
tests_fuzz_fuzz_template_LDFLAGS = $(fuzz_flags)
tests_fuzz_fuzz_template_LDADD = src/drm/libdrm.a $(fuzz_small_libs)

tests_fuzz_fuzz_uuid_SOURCES = tests/fuzz/uuid.c $(fuzz_common) $(fuzz_main)
tests_fuzz_fuzz_uuid_CPPFLAGS = $(AM_CPPFLAGS) -I$(top_srcdir)/tests/fuzz -DFUZZ_TARGET='"uuid"'
tests_fuzz_fuzz_uuid_LDFLAGS = $(fuzz_flags)
tests_fuzz_fuzz_uuid_LDADD = $(fuzz_small_libs)

tests_fuzz_fuzz_csv_SOURCES = tests/fuzz/csv.c $(fuzz_common) $(fuzz_main)
tests_fuzz_fuzz_csv_CPPFLAGS = $(AM_CPPFLAGS) -I$(top_srcdir)/tests/fuzz -DFUZZ_TARGET='"csv"'
tests_fuzz_fuzz_csv_LDFLAGS = $(fuzz_flags)
tests_fuzz_fuzz_csv_LDADD = $(fuzz_ctl_libs)

tests_fuzz_fuzz_show_SOURCES = tests/fuzz/show.c $(fuzz_common) $(fuzz_main)
tests_fuzz_fuzz_show_CPPFLAGS = $(AM_CPPFLAGS) -I$(top_srcdir)/tests/fuzz -DFUZZ_TARGET='"show"'
tests_fuzz_fuzz_show_LDFLAGS = $(fuzz_flags)
tests_fuzz_fuzz_show_LDADD = $(fuzz_ctl_libs)

tests_fuzz_fuzz_open_SOURCES = tests/fuzz/open.c tests/fuzz/open_recipient.h $(fuzz_common) $(fuzz_main)
tests_fuzz_fuzz_open_CPPFLAGS = $(AM_CPPFLAGS) -I$(top_srcdir)/tests/fuzz -DFUZZ_TARGET='"open"'
tests_fuzz_fuzz_open_LDFLAGS = $(fuzz_flags)
tests_fuzz_fuzz_open_LDADD = $(fuzz_ctl_libs)

tests_fuzz_fuzz_tenant_SOURCES = tests/fuzz/tenant.c $(fuzz_common) $(fuzz_main)
tests_fuzz_fuzz_tenant_CPPFLAGS = $(AM_CPPFLAGS) -I$(top_srcdir)/tests/fuzz -DFUZZ_TARGET='"tenant"'
tests_fuzz_fuzz_tenant_LDFLAGS = $(fuzz_flags)
tests_fuzz_fuzz_tenant_LDADD = src/exchange/libexchange.a src/drm/libdrm.a $(fuzz_small_libs)

fuzz_player_libs = src/player/libplayer.a $(fuzz_small_libs) $(CJOSE_LIBS) $(JANSSON_LIBS)

tests_fuzz_fuzz_clearkey_SOURCES = tests/fuzz/clearkey.c $(fuzz_common) $(fuzz_main)
tests_fuzz_fuzz_clearkey_CPPFLAGS = $(AM_CPPFLAGS) -I$(top_srcdir)/tests/fuzz -DFUZZ_TARGET='"clearkey"'
tests_fuzz_fuzz_clearkey_LDFLAGS = $(fuzz_flags)
tests_fuzz_fuzz_clearkey_LDADD = $(fuzz_player_libs)

tests_fuzz_fuzz_token_SOURCES = tests/fuzz/token.c $(fuzz_common) $(fuzz_main)
tests_fuzz_fuzz_token_CPPFLAGS = $(AM_CPPFLAGS) -I$(top_srcdir)/tests/fuzz -DFUZZ_TARGET='"token"'
tests_fuzz_fuzz_token_LDFLAGS = $(fuzz_flags)
tests_fuzz_fuzz_token_LDADD = $(fuzz_player_libs)
