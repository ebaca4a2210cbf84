# SPDX-License-Identifier: Apache-2.0
# The cloud front: a template and the page that goes through it.
awsexamplesdir = $(pkgdatadir)/examples/aws
dist_awsexamples_DATA = \
	aws/README.md \
	aws/template.yaml
