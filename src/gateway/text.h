/* text.h: text that grows while it is written: scrape bodies, JSON, log lines. A failed allocation is remembered and makes
 * the rest no-ops, so that a writer checks once, at the end.
 */
#ifndef CYG_GATEWAY_TEXT_H
#define CYG_GATEWAY_TEXT_H

#include <cygnet/base.h>

/* Begin with {0}; p is NUL-terminated once something was put. */
struct cyg_gw_text {
    char *p;
    size_t n, cap;
    bool failed; /* memory ended: what is there is not whole */
};

void cyg_gw_text_free(struct cyg_gw_text *t);
void cyg_gw_text_put(struct cyg_gw_text *t, const char *p, size_t n);
void cyg_gw_text_puts(struct cyg_gw_text *t, const char *z);
void cyg_gw_text_printf(struct cyg_gw_text *t, const char *fmt, ...) CYG_PRINTF(2, 3);

/* The bytes as a JSON string, quotes included; bytes that are not UTF-8 become U+FFFD. Source: RFC 8259 section 7. */
void cyg_gw_text_json(struct cyg_gw_text *t, cyg_str s);

/* The bytes as a Prometheus label's value, quotes included. Source: Prometheus text format 0.0.4. */
void cyg_gw_text_label(struct cyg_gw_text *t, const char *z);

/* The HELP and TYPE lines of a metric. */
void cyg_gw_text_family(struct cyg_gw_text *t, const char *name, const char *type, const char *help);

#endif
