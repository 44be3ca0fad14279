/* config_build.c: walks the tree along the table's rows. It knows sections and lists; what a single value looks like is
 * config_set.c's.
 */
#include "gateway/config_build.h"

#include "gateway/config_schema.h"
#include "gateway/config_set.h"
#include "gateway/config_value.h"

#include <stdarg.h>
#include <stdio.h>

static void build_section(struct cyg_gw_build *b, const struct cyg_gw_node *node, enum cyg_gw_section section, char *base);

/* ---- where we are ----------------------------------------------------------------------------------------------- */

static void path_add(struct cyg_gw_build *b, const char *fmt, va_list ap) {
    size_t room = sizeof b->path - b->path_n;
    int n = vsnprintf(b->path + b->path_n, room, fmt, ap);
    if (n > 0) b->path_n += (size_t)n < room ? (size_t)n : room - 1;
}

void cyg_gw_path_add(struct cyg_gw_build *b, const char *fmt, ...) {
    va_list ap;
    va_start(ap, fmt);
    path_add(b, fmt, ap);
    va_end(ap);
}

void cyg_gw_path_set(struct cyg_gw_build *b, const char *fmt, ...) {
    va_list ap;
    va_start(ap, fmt);
    b->path_n = 0;
    path_add(b, fmt, ap);
    va_end(ap);
}

static void path_cut(struct cyg_gw_build *b, size_t n) {
    b->path_n = n;
    b->path[n] = '\0';
}

void cyg_gw_tell(struct cyg_gw_build *b, const struct cyg_gw_node *at, const char *fmt, ...) {
    char sentence[1024] = "";
    if (cyg_gw_problems_room(b->problems)) {
        va_list ap;
        va_start(ap, fmt);
        vsnprintf(sentence, sizeof sentence, fmt, ap);
        va_end(ap);
    }
    cyg_gw_problem_add(b->problems, b->name, at->line, at->column, "%s%s%s", b->path, b->path_n ? ": " : "", sentence);
}

/* ---- keys that are not known ------------------------------------------------------------------------------------ */

/* Whether a row is one of a section's, as the listener's protocol has it. Planned ones don't count. */
static bool is_of(const struct cyg_gw_build *b, const struct cyg_gw_row *row, enum cyg_gw_section section) {
    return row->section == section && row->type != CYG_GW_T_LATER && cyg_gw_row_applies(row, b->protocol);
}

/* The key of a section that is written most like a word; *distance says how much. */
static const struct cyg_gw_row *nearest_row(const struct cyg_gw_build *b, enum cyg_gw_section section, cyg_str word,
                                            size_t *distance) {
    const struct cyg_gw_row *best = NULL;
    *distance = SIZE_MAX;
    for (size_t i = 0; i < cyg_gw_nrows; i++) {
        const struct cyg_gw_row *row = &cyg_gw_rows[i];
        if (!is_of(b, row, section)) continue;
        size_t d = cyg_gw_word_distance(word, cyg_str_of(row->key));
        if (d >= *distance) continue;
        *distance = d;
        best = row;
    }
    return best;
}

/* "name, address, routes" */
static void list_keys(const struct cyg_gw_build *b, enum cyg_gw_section section, char *out, size_t n) {
    size_t used = 0;
    for (size_t i = 0; i < cyg_gw_nrows && used < n; i++) {
        const struct cyg_gw_row *row = &cyg_gw_rows[i];
        if (!is_of(b, row, section)) continue;
        used += (size_t)snprintf(out + used, n - used, "%s%s", used ? ", " : "", row->key);
    }
}

static void unknown_key(struct cyg_gw_build *b, enum cyg_gw_section section, const struct cyg_gw_node *entry) {
    char word[CYG_GW_QUOTED], keys[512] = "";
    const char *in = b->path_n ? "in " : "at the top of the document", *file = b->name;
    size_t distance = SIZE_MAX, line = entry->key_line, column = entry->key_column;
    const struct cyg_gw_row *near =
        cyg_gw_problems_room(b->problems) ? nearest_row(b, section, entry->key, &distance) : NULL;
    cyg_gw_quote(word, entry->key);
    if (near && cyg_gw_is_near(entry->key, distance)) {
        cyg_gw_problem_add(b->problems, file, line, column, "unknown key %s %s%s; did you mean \"%s\"?", word, in,
                           b->path, near->key);
        return;
    }
    list_keys(b, section, keys, sizeof keys);
    cyg_gw_problem_add(b->problems, file, line, column, "unknown key %s %s%s, expected one of: %s", word, in, b->path, keys);
}

/* Tells of a key that only listeners of other protocols have. Returns: whether it is one. */
static bool other_protocol(struct cyg_gw_build *b, enum cyg_gw_section section, const struct cyg_gw_node *entry) {
    char words[CYG_GW_PROTOCOL_WORDS];
    unsigned protocols = 0;
    for (unsigned p = 0; p < CYG_GW_PROTOCOLS; p++)
        if (cyg_gw_row_find(section, entry->key, (enum cyg_gw_protocol)p)) protocols |= 1u << p;
    if (protocols)
        cyg_gw_problem_add(b->problems, b->name, entry->key_line, entry->key_column,
                           "%s." CYG_STR_FMT ": only for listeners whose protocol is %s", b->path,
                           CYG_STR_ARG(entry->key), cyg_gw_protocol_words(protocols, words));
    return protocols != 0;
}

static void check_keys(struct cyg_gw_build *b, const struct cyg_gw_node *node, enum cyg_gw_section section) {
    for (const struct cyg_gw_node *e = node->first; e; e = e->next) {
        const struct cyg_gw_row *row = cyg_gw_row_find(section, e->key, b->protocol);
        if (!row && !other_protocol(b, section, e)) unknown_key(b, section, e);
        if (row && row->type == CYG_GW_T_LATER)
            cyg_gw_problem_add(b->problems, b->name, e->key_line, e->key_column,
                               "%s%s%s: not supported in this version", b->path, b->path_n ? "." : "", row->key);
    }
}

/* ---- lists ------------------------------------------------------------------------------------------------------ */

/* Room for a list's elements, or NULL when there is nothing to look at. */
static char *new_list(struct cyg_gw_build *b, const struct cyg_gw_row *row, const struct cyg_gw_node *list, char *base) {
    if (list->kind != CYG_GW_LIST) {
        char what[CYG_GW_QUOTED];
        cyg_gw_tell(b, list, "found %s, expected a list", cyg_gw_found(what, list));
        return NULL;
    }
    if ((int64_t)list->n < row->min) {
        cyg_gw_tell(b, list, "found an empty list, expected at least one");
        return NULL;
    }
    if ((int64_t)list->n > row->max) {
        cyg_gw_tell(b, list, "found a list of %zu, expected at most %lld", list->n, (long long)row->max);
        return NULL;
    }
    if (list->n == 0) return NULL;
    char *items = cyg_gw_arena_alloc(b->arena, list->n * row->item_bytes);
    if (!items) {
        b->out_of_memory = true;
        return NULL;
    }
    memcpy(base + row->at, &items, sizeof items);
    memcpy(base + row->count_at, &list->n, sizeof list->n);
    return items;
}

static void build_list(struct cyg_gw_build *b, const struct cyg_gw_row *row, const struct cyg_gw_node *list, char *base) {
    char *item = new_list(b, row, list, base);
    size_t path_n = b->path_n;
    if (!item) return;
    for (const struct cyg_gw_node *n = list->first; n; n = n->next, item += row->item_bytes) {
        cyg_gw_path_add(b, "[%zu]", (size_t)(item - *(char **)(void *)(base + row->at)) / row->item_bytes);
        if (row->type == CYG_GW_T_SECTIONS) {
            build_section(b, n, row->child, item);
        } else if (!n->broken) {
            cyg_gw_set(b, row, n, item);
        }
        path_cut(b, path_n);
    }
}

/* ---- sections --------------------------------------------------------------------------------------------------- */

static void missing(struct cyg_gw_build *b, const struct cyg_gw_row *row, const struct cyg_gw_node *section) {
    const struct cyg_gw_type_doc *type = &cyg_gw_type_docs[row->type];
    bool list = row->item_bytes > 0;
    cyg_gw_tell(b, section, "key \"%s\" is missing, expected %s%s", row->key, list ? "a " : "",
                list ? type->name : type->expected);
}

/* A key that is not there: its default counts, in a section those of all keys within. */
static void build_absent(struct cyg_gw_build *b, const struct cyg_gw_row *row, char *base) {
    if (row->type == CYG_GW_T_SECTION && !row->optional) build_section(b, NULL, row->child, base + row->at);
    if (!row->fallback) return;
    struct cyg_gw_node n = {.kind = CYG_GW_SCALAR, .text = cyg_str_of(row->fallback)};
    cyg_gw_set(b, row, &n, base + row->at);
}

static void build_present(struct cyg_gw_build *b, const struct cyg_gw_row *row, const struct cyg_gw_node *n, char *base) {
    switch (row->type) {
    case CYG_GW_T_SECTION: build_section(b, n, row->child, base + row->at); break;
    case CYG_GW_T_SECTIONS:
    case CYG_GW_T_ENDPOINTS:
    case CYG_GW_T_CIDRS: build_list(b, row, n, base); break;
    default: cyg_gw_set(b, row, n, base + row->at);
    }
}

/* The protocol that a listener names, so that its rows are known before they are walked. Returns: false if it is none. */
static bool read_protocol(struct cyg_gw_build *b, const struct cyg_gw_node *listener) {
    const struct cyg_gw_node *n = cyg_gw_node_get(listener, "protocol");
    const char *list = cyg_gw_row_find(CYG_GW_S_LISTENER, CYG_STR("protocol"), CYG_GW_HTTP)->choices;
    cyg_str word;
    b->protocol = CYG_GW_HTTP;
    if (!n) return true;
    for (int p = 0; cyg_gw_next_word(&list, &word); p++) {
        if (n->kind != CYG_GW_SCALAR || n->nothing || !cyg_str_eq(n->text, word)) continue;
        b->protocol = (enum cyg_gw_protocol)p;
        return true;
    }
    return false;
}

/* A listener of no known protocol: that alone is told, since what else it needs is not known. */
static void build_unknown(struct cyg_gw_build *b, const struct cyg_gw_node *listener, char *base) {
    const struct cyg_gw_row *row = cyg_gw_row_find(CYG_GW_S_LISTENER, CYG_STR("protocol"), CYG_GW_HTTP);
    const struct cyg_gw_node *n = cyg_gw_node_get(listener, row->key);
    cyg_gw_path_add(b, ".%s", row->key);
    if (!n->broken) cyg_gw_set(b, row, n, base + row->at);
}

/* Fills a section's struct at base from its map; node NULL: nobody wrote it down. */
static void build_section(struct cyg_gw_build *b, const struct cyg_gw_node *node, enum cyg_gw_section section, char *base) {
    size_t path_n = b->path_n;
    if (node && node->broken) return;
    if (node && node->kind != CYG_GW_MAP) {
        char what[CYG_GW_QUOTED];
        cyg_gw_tell(b, node, "found %s, expected a %s", cyg_gw_found(what, node),
                    section == CYG_GW_S_TOP ? "document with version, listeners and clusters" : "map");
        return;
    }
    if (section == CYG_GW_S_LISTENER && node && !read_protocol(b, node)) {
        build_unknown(b, node, base);
        path_cut(b, path_n);
        return;
    }
    if (node) check_keys(b, node, section);
    for (size_t i = 0; i < cyg_gw_nrows; i++) {
        const struct cyg_gw_row *row = &cyg_gw_rows[i];
        if (!is_of(b, row, section)) continue;
        const struct cyg_gw_node *n = cyg_gw_node_get(node, row->key);
        if (node && !n && row->required) missing(b, row, node);
        cyg_gw_path_add(b, "%s%s", path_n ? "." : "", row->key);
        if (!n) {
            build_absent(b, row, base);
        } else if (!n->broken) {
            build_present(b, row, n, base);
        }
        path_cut(b, path_n);
    }
}

void cyg_gw_build(struct cyg_gw_build *b, const struct cyg_gw_node *root, struct cyg_gw_config *config) {
    path_cut(b, 0);
    build_section(b, root, CYG_GW_S_TOP, (char *)config);
}
