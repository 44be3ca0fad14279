/* config_schema.h: the table that says what a document may hold. The parser (config_build.c) and the reference page
 * (config_reference.c) know a key only through its row.
 *
 * Vocabulary: a section is a map with keys of its own, as listeners[] or listeners[].timeouts; a row is one key of a section.
 */
#ifndef CYG_GATEWAY_CONFIG_SCHEMA_H
#define CYG_GATEWAY_CONFIG_SCHEMA_H

#include "gateway/config.h"

enum cyg_gw_section {
    CYG_GW_S_TOP,
    CYG_GW_S_LISTENER,
    CYG_GW_S_TIMEOUTS,
    CYG_GW_S_LIMITS,
    CYG_GW_S_PROXY_ACCEPT,
    CYG_GW_S_ROUTE,
    CYG_GW_S_MATCH,
    CYG_GW_S_CLUSTER,
    CYG_GW_S_POOL,
    CYG_GW_S_PROXY_SEND,
    CYG_GW_S_ACCESS_LOG,
    CYG_GW_S_ADMIN,
    CYG_GW_S_DRAIN,
    CYG_GW_SECTIONS
};

enum cyg_gw_type {
    CYG_GW_T_LATER,     /* planned: refused, and said to be so */
    CYG_GW_T_SECTION,   /* a map with rows of its own, in `child` */
    CYG_GW_T_SECTIONS,  /* a list of such maps */
    CYG_GW_T_VERSION,   /* cyg_str from here on */
    CYG_GW_T_NAME,      /* cyg_str */
    CYG_GW_T_REF,       /* a cluster's name: found again when all are known */
    CYG_GW_T_CHOICE,    /* enum: the index among the words of `choices` */
    CYG_GW_T_DURATION,  /* cyg_duration */
    CYG_GW_T_SIZE,      /* size_t */
    CYG_GW_T_COUNT,     /* size_t */
    CYG_GW_T_LISTEN,    /* struct cyg_gw_listener's address, network, bind, addr */
    CYG_GW_T_ADMIN,     /* the same of struct cyg_gw_config's admin */
    CYG_GW_T_ENDPOINTS, /* a list of struct cyg_gw_endpoint */
    CYG_GW_T_CIDRS,     /* a list of struct cyg_gw_cidr */
    CYG_GW_T_HOST,      /* struct cyg_gw_match's host_kind, host */
    CYG_GW_T_PATH,      /* struct cyg_gw_match's path_kind, path */
    CYG_GW_T_LOG,       /* struct cyg_gw_config's access_log.off, .path */
    CYG_GW_TYPES
};

struct cyg_gw_row {
    enum cyg_gw_section section;
    const char *key;
    enum cyg_gw_type type;
    bool required;
    bool optional; /* a section that need not be there, and whose defaults don't count then */
    unsigned only; /* bits (1 << enum cyg_gw_protocol) of the listeners that have it, each key once for a protocol; 0: all */
    enum cyg_gw_section child;
    int64_t min, max;     /* a number's bounds (nanoseconds, bytes), or those of a list's length, or of a text's */
    const char *fallback; /* what counts when the key is not there, written as in a document; NULL: nothing, or required */
    const char *fallback_doc; /* how the reference page shows it, if not so */
    const char *choices;      /* CHOICE: the words, "a|b" */
    const char *later;        /* CHOICE: words that are planned, "c|d" */
    size_t at;                /* where in the section's struct the value goes; for a list the pointer */
    size_t count_at;          /* for a list: its length */
    size_t item_bytes;        /* for a list: its elements' size */
    const char *doc;
};

extern const struct cyg_gw_row cyg_gw_rows[];
extern const size_t cyg_gw_nrows;

/* A section's place in the document, "listeners[].timeouts", and what it is for. "" is the top. */
struct cyg_gw_section_doc {
    const char *path, *doc;
};
extern const struct cyg_gw_section_doc cyg_gw_section_docs[CYG_GW_SECTIONS];

/* What a value of each type is called, and how one is written. */
struct cyg_gw_type_doc {
    const char *name;     /* "duration" */
    const char *expected; /* "a duration such as 500ms, 2s or 1m30s" */
    const char *doc;      /* a sentence or two for the reference page; NULL: none needed */
};
extern const struct cyg_gw_type_doc cyg_gw_type_docs[CYG_GW_TYPES];

/* Whether a listener of this protocol has the key; elsewhere the protocol does not matter. */
static inline bool cyg_gw_row_applies(const struct cyg_gw_row *row, enum cyg_gw_protocol protocol) {
    return row->only == 0 || (row->only >> protocol & 1) != 0;
}

/* The row of a key in a section, for a listener of this protocol, or NULL. */
const struct cyg_gw_row *cyg_gw_row_find(enum cyg_gw_section section, cyg_str key, enum cyg_gw_protocol protocol);

/* The words of a set of protocols, bits as in a row's `only`: "http or tcp". Returns: out. */
#define CYG_GW_PROTOCOL_WORDS 32
const char *cyg_gw_protocol_words(unsigned protocols, char out[CYG_GW_PROTOCOL_WORDS]);

/* Takes the next word off a list of words "a|b|c". Returns: false at the end. */
bool cyg_gw_next_word(const char **list, cyg_str *word);

#endif
