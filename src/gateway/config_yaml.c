/* config_yaml.c: libyaml's events put together into a tree. Every list and map that is open has a frame on a stack of fixed
 * depth, so no document makes this recurse.
 */
#include "gateway/config_yaml.h"

#include "gateway/config_problem.h"
#include "gateway/config_utf8.h"

#include <yaml.h>

struct frame {
    struct cyg_gw_node *node;
    struct cyg_gw_node *key; /* a map's key that waits for its value */
};

struct reader {
    struct cyg_gw_arena *arena;
    const char *name;
    struct cyg_gw_problems *problems;
    struct cyg_gw_node *root;
    struct frame stack[CYG_GW_MAX_DEPTH];
    size_t depth, nodes, documents;
};

static void tell(struct reader *r, yaml_mark_t at, const char *what) {
    cyg_gw_problem_add(r->problems, r->name, at.line + 1, at.column + 1, "%s", what);
}

static struct cyg_gw_node *new_node(struct reader *r, const yaml_event_t *e, enum cyg_gw_node_kind kind) {
    struct cyg_gw_node *n = cyg_gw_arena_alloc(r->arena, sizeof *n);
    if (!n) return NULL;
    n->kind = kind;
    n->line = e->start_mark.line + 1;
    n->column = e->start_mark.column + 1;
    return n;
}

static void append(struct cyg_gw_node *parent, struct cyg_gw_node *n) {
    if (parent->last) {
        parent->last->next = n;
    } else {
        parent->first = n;
    }
    parent->last = n;
    parent->n++;
}

struct cyg_gw_node *cyg_gw_node_get(const struct cyg_gw_node *map, const char *key) {
    if (!map || map->kind != CYG_GW_MAP) return NULL;
    cyg_str want = cyg_str_of(key);
    for (struct cyg_gw_node *n = map->first; n; n = n->next)
        if (cyg_str_eq(n->key, want)) return n;
    return NULL;
}

/* Puts a value under its key, unless that is no key, or there already. */
static void put_in_map(struct reader *r, struct frame *f, struct cyg_gw_node *n) {
    struct cyg_gw_node *key = f->key;
    f->key = NULL;
    if (key->broken) return;
    if (f->node->n == CYG_GW_MAX_KEYS && !f->node->broken) {
        cyg_gw_problem_add(r->problems, r->name, key->line, key->column,
                           "found one key more than the %d that a map may have", CYG_GW_MAX_KEYS);
        f->node->broken = true; /* told once */
    }
    if (f->node->n >= CYG_GW_MAX_KEYS) return;
    const struct cyg_gw_node *first = cyg_gw_node_get(f->node, key->text.p);
    if (first) {
        char word[CYG_GW_QUOTED];
        cyg_gw_problem_add(r->problems, r->name, key->line, key->column, "duplicate key %s; it stands in line %zu already",
                           cyg_gw_quote(word, key->text), first->key_line);
        return;
    }
    n->key = key->text;
    n->key_line = key->line;
    n->key_column = key->column;
    append(f->node, n);
}

/* Puts a node where the document has it: at the top, in a list, or as a map's key or value. */
static void place(struct reader *r, struct cyg_gw_node *n) {
    if (r->depth == 0) {
        r->root = n;
        return;
    }
    struct frame *f = &r->stack[r->depth - 1];
    if (f->node->kind == CYG_GW_LIST) {
        append(f->node, n);
    } else if (f->key) {
        put_in_map(r, f, n);
    } else {
        f->key = n;
        if (n->kind == CYG_GW_SCALAR || n->broken) return;
        cyg_gw_problem_add(r->problems, r->name, n->line, n->column, "found a %s as a key, expected a word",
                           n->kind == CYG_GW_LIST ? "list" : "map");
        n->broken = true;
    }
}

/* Refuses what would make the document mean more than it shows. Returns: whether there was such a thing. */
static bool refuse(struct reader *r, const yaml_event_t *e, const yaml_char_t *anchor, const yaml_char_t *tag) {
    char word[CYG_GW_QUOTED];
    if (anchor)
        cyg_gw_problem_add(r->problems, r->name, e->start_mark.line + 1, e->start_mark.column + 1,
                           "found the anchor %s, expected plain YAML without anchors, aliases and tags",
                           cyg_gw_quote(word, cyg_str_of((const char *)anchor)));
    if (tag)
        cyg_gw_problem_add(r->problems, r->name, e->start_mark.line + 1, e->start_mark.column + 1,
                           "found the tag %s, expected plain YAML without anchors, aliases and tags",
                           cyg_gw_quote(word, cyg_str_of((const char *)tag)));
    return anchor || tag;
}

static bool is_null(cyg_str s) {
    return s.n == 0 || cyg_str_eq(s, CYG_STR("~")) || cyg_str_eq(s, CYG_STR("null")) ||
           cyg_str_eq(s, CYG_STR("Null")) || cyg_str_eq(s, CYG_STR("NULL"));
}

static int on_scalar(struct reader *r, const yaml_event_t *e) {
    struct cyg_gw_node *n = new_node(r, e, CYG_GW_SCALAR);
    if (!n) return CYG_ENOMEM;
    cyg_str text = {(const char *)e->data.scalar.value, e->data.scalar.length};
    n->text = (cyg_str){cyg_gw_arena_text(r->arena, text), text.n};
    if (!n->text.p) return CYG_ENOMEM;
    n->nothing = e->data.scalar.style == YAML_PLAIN_SCALAR_STYLE && is_null(n->text);
    n->broken = refuse(r, e, e->data.scalar.anchor, e->data.scalar.tag);
    if (!n->broken && memchr(text.p, 0, text.n)) { /* only an escape can bring one in */
        tell(r, e->start_mark, "found the character U+0000 in a text, expected text");
        n->broken = true;
    }
    place(r, n);
    return 0;
}

static int on_alias(struct reader *r, const yaml_event_t *e) {
    struct cyg_gw_node *n = new_node(r, e, CYG_GW_SCALAR);
    if (!n) return CYG_ENOMEM;
    char word[CYG_GW_QUOTED];
    cyg_gw_problem_add(r->problems, r->name, n->line, n->column,
                       "found the alias %s, expected plain YAML without anchors, aliases and tags",
                       cyg_gw_quote(word, cyg_str_of((const char *)e->data.alias.anchor)));
    n->text = CYG_STR("");
    n->broken = true;
    place(r, n);
    return 0;
}

static int on_open(struct reader *r, const yaml_event_t *e, enum cyg_gw_node_kind kind) {
    if (r->depth == CYG_GW_MAX_DEPTH) {
        cyg_gw_problem_add(r->problems, r->name, e->start_mark.line + 1, e->start_mark.column + 1,
                           "found lists and maps more than %d deep", CYG_GW_MAX_DEPTH);
        return CYG_EPARSE;
    }
    struct cyg_gw_node *n = new_node(r, e, kind);
    if (!n) return CYG_ENOMEM;
    n->text = CYG_STR("");
    n->broken = kind == CYG_GW_LIST ? refuse(r, e, e->data.sequence_start.anchor, e->data.sequence_start.tag)
                                    : refuse(r, e, e->data.mapping_start.anchor, e->data.mapping_start.tag);
    place(r, n);
    r->stack[r->depth++] = (struct frame){n, NULL};
    return 0;
}

static int on_event(struct reader *r, const yaml_event_t *e) {
    switch (e->type) {
    case YAML_DOCUMENT_START_EVENT:
        if (r->documents++ == 0) return 0;
        tell(r, e->start_mark, "found a second document, expected one");
        return CYG_EPARSE;
    case YAML_SCALAR_EVENT:
    case YAML_ALIAS_EVENT:
    case YAML_SEQUENCE_START_EVENT:
    case YAML_MAPPING_START_EVENT:
        if (++r->nodes > CYG_GW_MAX_NODES) {
            cyg_gw_problem_add(r->problems, r->name, e->start_mark.line + 1, e->start_mark.column + 1,
                               "found more than %d values in one document", CYG_GW_MAX_NODES);
            return CYG_EPARSE;
        }
        if (e->type == YAML_SCALAR_EVENT) return on_scalar(r, e);
        if (e->type == YAML_ALIAS_EVENT) return on_alias(r, e);
        return on_open(r, e, e->type == YAML_SEQUENCE_START_EVENT ? CYG_GW_LIST : CYG_GW_MAP);
    case YAML_SEQUENCE_END_EVENT:
    case YAML_MAPPING_END_EVENT: r->depth--; return 0;
    default: return 0;
    }
}

/* The byte at a line and column of libyaml's, both from 0; 0 if there is none. Lines end as in config_utf8.c. */
static char byte_at(cyg_str text, yaml_mark_t at) {
    size_t i = 0;
    for (size_t line = 0; line < at.line && i < text.n; i++)
        if (text.p[i] == '\n' || (text.p[i] == '\r' && (i + 1 == text.n || text.p[i + 1] != '\n'))) line++;
    for (size_t column = 0; column < at.column && i < text.n; column++)
        for (i++; i < text.n && ((unsigned char)text.p[i] & 0xc0) == 0x80;) i++;
    return i < text.n ? text.p[i] : '\0';
}

/* Tells what libyaml has to say, with its own mark. */
static int syntax_error(struct reader *r, const yaml_parser_t *y, cyg_str text) {
    if (y->error == YAML_MEMORY_ERROR) return CYG_ENOMEM;
    yaml_mark_t at = y->problem_mark;
    const char *problem = y->problem ? y->problem : "not YAML";
    char c = byte_at(text, at);
    if (y->error == YAML_READER_ERROR) { /* has no mark; what it finds has been looked for before */
        cyg_gw_problem_add(r->problems, r->name, 0, 0, "%s", problem);
    } else if (c == '\t') {
        tell(r, at, "found a tab, expected spaces: YAML is not indented with tabs");
    } else if (c == '%' || c == '@' || c == '`') { /* YAML keeps these for itself */
        cyg_gw_problem_add(r->problems, r->name, at.line + 1, at.column + 1,
                           "found %c, which may not begin a value; put the value in quotes", c);
    } else if (y->context && y->context_mark.line != at.line) {
        cyg_gw_problem_add(r->problems, r->name, at.line + 1, at.column + 1, "%s, %s that begins in line %zu", problem,
                           y->context, y->context_mark.line + 1);
    } else if (y->context) {
        cyg_gw_problem_add(r->problems, r->name, at.line + 1, at.column + 1, "%s, %s", problem, y->context);
    } else {
        tell(r, at, problem);
    }
    return CYG_EPARSE;
}

static int read_events(struct reader *r, yaml_parser_t *y, cyg_str text) {
    yaml_parser_set_encoding(y, YAML_UTF8_ENCODING);
    yaml_parser_set_input_string(y, (const unsigned char *)text.p, text.n);
    for (;;) {
        yaml_event_t e;
        if (!yaml_parser_parse(y, &e)) return syntax_error(r, y, text);
        bool end = e.type == YAML_STREAM_END_EVENT;
        int err = on_event(r, &e);
        yaml_event_delete(&e);
        if (err < 0 || end) return err;
    }
}

/* Whether the bytes can be YAML at all. */
static int check_text(struct reader *r, cyg_str text) {
    struct cyg_gw_bad_text bad;
    if (text.n > CYG_GW_MAX_DOCUMENT) {
        cyg_gw_problem_add(r->problems, r->name, 0, 0, "found more than the 1MiB that a document may have");
        return CYG_EPARSE;
    }
    if (cyg_gw_text_ok(text, &bad)) return 0;
    if (bad.not_utf8) {
        cyg_gw_problem_add(r->problems, r->name, bad.line, bad.column, "found the byte 0x%02x, expected UTF-8 text",
                           (unsigned)bad.value);
    } else {
        cyg_gw_problem_add(r->problems, r->name, bad.line, bad.column, "found the character U+%04X, expected text",
                           (unsigned)bad.value);
    }
    return CYG_EPARSE;
}

int cyg_gw_yaml_read(struct cyg_gw_arena *arena, const char *name, cyg_str text, struct cyg_gw_problems *problems,
                     struct cyg_gw_node **root) {
    struct reader r = {.arena = arena, .name = name, .problems = problems};
    if (text.n >= 3 && memcmp(text.p, "\xef\xbb\xbf", 3) == 0)
        text = (cyg_str){text.p + 3, text.n - 3}; /* byte order mark */
    int err = check_text(&r, text);
    if (err < 0) return err;
    yaml_parser_t y;
    if (!yaml_parser_initialize(&y)) return CYG_ENOMEM;
    err = read_events(&r, &y, text);
    yaml_parser_delete(&y);
    if (err < 0) return err;
    if (!r.root) {
        cyg_gw_problem_add(problems, name, 1, 1, "found nothing, expected a document with version, listeners and clusters");
        return CYG_EPARSE;
    }
    *root = r.root;
    return 0;
}
