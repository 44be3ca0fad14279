/* config_reference.c: one page: a section's keys as a table, then how each type of value is written, then what is not there yet. */
#include "gateway/config_reference.h"

#include "gateway/config_schema.h"
#include "gateway/config_value.h"

static const char opening[] =
    "# Configuration\n"
    "\n"
    "<!-- Written by `cygnet check --reference`; change src/gateway/config_schema.c instead. -->\n"
    "\n"
    "The gateway reads one YAML file. See it checked before it is used:\n"
    "\n"
    "```\n"
    "$ cygnet check -c gateway.yaml\n"
    "gateway.yaml: version 2026-11-23.1: 1 listener, 2 routes, 2 clusters, 3 endpoints: ok\n"
    "```\n"
    "\n"
    "A mistake is told with its line and column, what was found there and what was expected; all mistakes at once:\n"
    "\n"
    "```\n"
    "$ cygnet check -c gateway.yaml\n"
    "gateway.yaml:4:5: unknown key \"adress\" in listeners[0]; did you mean \"address\"?\n"
    "gateway.yaml:7:18: listeners[0].routes[0].timeout: found \"2 sekunds\", expected a duration such as 500ms, 2s or "
    "1m30s\n"
    "2 problems\n"
    "```\n"
    "\n"
    "A key that is not listed here is refused, and so is one that stands twice. Anchors, aliases and tags are refused "
    "too, and a\n"
    "document of more than 1 MiB. `examples/gateway.yaml` shows every section with comments.\n";

static const char *const type_order_note = "\n## How values are written\n\nQuotes around a value change nothing; those "
                                           "with a `:` or a `*` at the beginning need them.\n\n"
                                           "| value | written |\n|---|---|\n";

static void put_bounds(FILE *out, const struct cyg_gw_row *row) {
    char low[CYG_GW_NUMBER], high[CYG_GW_NUMBER];
    switch (row->type) {
    case CYG_GW_T_DURATION:
        fprintf(out, "%s to %s", cyg_gw_format_duration(low, row->min), cyg_gw_format_duration(high, row->max));
        break;
    case CYG_GW_T_SIZE:
        fprintf(out, "%s to %s", cyg_gw_format_size(low, row->min), cyg_gw_format_size(high, row->max));
        break;
    case CYG_GW_T_COUNT: fprintf(out, "%lld to %lld", (long long)row->min, (long long)row->max); break;
    case CYG_GW_T_SECTIONS:
    case CYG_GW_T_ENDPOINTS:
    case CYG_GW_T_CIDRS: fprintf(out, "%lld to %lld of them", (long long)row->min, (long long)row->max); break;
    default:
        if (row->max) fprintf(out, "up to %lld characters", (long long)row->max);
    }
}

static void put_words(FILE *out, const char *list) {
    cyg_str word;
    for (const char *before = ""; cyg_gw_next_word(&list, &word); before = ", ")
        fprintf(out, "%s`" CYG_STR_FMT "`", before, CYG_STR_ARG(word));
}

static void put_row(FILE *out, const struct cyg_gw_row *row) {
    char words[CYG_GW_PROTOCOL_WORDS];
    fprintf(out, "| `%s`", row->key);
    if (row->only) fprintf(out, " (%s)", cyg_gw_protocol_words(row->only, words));
    fprintf(out, " | ");
    if (row->type == CYG_GW_T_CHOICE) {
        put_words(out, row->choices);
    } else if (row->type == CYG_GW_T_SECTION || row->type == CYG_GW_T_SECTIONS) {
        fprintf(out, "%s: `%s`", cyg_gw_type_docs[row->type].name, cyg_gw_section_docs[row->child].path);
    } else {
        fprintf(out, "%s", cyg_gw_type_docs[row->type].name);
    }
    fprintf(out, " | ");
    if (row->required) {
        fprintf(out, "**required**");
    } else if (row->fallback_doc) {
        fprintf(out, "%s", row->fallback_doc);
    } else if (row->fallback) {
        fprintf(out, "`%s`", row->fallback);
    }
    fprintf(out, " | ");
    put_bounds(out, row);
    fprintf(out, " | %s |\n", row->doc);
}

static void put_section(FILE *out, enum cyg_gw_section section) {
    const struct cyg_gw_section_doc *doc = &cyg_gw_section_docs[section];
    if (*doc->path) {
        fprintf(out, "\n## `%s`\n\n%s\n\n", doc->path, doc->doc);
    } else {
        fprintf(out, "\n## The document\n\n%s\n\n", doc->doc);
    }
    fprintf(out, "| key | value | default | bounds | meaning |\n|---|---|---|---|---|\n");
    for (size_t i = 0; i < cyg_gw_nrows; i++)
        if (cyg_gw_rows[i].section == section && cyg_gw_rows[i].type != CYG_GW_T_LATER) put_row(out, &cyg_gw_rows[i]);
}

/* The keys and words that the parser refuses as planned. */
static void put_later(FILE *out) {
    fprintf(out, "\n## Not in this version\n\nThese are planned. They are refused, so that nobody relies on them "
                 "before they work.\n\n");
    for (size_t i = 0; i < cyg_gw_nrows; i++) {
        const struct cyg_gw_row *row = &cyg_gw_rows[i];
        const char *path = cyg_gw_section_docs[row->section].path, *dot = *path ? "." : "";
        if (row->type == CYG_GW_T_LATER) fprintf(out, "- `%s%s%s`: %s\n", path, dot, row->key, row->doc);
        if (!row->later) continue;
        fprintf(out, "- `%s%s%s` as ", path, dot, row->key);
        put_words(out, row->later);
        fprintf(out, ".\n");
    }
}

void cyg_gw_config_reference(FILE *out) {
    fputs(opening, out);
    for (int s = 0; s < CYG_GW_SECTIONS; s++) put_section(out, (enum cyg_gw_section)s);
    fputs(type_order_note, out);
    for (int t = 0; t < CYG_GW_TYPES; t++)
        if (cyg_gw_type_docs[t].doc) fprintf(out, "| %s | %s |\n", cyg_gw_type_docs[t].name, cyg_gw_type_docs[t].doc);
    put_later(out);
}
