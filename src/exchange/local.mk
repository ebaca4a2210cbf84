# SPDX-License-Identifier: Apache-2.0
noinst_LIBRARIES += src/exchange/libexchange.a
src_exchange_libexchange_a_SOURCES = \
	src/exchange/details.c src/exchange/details.h \
	src/exchange/exchange.c src/exchange/exchange.h \
	src/exchange/fetch.c src/exchange/fetch.h \
	src/exchange/fetch_document.c src/exchange/fetch_document.h \
	src/exchange/override.c src/exchange/override.h \
	src/exchange/pattern.c src/exchange/pattern.h \
	src/exchange/policy.c src/exchange/policy.h \
	src/exchange/run.c src/exchange/run.h \
	src/exchange/signal.c src/exchange/signal.h \
	src/exchange/tenant.c src/exchange/tenant.h \
	src/exchange/tenant_checks.c src/exchange/tenant_checks.h \
	src/exchange/tenant_lists.c src/exchange/tenant_lists.h \
	src/exchange/tenant_options.c src/exchange/tenant_options.h \
	src/exchange/tenant_table.c \
	src/exchange/track.c src/exchange/track.h
