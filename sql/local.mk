# SPDX-License-Identifier: Apache-2.0
sqldir = $(pkgdatadir)/sql
migrationsdir = $(sqldir)/migrations
dist_sql_DATA = sql/README.md sql/roles.sql
dist_migrations_DATA = \
	sql/migrations/0001_tables.sql \
	sql/migrations/0002_functions.sql \
	sql/migrations/0003_views.sql \
	sql/migrations/0004_tenants.sql \
	sql/migrations/0005_limits.sql \
	sql/migrations/0006_keks.sql \
	sql/migrations/0007_audit.sql \
	sql/migrations/0008_keys.sql \
	sql/migrations/0009_players.sql \
	sql/migrations/0010_fetch.sql \
	sql/migrations/0011_views.sql
