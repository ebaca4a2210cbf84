# SPDX-License-Identifier: Apache-2.0
bin_PROGRAMS += spekectl

# All but main() in a library, so that the unit tests can link to it.
noinst_LIBRARIES += src/ctl/libctl.a
src_ctl_libctl_a_SOURCES = \
	src/ctl/answer.c \
	src/ctl/audit.c \
	src/ctl/audit_check.c src/ctl/audit_check.h \
	src/ctl/audit_checkpoint.c src/ctl/audit_checkpoint.h \
	src/ctl/audit_csv.c src/ctl/audit_csv.h \
	src/ctl/audit_export.c \
	src/ctl/audit_file.c src/ctl/audit_file.h \
	src/ctl/audit_json.c src/ctl/audit_json.h \
	src/ctl/audit_record.c src/ctl/audit_record.h \
	src/ctl/audit_seal.c \
	src/ctl/audit_verify.c \
	src/ctl/audit_walk.c src/ctl/audit_walk.h \
	src/ctl/audit_writer.c \
	src/ctl/client.c \
	src/ctl/client_set.c \
	src/ctl/commands.h \
	src/ctl/config.c \
	src/ctl/ctl.c src/ctl/ctl.h \
	src/ctl/csv.c src/ctl/csv.h \
	src/ctl/database.c src/ctl/database.h \
	src/ctl/db.c \
	src/ctl/describe.c src/ctl/describe.h \
	src/ctl/file.c src/ctl/file.h \
	src/ctl/htdigest.c src/ctl/htdigest.h \
	src/ctl/kek.c src/ctl/kek.h \
	src/ctl/kek_escrow.c \
	src/ctl/kek_life.c \
	src/ctl/kek_rewrap.c \
	src/ctl/key.c \
	src/ctl/key_change.c \
	src/ctl/key_cpix.c \
	src/ctl/key_csv.c \
	src/ctl/key_document.c src/ctl/key_document.h \
	src/ctl/key_export.c \
	src/ctl/key_import.c \
	src/ctl/key_select.c src/ctl/key_select.h \
	src/ctl/key_source.h \
	src/ctl/key_stage.c src/ctl/key_stage.h \
	src/ctl/key_vault.c src/ctl/key_vault.h \
	src/ctl/lint.c src/ctl/lint.h \
	src/ctl/open.c src/ctl/open.h \
	src/ctl/options.c src/ctl/options.h \
	src/ctl/output.c src/ctl/output.h \
	src/ctl/owner.c src/ctl/owner.h \
	src/ctl/password.c src/ctl/password.h \
	src/ctl/preset.c src/ctl/preset.h \
	src/ctl/progress.c src/ctl/progress.h \
	src/ctl/pssh.c src/ctl/pssh.h \
	src/ctl/recipient.c \
	src/ctl/request.c src/ctl/request.h \
	src/ctl/request_check.c \
	src/ctl/request_document.c \
	src/ctl/request_http.c \
	src/ctl/request_plan.c \
	src/ctl/request_show.c \
	src/ctl/setting.c \
	src/ctl/show.c \
	src/ctl/status.c \
	src/ctl/tenant_load.c src/ctl/tenant_load.h \
	src/ctl/tenant.c \
	src/ctl/token.c \
	src/ctl/token_file.c src/ctl/token_file.h \
	src/ctl/token_key.c \
	src/ctl/token_seal.c src/ctl/token_seal.h

spekectl_SOURCES = src/ctl/main.c
spekectl_LDADD = src/ctl/libctl.a src/player/libplayer.a src/exchange/libexchange.a src/keystore/libkeystore.a src/cpix/libcpix.a src/drm/libdrm.a \
	src/base/libbase.a $(LIBXML2_LIBS) $(OPENSSL_LIBS) $(LIBPQ_LIBS) $(LIBCURL_LIBS) \
	$(CJOSE_LIBS) $(JANSSON_LIBS)
