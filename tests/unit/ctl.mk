# SPDX-License-Identifier: Apache-2.0
ctl_tests = \
	tests/unit/test_ctl_answer \
	tests/unit/test_ctl_audit \
	tests/unit/test_ctl_csv \
	tests/unit/test_ctl_file \
	tests/unit/test_ctl_htdigest \
	tests/unit/test_ctl_lint \
	tests/unit/test_ctl_open \
	tests/unit/test_ctl_options \
	tests/unit/test_ctl_output \
	tests/unit/test_ctl_preset \
	tests/unit/test_ctl_pssh \
	tests/unit/test_ctl_request
if HAVE_CMOCKA
check_PROGRAMS += $(ctl_tests)
TESTS += $(ctl_tests)
endif
EXTRA_DIST += tests/vectors/lint
# Not what every test needs, but libctl.a is one library.
ctl_test_libraries = src/ctl/libctl.a src/player/libplayer.a src/exchange/libexchange.a src/keystore/libkeystore.a src/cpix/libcpix.a \
	src/drm/libdrm.a src/base/libbase.a $(CMOCKA_LIBS) $(LIBXML2_LIBS) $(OPENSSL_LIBS) \
	$(LIBPQ_LIBS) $(LIBCURL_LIBS) $(CJOSE_LIBS) $(JANSSON_LIBS)

tests_unit_test_ctl_answer_SOURCES = tests/unit/test_ctl_answer.c
tests_unit_test_ctl_answer_CPPFLAGS = $(AM_CPPFLAGS) $(CMOCKA_CFLAGS)
tests_unit_test_ctl_answer_LDADD = $(ctl_test_libraries)

tests_unit_test_ctl_audit_SOURCES = tests/unit/test_ctl_audit.c
tests_unit_test_ctl_audit_CPPFLAGS = $(AM_CPPFLAGS) $(CMOCKA_CFLAGS)
tests_unit_test_ctl_audit_LDADD = $(ctl_test_libraries)

tests_unit_test_ctl_csv_SOURCES = tests/unit/test_ctl_csv.c
tests_unit_test_ctl_csv_CPPFLAGS = $(AM_CPPFLAGS) $(CMOCKA_CFLAGS)
tests_unit_test_ctl_csv_LDADD = $(ctl_test_libraries)

tests_unit_test_ctl_file_SOURCES = tests/unit/test_ctl_file.c
tests_unit_test_ctl_file_CPPFLAGS = $(AM_CPPFLAGS) $(CMOCKA_CFLAGS)
tests_unit_test_ctl_file_LDADD = $(ctl_test_libraries)

tests_unit_test_ctl_htdigest_SOURCES = tests/unit/test_ctl_htdigest.c
tests_unit_test_ctl_htdigest_CPPFLAGS = $(AM_CPPFLAGS) $(CMOCKA_CFLAGS)
tests_unit_test_ctl_htdigest_LDADD = $(ctl_test_libraries)

tests_unit_test_ctl_lint_SOURCES = tests/unit/test_ctl_lint.c
tests_unit_test_ctl_lint_CPPFLAGS = $(AM_CPPFLAGS) $(CMOCKA_CFLAGS)
tests_unit_test_ctl_lint_LDADD = $(ctl_test_libraries)

tests_unit_test_ctl_open_SOURCES = tests/unit/test_ctl_open.c
tests_unit_test_ctl_open_CPPFLAGS = $(AM_CPPFLAGS) $(CMOCKA_CFLAGS)
tests_unit_test_ctl_open_LDADD = $(ctl_test_libraries)

tests_unit_test_ctl_options_SOURCES = tests/unit/test_ctl_options.c
tests_unit_test_ctl_options_CPPFLAGS = $(AM_CPPFLAGS) $(CMOCKA_CFLAGS)
tests_unit_test_ctl_options_LDADD = $(ctl_test_libraries)

tests_unit_test_ctl_output_SOURCES = tests/unit/test_ctl_output.c
tests_unit_test_ctl_output_CPPFLAGS = $(AM_CPPFLAGS) $(CMOCKA_CFLAGS)
tests_unit_test_ctl_output_LDADD = $(ctl_test_libraries)

tests_unit_test_ctl_preset_SOURCES = tests/unit/test_ctl_preset.c
tests_unit_test_ctl_preset_CPPFLAGS = $(AM_CPPFLAGS) $(CMOCKA_CFLAGS)
tests_unit_test_ctl_preset_LDADD = $(ctl_test_libraries)

tests_unit_test_ctl_pssh_SOURCES = tests/unit/test_ctl_pssh.c
tests_unit_test_ctl_pssh_CPPFLAGS = $(AM_CPPFLAGS) $(CMOCKA_CFLAGS)
tests_unit_test_ctl_pssh_LDADD = $(ctl_test_libraries)

tests_unit_test_ctl_request_SOURCES = tests/unit/test_ctl_request.c
tests_unit_test_ctl_request_CPPFLAGS = $(AM_CPPFLAGS) $(CMOCKA_CFLAGS)
tests_unit_test_ctl_request_LDADD = $(ctl_test_libraries)
