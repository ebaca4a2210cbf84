/* SPDX-License-Identifier: Apache-2.0 */
/* How a tenant wants to be served, read from its settings in the database. */
#ifndef EXCHANGE_TENANT_H
#define EXCHANGE_TENANT_H

#include <stdbool.h>
#include <stddef.h>

#include "base/arena.h"
#include "base/scheme.h"
#include "base/uuid.h"
#include "cpix/delivery.h"
#include "drm/drm.h"

struct failure;
struct keystore_client;

/* When an answer has an explicitIV that the request did not bring. */
enum tenant_iv {
    TENANT_IV_ALWAYS, /* in SPEKE v2.x; in v1 as needed */
    TENANT_IV_CBC,    /* with the schemes that take their IV from it: not with cenc and cens */
    TENANT_IV_NEEDED  /* where FairPlay's licence needs it */
};

enum tenant_fetch_scheme { TENANT_FETCH_CENC, TENANT_FETCH_CBCS };

enum tenant_delivery { TENANT_DELIVERY_OPTIONAL, TENANT_DELIVERY_REQUIRED };

/* A system that the program does not know. */
struct tenant_system {
    struct uuid id;
    bool broken; /* its settings contradict each other: it is not served */
    struct drm_settings settings;
};

struct tenant_config {
    /* Signalling. */
    const char *hdcp_level;        /* NULL or "": none */
    const char *output_protection; /* an XML element, likewise */
    const char *output_protection_base64;
    unsigned explicit_iv; /* enum tenant_iv */
    struct drm_settings known[DRM_SYSTEMS];
    struct tenant_system *others; /* by ID */
    size_t other_count;

    /* Policy. */
    unsigned versions; /* bit of each enum speke_version that is served */
    const char *systems_text;
    struct uuid *systems; /* the DRM systems that are served; none: all */
    size_t system_count;
    const char *fetch_tracks; /* words of fetch_track(); NULL: a fetch makes no keys */
    unsigned fetch_scheme;    /* enum tenant_fetch_scheme */
    const char *fetch_systems_text;
    struct uuid *fetch_systems;
    size_t fetch_system_count;
    const char *content_ids; /* patterns of the content ids that are served; NULL: all */
    long max_keys;           /* 0: as many as the service takes */
    /* Kept by the database, which reads them from the same settings (migration 5). */
    bool read_only;
    long keys_per_minute, new_keys_per_minute, keys_total;
    bool refuse_all, refuse_audio_with_uhd, refuse_mixed_uhd;
    bool strict_cardinality, allow_unsupported_filters;
    bool kid_override;

    /* Players. */
    const char *tenant;       /* its name */
    const char *player_url;   /* NULL: that of the settings */
    const char *cors;         /* "*", "none" or origins */
    const char *free_content; /* words for contents that need no token; NULL: none */
    long token_leeway;        /* seconds */

    /* Content key encryption. */
    unsigned delivery; /* enum tenant_delivery */
    const char *recipients_text, *authorities_text;
    long min_rsa_bits;
    bool check_validity;
    unsigned mac_shape;
    struct delivery_policy delivery_policy;

    struct arena arena; /* holds all of the above but delivery_policy.authorities */
};

/* The configuration of a tenant without settings. Freed with tenant_config_free(). */
void tenant_config_init(struct tenant_config *c);
/* The same with the settings of a client's tenant. A setting that is not known or not valid is a
 * failure (500), since it may be a restriction that somebody relies on. *c must be freed either
 * way. */
int tenant_config_read(struct tenant_config *c, const struct keystore_client *client,
                       struct failure *f);
void tenant_config_free(struct tenant_config *c);

/* Judges settings of a system from templates together: a template that names the box needs the one
 * of the box. Returns 0, or -1 with setting, place and fault in why. */
int tenant_templates_check(const struct drm_settings *settings, char *why, size_t size);

/* The DRM system with that ID as this tenant has it, with its settings; NULL when it is not known
 * in the version, has no templates, has some that contradict each other (which spekectl does not
 * let in, and reading them logs), or is not to be served. */
const struct drm_system *tenant_system(const struct tenant_config *c, const struct uuid *id,
                                       enum speke_version version,
                                       const struct drm_settings **settings);
/* Whether that system, which tenant_system() gave, works with the scheme. */
bool tenant_scheme_fits(const struct drm_system *system, const struct drm_settings *settings,
                        enum scheme scheme);

/* The rules by which documents are checked for this tenant; they point to *c. */
struct cpix_rules tenant_rules(const struct tenant_config *c, enum speke_version version);

/* Configurations that were read, by tenant and generation. */
enum { TENANTS_KEPT = 16 };

struct tenant_cache {
    struct tenant_place {
        char *tenant; /* NULL: empty */
        long long generation;
        struct tenant_config config;
    } places[TENANTS_KEPT];
    size_t next; /* the oldest */
};

/* Returns the client's configuration, valid until the next call; NULL with the failure set. */
const struct tenant_config *tenant_cache_get(struct tenant_cache *cache,
                                             const struct keystore_client *client,
                                             struct failure *f);
void tenant_cache_free(struct tenant_cache *cache);

#endif
