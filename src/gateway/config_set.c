/* config_set.c: a setter for each type of value. A setter gets the text in the snapshot's own memory and says how it went;
 * cyg_gw_set puts that into words.
 */
#include "gateway/config_set.h"

#include "gateway/config_value.h"

#include <stdio.h>

enum verdict {
    FINE,
    UNREADABLE, /* not of its type: the type's example is told */
    BEYOND,     /* a number or a length out of the row's bounds */
    TOLD,       /* the setter has said it */
};

struct value {
    struct cyg_gw_build *b;
    const struct cyg_gw_row *row;
    const struct cyg_gw_node *node;
    cyg_str text;
    char *field;
};
typedef enum verdict setter(const struct value *v);

const char *cyg_gw_found(char out[CYG_GW_QUOTED], const struct cyg_gw_node *n) {
    if (n->kind == CYG_GW_SCALAR && !n->nothing) return cyg_gw_quote(out, n->text);
    snprintf(out, CYG_GW_QUOTED, "%s", n->kind == CYG_GW_LIST ? "a list" : n->kind == CYG_GW_MAP ? "a map" : "nothing");
    return out;
}

/* ---- numbers ---------------------------------------------------------------------------------------------------- */

static bool within(const struct cyg_gw_row *row, int64_t v) { return v >= row->min && v <= row->max; }

static enum verdict set_duration(const struct value *v) {
    int64_t ns = 0;
    if (!cyg_gw_read_duration(v->text, &ns)) return UNREADABLE;
    if (!within(v->row, ns)) return BEYOND;
    *(cyg_duration *)(void *)v->field = ns;
    return FINE;
}

static enum verdict set_size(const struct value *v) {
    int64_t n = 0;
    bool ok = v->row->type == CYG_GW_T_SIZE ? cyg_gw_read_size(v->text, &n) : cyg_gw_read_count(v->text, &n);
    if (!ok) return UNREADABLE;
    if (!within(v->row, n)) return BEYOND;
    *(size_t *)(void *)v->field = (size_t)n;
    return FINE;
}

/* ---- words ------------------------------------------------------------------------------------------------------ */

static enum verdict set_name(const struct value *v) {
    bool version = v->row->type == CYG_GW_T_VERSION;
    if (!(version ? cyg_gw_version_ok(v->text) : cyg_gw_name_ok(v->text))) return UNREADABLE;
    if (!within(v->row, (int64_t)v->text.n)) return BEYOND;
    *(cyg_str *)(void *)v->field = v->text;
    return FINE;
}

/* config_check.c looks it up in the tree. */
static enum verdict set_ref(const struct value *v) {
    (void)v;
    return FINE;
}

static bool is_among(const char *words, cyg_str s, int *index) {
    cyg_str word;
    for (*index = 0; words && cyg_gw_next_word(&words, &word); ++*index)
        if (cyg_str_eq(word, s)) return true;
    return false;
}

static enum verdict set_choice(const struct value *v) {
    int index = 0;
    char what[CYG_GW_QUOTED], words[128] = "";
    if (is_among(v->row->choices, v->text, &index)) {
        memcpy(v->field, &index, sizeof index); /* an enum */
        return FINE;
    }
    const char *list = v->row->choices;
    cyg_str word;
    for (size_t n = 0; cyg_gw_next_word(&list, &word) && n < sizeof words;)
        n += (size_t)snprintf(words + n, sizeof words - n, "%s" CYG_STR_FMT, n ? " or " : "", CYG_STR_ARG(word));
    bool later = is_among(v->row->later, v->text, &index);
    cyg_gw_tell(v->b, v->node, "found %s%s, expected %s", cyg_gw_found(what, v->node),
                later ? ", which is not supported in this version" : "", words);
    return TOLD;
}

static enum verdict set_log(const struct value *v) {
    struct cyg_gw_config *c = (void *)v->field; /* the section's at is 0: it lies in the config itself */
    if (v->text.n == 0) return UNREADABLE;
    if (!within(v->row, (int64_t)v->text.n)) return BEYOND;
    c->access_log.off = cyg_str_eq(v->text, CYG_STR("off"));
    c->access_log.path = c->access_log.off ? NULL : v->text.p;
    return FINE;
}

/* ---- addresses -------------------------------------------------------------------------------------------------- */

static enum verdict set_listen(const struct value *v) {
    struct cyg_gw_listener *l = (void *)v->field;
    if (!cyg_gw_read_address(v->text, &l->network, &l->bind, &l->addr)) return UNREADABLE;
    l->address = v->text;
    return FINE;
}

static enum verdict set_admin(const struct value *v) {
    struct cyg_gw_config *c = (void *)v->field;
    if (!cyg_gw_read_address(v->text, &c->admin.network, &c->admin.bind, &c->admin.addr)) return UNREADABLE;
    c->admin.address = v->text;
    c->admin.on = true;
    return FINE;
}

static enum verdict set_endpoint(const struct value *v) {
    struct cyg_gw_endpoint *e = (void *)v->field;
    const char *network, *bind;
    cyg_addr addr;
    if (!cyg_gw_read_address(v->text, &network, &bind, &addr)) return UNREADABLE;
    if (!cyg_gw_endpoint_ok(&addr)) return UNREADABLE;
    *e = (struct cyg_gw_endpoint){v->text, addr};
    return FINE;
}

static enum verdict set_cidr(const struct value *v) {
    struct cyg_gw_cidr *c = (void *)v->field;
    char what[CYG_GW_QUOTED], clean[CYG_ADDR_STRLEN];
    if (!cyg_gw_read_cidr(v->text, c)) return UNREADABLE;
    if (!cyg_gw_cidr_mask(c)) return FINE;
    cyg_addr a = {.family = c->family};
    memcpy(a.ip, c->ip, sizeof a.ip);
    cyg_addr_format_ip(&a, clean, sizeof clean);
    cyg_gw_tell(v->b, v->node, "found %s, which has bits set behind its prefix; did you mean %s/%u?",
                cyg_gw_found(what, v->node), clean, c->prefix);
    return TOLD;
}

/* ---- matches ---------------------------------------------------------------------------------------------------- */

/* The field of a match, from that of its host or path. */
#define MATCH_OF(v, member) ((struct cyg_gw_match *)(void *)((v)->field - offsetof(struct cyg_gw_match, member)))

static enum verdict set_host(const struct value *v) {
    struct cyg_gw_match *m = MATCH_OF(v, host);
    if (!cyg_gw_read_host(v->text, &m->host_kind, &m->host)) return UNREADABLE;
    char *p = (char *)(uintptr_t)m->host.p; /* in our own copy */
    for (size_t i = 0; i < m->host.n; i++)
        if (p[i] >= 'A' && p[i] <= 'Z') p[i] = (char)(p[i] | 0x20);
    return FINE;
}

/* "/a/" of "/a/" and a star gets its own NUL. */
static enum verdict set_path(const struct value *v) {
    struct cyg_gw_match *m = MATCH_OF(v, path);
    if (!cyg_gw_read_path(v->text, &m->path_kind, &m->path)) return UNREADABLE;
    if (!within(v->row, (int64_t)v->text.n)) return BEYOND;
    ((char *)(uintptr_t)m->path.p)[m->path.n] = '\0';
    return FINE;
}

/* ---- the way in ------------------------------------------------------------------------------------------------- */

static setter *const setters[CYG_GW_TYPES] = {
    [CYG_GW_T_VERSION] = set_name,       [CYG_GW_T_NAME] = set_name,  [CYG_GW_T_REF] = set_ref,
    [CYG_GW_T_CHOICE] = set_choice,      [CYG_GW_T_SIZE] = set_size,  [CYG_GW_T_COUNT] = set_size,
    [CYG_GW_T_DURATION] = set_duration,  [CYG_GW_T_LOG] = set_log,    [CYG_GW_T_LISTEN] = set_listen,
    [CYG_GW_T_ADMIN] = set_admin,        [CYG_GW_T_CIDRS] = set_cidr, [CYG_GW_T_HOST] = set_host,
    [CYG_GW_T_ENDPOINTS] = set_endpoint, [CYG_GW_T_PATH] = set_path,
};

static void tell_beyond(const struct value *v) {
    char what[CYG_GW_QUOTED], low[CYG_GW_NUMBER], high[CYG_GW_NUMBER];
    const struct cyg_gw_row *row = v->row;
    const char *type = cyg_gw_type_docs[row->type].name;
    cyg_gw_found(what, v->node);
    switch (row->type) {
    case CYG_GW_T_DURATION:
        cyg_gw_tell(v->b, v->node, "found %s, expected a %s from %s to %s", what, type,
                    cyg_gw_format_duration(low, row->min), cyg_gw_format_duration(high, row->max));
        break;
    case CYG_GW_T_SIZE:
        cyg_gw_tell(v->b, v->node, "found %s, expected a %s from %s to %s", what, type,
                    cyg_gw_format_size(low, row->min), cyg_gw_format_size(high, row->max));
        break;
    case CYG_GW_T_COUNT:
        cyg_gw_tell(v->b, v->node, "found %s, expected a %s from %lld to %lld", what, type, (long long)row->min,
                    (long long)row->max);
        break;
    default:
        cyg_gw_tell(v->b, v->node, "found %s, expected a %s of at most %lld characters", what, type, (long long)row->max);
    }
}

void cyg_gw_set(struct cyg_gw_build *b, const struct cyg_gw_row *row, const struct cyg_gw_node *n, char *field) {
    char what[CYG_GW_QUOTED];
    enum verdict verdict = UNREADABLE;
    struct value v = {.b = b, .row = row, .node = n, .field = field};
    if (n->kind == CYG_GW_SCALAR && !n->nothing) {
        v.text = (cyg_str){cyg_gw_arena_text(b->arena, n->text), n->text.n};
        if (!v.text.p) {
            b->out_of_memory = true;
            return;
        }
        verdict = setters[row->type](&v);
    }
    if (verdict == BEYOND) tell_beyond(&v);
    if (verdict != UNREADABLE) return;
    if (row->type == CYG_GW_T_CHOICE) {
        set_choice(&v);
        return;
    }
    cyg_gw_tell(b, n, "found %s, expected %s", cyg_gw_found(what, n), cyg_gw_type_docs[row->type].expected);
}
