# SPDX-License-Identifier: Apache-2.0
drm_tests = \
	tests/unit/test_drm_systems \
	tests/unit/test_drm_templates \
	tests/unit/test_drm_text \
	tests/unit/test_drm_values \
	tests/unit/test_drm_vectors
if HAVE_CMOCKA
check_PROGRAMS += $(drm_tests)
TESTS += $(drm_tests)
endif
EXTRA_DIST += tests/vectors/drm

tests_unit_test_drm_systems_SOURCES = tests/unit/test_drm_systems.c \
	tests/unit/test_drm_fixture.c tests/unit/test_drm_fixture.h
tests_unit_test_drm_systems_CPPFLAGS = $(AM_CPPFLAGS) $(CMOCKA_CFLAGS)
tests_unit_test_drm_systems_LDADD = src/drm/libdrm.a src/base/libbase.a $(CMOCKA_LIBS) \
	$(OPENSSL_LIBS)

tests_unit_test_drm_text_SOURCES = tests/unit/test_drm_text.c
tests_unit_test_drm_text_CPPFLAGS = $(AM_CPPFLAGS) $(CMOCKA_CFLAGS)
tests_unit_test_drm_text_LDADD = src/drm/libdrm.a src/base/libbase.a $(CMOCKA_LIBS) \
	$(OPENSSL_LIBS)

tests_unit_test_drm_values_SOURCES = tests/unit/test_drm_values.c \
	tests/unit/test_drm_fixture.c tests/unit/test_drm_fixture.h
tests_unit_test_drm_values_CPPFLAGS = $(AM_CPPFLAGS) $(CMOCKA_CFLAGS)
tests_unit_test_drm_values_LDADD = src/drm/libdrm.a src/base/libbase.a $(CMOCKA_LIBS) \
	$(OPENSSL_LIBS)

tests_unit_test_drm_vectors_SOURCES = tests/unit/test_drm_vectors.c
tests_unit_test_drm_vectors_CPPFLAGS = $(AM_CPPFLAGS) $(CMOCKA_CFLAGS)
tests_unit_test_drm_vectors_LDADD = src/drm/libdrm.a src/base/libbase.a $(CMOCKA_LIBS) \
	$(OPENSSL_LIBS)

tests_unit_test_drm_templates_SOURCES = tests/unit/test_drm_templates.c \
	tests/unit/test_drm_fixture.c tests/unit/test_drm_fixture.h
tests_unit_test_drm_templates_CPPFLAGS = $(AM_CPPFLAGS) $(CMOCKA_CFLAGS)
tests_unit_test_drm_templates_LDADD = src/drm/libdrm.a src/base/libbase.a $(CMOCKA_LIBS) \
	$(OPENSSL_LIBS)
