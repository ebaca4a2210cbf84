# SPDX-License-Identifier: Apache-2.0
# What the performance claims are measured with: built by "make bench" alone, never installed.
bench_programs = bench/fetch bench/load bench/many bench/rsa bench/trivial
EXTRA_PROGRAMS += $(bench_programs)
EXTRA_DIST += bench/players bench/run bench/ten-million
CLEANFILES += $(bench_programs)

bench_fetch_SOURCES = \
	bench/client.c bench/client.h \
	bench/fetch.c \
	bench/times.c bench/times.h
bench_fetch_LDADD = src/base/libbase.a $(LIBCURL_LIBS) $(OPENSSL_LIBS) -lpthread

bench_load_SOURCES = \
	bench/client.c bench/client.h \
	bench/content.c bench/content.h \
	bench/document.c bench/document.h \
	bench/load.c \
	bench/times.c bench/times.h
bench_load_LDADD = src/cpix/libcpix.a src/base/libbase.a \
	$(LIBCURL_LIBS) $(LIBXML2_LIBS) $(OPENSSL_LIBS) -lpthread

bench_many_SOURCES = \
	bench/content.c bench/content.h \
	bench/many.c
bench_many_LDADD = src/keystore/libkeystore.a src/base/libbase.a \
	$(LIBPQ_LIBS) $(OPENSSL_LIBS)

bench_rsa_SOURCES = bench/rsa.c
bench_rsa_LDADD = $(OPENSSL_LIBS)

bench_trivial_SOURCES = \
	bench/acquire.c bench/acquire.h \
	bench/content.c bench/content.h \
	bench/trivial.c
bench_trivial_LDADD = src/keystore/libkeystore.a src/base/libbase.a \
	$(FCGI_LIBS) $(LIBPQ_LIBS) $(OPENSSL_LIBS)

bench: $(bench_programs)
.PHONY: bench
