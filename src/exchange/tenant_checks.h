/* SPDX-License-Identifier: Apache-2.0 */
/* Judges of settings' values; see struct tenant_option. Each returns 0, or -1 with place and fault
 * in why. */
#ifndef EXCHANGE_TENANT_CHECKS_H
#define EXCHANGE_TENANT_CHECKS_H

#include <stddef.h>

int check_url(const char *value, char *why, size_t size); /* absolute, http or https */
int check_origins(const char *value, char *why, size_t size);
int check_quotable(const char *value, char *why, size_t size); /* may stand in quotes in HLS */
int check_versions(const char *value, char *why, size_t size); /* of KEYFORMAT: 1/2/5 */
int check_uri_template(const char *value, char *why, size_t size);
/* The same for a system that has no box. */
int check_boxless_uri_template(const char *value, char *why, size_t size);
int check_xml_template(const char *value, char *why, size_t size);
int check_data_template(const char *value, char *why, size_t size);
int check_output_protection(const char *value, char *why, size_t size);
int check_allowed_cpc(const char *value, char *why, size_t size);
int check_patterns(const char *value, char *why, size_t size); /* see pattern.h */
int check_systems(const char *value, char *why, size_t size);
int check_tracks(const char *value, char *why, size_t size);
int check_fingerprints(const char *value, char *why, size_t size);
int check_authorities(const char *value, char *why, size_t size);

#endif
