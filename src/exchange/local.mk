# SPDX-License-Identifier: Apache-2.0
noinst_LIBRARIES += src/exchange/libexchange.a
src_exchange_libexchange_a_SOURCES = \
	src/exchange/exchange.c src/exchange/exchange.h \
	src/exchange/signal.c src/exchange/signal.h
