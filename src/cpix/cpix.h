/* SPDX-License-Identifier: Apache-2.0 */
/* The CPIX document as plain structs: what the reader fills, the checks judge, the exchange
 * completes and the writer turns into bytes again. Texts are zero-terminated UTF-8 in the arena
 * that was given to the reader and live as long as it. NULL means that the attribute or element
 * was absent; an empty text means that it was there and empty. Lists keep the document's order. */
#ifndef CPIX_CPIX_H
#define CPIX_CPIX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/scheme.h"
#include "base/uuid.h"

#define CPIX_NAMESPACE  "urn:dashif:org:cpix"
#define PSKC_NAMESPACE  "urn:ietf:params:xml:ns:keyprov:pskc"
#define SPEKE_NAMESPACE "urn:aws:amazon:com:speke"
#define DSIG_NAMESPACE  "http://www.w3.org/2000/09/xmldsig#"
#define XENC_NAMESPACE  "http://www.w3.org/2001/04/xmlenc#"

enum {
    CPIX_KEY_BYTES = 16,
    CPIX_IV_BYTES = 16,
    CPIX_CONTENT_ID_CHARACTERS = 1024,
    CPIX_RECIPIENTS_MOST = 32
};

#define CPIX_NO_KEY SIZE_MAX

struct arena;
struct buf;
struct failure;

/* An attribute that is echoed as it came. */
struct cpix_attribute {
    const char *name;       /* local name */
    const char *name_space; /* NULL for the usual attribute without prefix */
    const char *value;
};

struct cpix_attributes {
    struct cpix_attribute *items;
    size_t count;
};

/* A key that travels encrypted: the texts of CipherValue and ValueMAC, base64. */
struct cpix_wrapped {
    const char *cipher, *mac; /* NULL for none */
};

/* cpix:ContentKey */
struct cpix_content_key {
    int line;
    const char *kid_text; /* as received */
    struct uuid kid;      /* valid once cpix_check() has passed */
    const char *scheme_text;
    enum scheme scheme; /* set by cpix_check() */
    const char *id, *algorithm;
    /* As received, or canonical base64 of the provider's; echoed as is. cpix_check() makes one of
     * blanks alone NULL, as empty counts as absent. */
    const char *explicit_iv;
    const char *plain_value; /* PlainValue text of an answer that was read; NULL in requests */
    /* HDCPData (CPIX 2.4, SPEKE v2.1 answers alone): its HLSHDCPLevel and, as base64 of an XML
     * element, its HDCPOutputProtectionData; NULL for none. */
    const char *hdcp_level, *hdcp_output_protection;
    /* The provider's: 16 bytes in the secure heap that the document does not own. */
    const unsigned char *key;
    /* Written instead of the clear key; also what an answer that was read has. */
    struct cpix_wrapped encrypted;
};

/* What a DRMSystem asks for, one for each child element that is a placeholder. */
enum cpix_field {
    CPIX_PSSH,
    CPIX_CONTENT_PROTECTION_DATA,
    CPIX_HLS_SIGNALING_DATA,
    CPIX_SMOOTH_HEADER, /* SmoothStreamingProtectionHeaderData */
    CPIX_URI_EXT_X_KEY, /* v1, as the next three */
    CPIX_SPEKE_KEY_FORMAT,
    CPIX_SPEKE_KEY_FORMAT_VERSIONS,
    CPIX_SPEKE_PROTECTION_HEADER
};

struct cpix_placeholder {
    enum cpix_field field;
    int line;
    const char *playlist;   /* HLSSignalingData@playlist as received */
    const char *received;   /* the text that the element had; "" when empty */
    const char *robustness; /* ContentProtectionData@robustness; v2.1 answers alone */
    /* The provider's: the text to write, "" for an empty element, NULL to leave the element out.
     * NULL after reading. */
    const char *value;
};

/* cpix:DRMSystem */
struct cpix_drm_system {
    int line;
    const char *kid_text, *system_id_text; /* as received */
    struct uuid kid, system_id;            /* valid once cpix_check() has passed */
    size_t key;                            /* index of the ContentKey with that KID, likewise */
    const char *id, *name;
    const char *hls_allowed_cpc; /* HLSAllowedCPC; v2.1 answers alone */
    struct cpix_placeholder *placeholders;
    size_t placeholder_count;
};

/* cpix:ContentKeyPeriod: echoed unchanged, so all its attributes are kept in order. */
struct cpix_period {
    int line;
    const char *id, *index, *start, *end, *start_offset, *end_offset; /* also in attributes */
    struct cpix_attributes attributes;
};

enum cpix_filter_kind {
    CPIX_KEY_PERIOD_FILTER,
    CPIX_VIDEO_FILTER,
    CPIX_AUDIO_FILTER,
    CPIX_LABEL_FILTER,
    CPIX_BITRATE_FILTER,
    CPIX_OTHER_FILTER
};

/* A child of a usage rule, echoed unchanged. */
struct cpix_filter {
    enum cpix_filter_kind kind;
    int line;
    const char *name;       /* local name */
    const char *name_space; /* CPIX_NAMESPACE but for a foreign element; NULL for none */
    struct cpix_attributes attributes;
    bool has_content; /* had elements or text inside, which no filter may have and nobody echoes */
};

/* cpix:ContentKeyUsageRule */
struct cpix_rule {
    int line;
    const char *kid_text, *intended_track_type; /* also in attributes */
    struct uuid kid;                            /* valid once cpix_check() has passed */
    size_t key; /* index of its ContentKey, likewise; CPIX_NO_KEY when a v1 rule has none */
    struct cpix_attributes attributes;
    struct cpix_filter *filters;
    size_t filter_count;
};

/* The shapes of MACMethod in use: SPEKE's Key/EncryptedValue, the Key/EncryptionMethod of some
 * libraries, and the MACKey that the PSKC schema names. All are read. */
enum cpix_mac_shape { CPIX_MAC_SHAPE_SPEKE, CPIX_MAC_SHAPE_LIBRARY, CPIX_MAC_SHAPE_PSKC };

/* cpix:DeliveryData: a recipient of encrypted keys */
struct cpix_delivery {
    int line;
    const char *id, *name;
    const char *certificate; /* text of X509Certificate, base64 of DER; NULL when there is none */
    /* Echoed. */
    const char *description, *sending_entity, *sender_point_of_contact, *receiving_entity;
    struct cpix_wrapped document_key, mac_key;
};

/* The value of the attribute without prefix that has this name; NULL when there is none. */
const char *cpix_attribute(const struct cpix_attributes *attributes, const char *name);

/* A list element: how often it stood in the document and where. Its items follow in the struct
 * document; those of a second list of the same name are read too, so that every fault is seen. */
struct cpix_list {
    int occurrences;
    int line, last_line; /* of the first and of the last */
    const char *id;
};

struct cpix_document {
    enum speke_version version; /* set by cpix_check() */
    int line;                   /* of the root */
    const char *id, *content_id, *name, *version_text;
    enum cpix_mac_shape mac_shape; /* to write; not set by reading */

    struct cpix_list delivery_list, key_list, system_list, period_list, rule_list;
    struct cpix_delivery *deliveries;
    size_t delivery_count;
    struct cpix_content_key *keys;
    size_t key_count;
    struct cpix_drm_system *systems;
    size_t system_count;
    struct cpix_period *periods;
    size_t period_count;
    struct cpix_rule *rules;
    size_t rule_count;
};

/* --- reader.c, elements.c, scan.c ------------------------------------------------------------ */

enum { CPIX_DEEPEST = 64 };

struct cpix_limits {
    size_t keys;    /* most ContentKey, ContentKeyPeriod and ContentKeyUsageRule elements, each */
    size_t systems; /* most DRMSystem elements */
    size_t recipients; /* most DeliveryData elements */
    size_t depth;      /* most nested elements, at most CPIX_DEEPEST */
    size_t attributes; /* most attributes of one element, and most namespaces in force at once */
    size_t markup;     /* most elements, comments, CDATA sections and processing instructions in
                          all, and most namespace declarations in all */
};

extern const struct cpix_limits CPIX_DEFAULT_LIMITS;

/* Must be called once in a process before the first cpix_read() and before anything else uses
 * libxml2: switches off everything in it that opens files or the network or writes messages, and
 * has it wipe the memory that it gives back. */
void cpix_setup(void);

/* Reads size bytes into *doc. Refuses with 400 and one line what is no well-formed UTF-8 XML, has a
 * DOCTYPE, or has another root than cpix:CPIX; with 413 more than 2 GiB; with 422 what passes the
 * limits. The cause of the failure names element path and line. Does not judge the content
 * otherwise. Everything that *doc points to is in the arena. Returns 0, or -1 with the failure set
 * (500: memory or the arena ran out); *doc holds what was read until then. Works on requests and
 * on answers (PlainValue texts are kept, which makes the arena hold keys: it wipes itself).
 * Elements are known by namespace URI and local name; what is not known is skipped, but all
 * children of usage rules and all attributes of periods, rules and filters are kept. */
int cpix_read(const void *bytes, size_t size, const struct cpix_limits *limits, struct arena *arena,
              struct cpix_document *doc, struct failure *f);

/* --- check.c, contract.c -------------------------------------------------------------------- */

/* Something wrong with a document. */
struct cpix_fault {
    /* Which rule of SPEKE it breaks: "E1" to "E10" are the standard errors, "V1" to "V15" the
     * checks of the encryption contract (whose texts are E8 and E10), "R…", "A…" and "S…" other
     * rules, which have texts of our own. */
    const char *rule;
    int line;        /* of the element at fault, or in which something is missing */
    char place[160]; /* path, for example DRMSystemList/DRMSystem[3]@kid */
    char text[256];  /* what the client gets with 422: the standard string or one line */
};

/* Told of each fault in the order of the checks. Returns true to have the checks go on; the
 * exchange stops at the first, "spekectl lint" collects them all. */
typedef bool (*cpix_fault_sink)(void *context, const struct cpix_fault *fault);

enum cpix_fit { CPIX_FITS, CPIX_MISFIT, CPIX_UNKNOWN_SYSTEM };

/* What the checks need to know from outside. */
struct cpix_rules {
    enum speke_version version;
    /* Whether a DRM system works in this version with this scheme; with SCHEME_NONE, only whether
     * it is known is looked at. Gets fit_context. */
    enum cpix_fit (*system_fit)(const void *context, const struct uuid *system_id,
                                enum scheme scheme, enum speke_version version);
    const void *fit_context;
    bool strict_cardinality;        /* no tolerance for SD+HD1 with one filter */
    bool allow_unsupported_filters; /* let wcg and BitrateFilter pass and echo them */
};

/* Checks a document that was read against the rules of a SPEKE version, in the order: contentId,
 * version, lists, KIDs and system IDs, schemes, systems, contract. Also resolves it: parses KIDs,
 * system IDs and schemes and links DRMSystem and rule to their ContentKey. Returns 0 when there is
 * no fault, 1 when there was one, -1 when memory ran out. The arena is used for scratch. */
int cpix_check(struct cpix_document *doc, const struct cpix_rules *rules, struct arena *arena,
               cpix_fault_sink sink, void *context);

/* What is wrong with a content identifier, which is any UTF-8 text that fits into a log line and an
 * index ("holds a control character"); NULL for nothing. Empty ones are not looked at. */
const char *cpix_content_id_fault(const char *id);

/* --- writer.c ------------------------------------------------------------------------------- */

/* Appends the document as XML: namespaces on the root (cpix and pskc always, speke only in a v1
 * document that writes one of its elements), the request's order, keys as PlainValue or, where they
 * are encrypted, as EncryptedValue with the DeliveryDataList that opens them. A ContentKey without
 * key is written without Data, so the same function writes requests: a placeholder whose value is
 * NULL is left out, one whose value is "" is written empty. The buffer's sticky failure tells
 * whether it fitted. What v2.x has no place for is never written then: CPIX@id, URIExtXKey and
 * whatever is of the speke namespace; in v1 contentId, version and commonEncryptionScheme.
 * Attributes of a foreign namespace get a prefix of their own. */
void cpix_write(const struct cpix_document *doc, struct buf *out);

/* Appends the filters of a rule but KeyPeriodFilter as cpix_write() has them: elements that need
 * the prefix cpix declared around them. */
void cpix_write_filters(const struct cpix_rule *rule, enum speke_version version, struct buf *out);

#endif
