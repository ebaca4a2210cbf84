# SPDX-License-Identifier: Apache-2.0
keystore_tests = \
	tests/unit/test_keystore_acquire \
	tests/unit/test_keystore_client \
	tests/unit/test_keystore_kek \
	tests/unit/test_keystore_keyring \
	tests/unit/test_keystore_limits \
	tests/unit/test_keystore_outage \
	tests/unit/test_keystore_rewrap \
	tests/unit/test_keystore_seal \
	tests/unit/test_keystore_upgrade \
	tests/unit/test_keystore_wire
if HAVE_CMOCKA
check_PROGRAMS += $(keystore_tests)
TESTS += $(keystore_tests)
endif
EXTRA_DIST += tests/lib/pg.sh tests/lib/pg-hold tests/sql
keystore_test_libraries = src/keystore/libkeystore.a src/base/libbase.a $(CMOCKA_LIBS) \
	$(OPENSSL_LIBS) $(LIBPQ_LIBS)

keystore_fixture = tests/unit/keystore_fixture.c tests/unit/keystore_fixture.h
keystore_fixture_cppflags = $(AM_CPPFLAGS) $(CMOCKA_CFLAGS) \
	-DTEST_SOURCE_DIR='"$(abs_top_srcdir)"'

tests_unit_test_keystore_acquire_SOURCES = tests/unit/test_keystore_acquire.c $(keystore_fixture)
tests_unit_test_keystore_acquire_CPPFLAGS = $(keystore_fixture_cppflags)
tests_unit_test_keystore_acquire_LDADD = $(keystore_test_libraries)

tests_unit_test_keystore_client_SOURCES = tests/unit/test_keystore_client.c $(keystore_fixture)
tests_unit_test_keystore_client_CPPFLAGS = $(keystore_fixture_cppflags)
tests_unit_test_keystore_client_LDADD = $(keystore_test_libraries)

tests_unit_test_keystore_kek_SOURCES = tests/unit/test_keystore_kek.c $(keystore_fixture)
tests_unit_test_keystore_kek_CPPFLAGS = $(keystore_fixture_cppflags)
tests_unit_test_keystore_kek_LDADD = $(keystore_test_libraries)

tests_unit_test_keystore_keyring_SOURCES = tests/unit/test_keystore_keyring.c
tests_unit_test_keystore_keyring_CPPFLAGS = $(AM_CPPFLAGS) $(CMOCKA_CFLAGS)
tests_unit_test_keystore_keyring_LDADD = $(keystore_test_libraries)

tests_unit_test_keystore_limits_SOURCES = tests/unit/test_keystore_limits.c $(keystore_fixture)
tests_unit_test_keystore_limits_CPPFLAGS = $(keystore_fixture_cppflags)
tests_unit_test_keystore_limits_LDADD = $(keystore_test_libraries)

tests_unit_test_keystore_outage_SOURCES = tests/unit/test_keystore_outage.c $(keystore_fixture)
tests_unit_test_keystore_outage_CPPFLAGS = $(keystore_fixture_cppflags)
tests_unit_test_keystore_outage_LDADD = $(keystore_test_libraries)

tests_unit_test_keystore_rewrap_SOURCES = tests/unit/test_keystore_rewrap.c
tests_unit_test_keystore_rewrap_CPPFLAGS = $(AM_CPPFLAGS) $(CMOCKA_CFLAGS)
tests_unit_test_keystore_rewrap_LDADD = $(keystore_test_libraries)

tests_unit_test_keystore_seal_SOURCES = tests/unit/test_keystore_seal.c
tests_unit_test_keystore_seal_CPPFLAGS = $(AM_CPPFLAGS) $(CMOCKA_CFLAGS)
tests_unit_test_keystore_seal_LDADD = $(keystore_test_libraries)

tests_unit_test_keystore_upgrade_SOURCES = tests/unit/test_keystore_upgrade.c $(keystore_fixture)
tests_unit_test_keystore_upgrade_CPPFLAGS = $(keystore_fixture_cppflags)
tests_unit_test_keystore_upgrade_LDADD = $(keystore_test_libraries)

tests_unit_test_keystore_wire_SOURCES = tests/unit/test_keystore_wire.c
tests_unit_test_keystore_wire_CPPFLAGS = $(AM_CPPFLAGS) $(CMOCKA_CFLAGS)
tests_unit_test_keystore_wire_LDADD = $(keystore_test_libraries)
