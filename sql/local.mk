# SPDX-License-Identifier: Apache-2.0
sqldir = $(pkgdatadir)/sql
migrationsdir = $(sqldir)/migrations
dist_sql_DATA = sql/README.md sql/roles.sql
dist_migrations_DATA = \
	sql/migrations/0001_tables.sql \
	sql/migrations/0002_functions.sql \
	sql/migrations/0003_views.sql \
	sql/migrations/0004_tenants.sql
