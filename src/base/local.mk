# SPDX-License-Identifier: Apache-2.0
noinst_LIBRARIES += src/base/libbase.a
src_base_libbase_a_SOURCES = \
	src/base/address.c src/base/address.h \
	src/base/arena.c src/base/arena.h \
	src/base/base64.c src/base/base64.h \
	src/base/buf.c src/base/buf.h \
	src/base/failure.c src/base/failure.h \
	src/base/hex.c src/base/hex.h \
	src/base/log.c src/base/log.h \
	src/base/printable.c src/base/printable.h \
	src/base/scheme.c src/base/scheme.h \
	src/base/secret.c src/base/secret.h \
	src/base/segment.c src/base/segment.h \
	src/base/settings.c src/base/settings.h \
	src/base/trim.c src/base/trim.h \
	src/base/utf8.c src/base/utf8.h \
	src/base/uuid.c src/base/uuid.h
