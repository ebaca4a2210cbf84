# SPDX-License-Identifier: Apache-2.0
noinst_LIBRARIES += src/cpix/libcpix.a
src_cpix_libcpix_a_SOURCES = \
	src/cpix/certificate.c src/cpix/certificate.h \
	src/cpix/check.c src/cpix/check.h \
	src/cpix/contract.c \
	src/cpix/cpix.h \
	src/cpix/delivery.c src/cpix/delivery.h \
	src/cpix/elements.c \
	src/cpix/fragment.c src/cpix/fragment.h \
	src/cpix/period.c \
	src/cpix/reader.c src/cpix/reader.h \
	src/cpix/scan.c src/cpix/scan.h \
	src/cpix/writer.c
