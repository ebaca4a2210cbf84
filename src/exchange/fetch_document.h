/* SPDX-License-Identifier: Apache-2.0 */
/* The CPIX request that a packager which fetches does not send: written from what is known of the
 * content, to be read and answered as if it had come. */
#ifndef EXCHANGE_FETCH_DOCUMENT_H
#define EXCHANGE_FETCH_DOCUMENT_H

struct buf;
struct keystore_content;
struct tenant_config;

/* The request for the keys that a content has: CPIX 2.3, with their schemes, usage rules and
 * periods and the DRM systems that the tenant wants fetched keys signalled for, each where it works
 * with the key's scheme. */
void fetch_document_put(const char *content_id, const struct keystore_content *content,
                        const struct tenant_config *config, struct buf *out);

/* The request for the keys of a content that has none: one for each of the tenant's tracks, with
 * KIDs that have to be replaced. */
void fetch_document_put_new(const char *content_id, const struct tenant_config *config,
                            struct buf *out);

#endif
