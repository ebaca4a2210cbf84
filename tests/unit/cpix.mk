# SPDX-License-Identifier: Apache-2.0
cpix_tests = \
	tests/unit/test_cpix_delivery \
	tests/unit/test_cpix_check \
	tests/unit/test_cpix_contract \
	tests/unit/test_cpix_hostile \
	tests/unit/test_cpix_reader \
	tests/unit/test_cpix_versions \
	tests/unit/test_cpix_writer
if HAVE_CMOCKA
check_PROGRAMS += $(cpix_tests)
TESTS += $(cpix_tests)
endif
EXTRA_DIST += tests/vectors/cpix

cpix_fixture = tests/unit/cpix_fixture.c tests/unit/cpix_fixture.h
cpix_test_libs = src/cpix/libcpix.a src/base/libbase.a $(CMOCKA_LIBS) $(LIBXML2_LIBS) \
	$(OPENSSL_LIBS)

tests_unit_test_cpix_check_SOURCES = tests/unit/test_cpix_check.c $(cpix_fixture)
tests_unit_test_cpix_check_CPPFLAGS = $(AM_CPPFLAGS) $(CMOCKA_CFLAGS)
tests_unit_test_cpix_check_LDADD = $(cpix_test_libs)

tests_unit_test_cpix_contract_SOURCES = tests/unit/test_cpix_contract.c $(cpix_fixture)
tests_unit_test_cpix_contract_CPPFLAGS = $(AM_CPPFLAGS) $(CMOCKA_CFLAGS)
tests_unit_test_cpix_contract_LDADD = $(cpix_test_libs)

tests_unit_test_cpix_hostile_SOURCES = tests/unit/test_cpix_hostile.c $(cpix_fixture)
tests_unit_test_cpix_hostile_CPPFLAGS = $(AM_CPPFLAGS) $(CMOCKA_CFLAGS)
tests_unit_test_cpix_hostile_LDADD = $(cpix_test_libs)

tests_unit_test_cpix_reader_SOURCES = tests/unit/test_cpix_reader.c $(cpix_fixture)
tests_unit_test_cpix_reader_CPPFLAGS = $(AM_CPPFLAGS) $(CMOCKA_CFLAGS)
tests_unit_test_cpix_reader_LDADD = $(cpix_test_libs)

tests_unit_test_cpix_writer_SOURCES = tests/unit/test_cpix_writer.c $(cpix_fixture)
tests_unit_test_cpix_writer_CPPFLAGS = $(AM_CPPFLAGS) $(CMOCKA_CFLAGS)
tests_unit_test_cpix_writer_LDADD = $(cpix_test_libs)

tests_unit_test_cpix_versions_SOURCES = tests/unit/test_cpix_versions.c $(cpix_fixture)
tests_unit_test_cpix_versions_CPPFLAGS = $(AM_CPPFLAGS) $(CMOCKA_CFLAGS)
tests_unit_test_cpix_versions_LDADD = $(cpix_test_libs)

tests_unit_test_cpix_delivery_SOURCES = tests/unit/test_cpix_delivery.c $(cpix_fixture)
tests_unit_test_cpix_delivery_CPPFLAGS = $(AM_CPPFLAGS) $(CMOCKA_CFLAGS)
tests_unit_test_cpix_delivery_LDADD = $(cpix_test_libs)
