/* json.c: findings for programs: one object. */
#include "doctor/doctor.h"
#include "gateway/text.h"

#include <cygnet/err.h>
#include <math.h>
#include "doctor/gateway.h"

static void pair(struct cyg_gw_text *t, const char *name, const char *value, const char *before) {
    cyg_gw_text_printf(t, "%s\"%s\": ", before, name);
    cyg_gw_text_json(t, cyg_str_of(value));
}

static void put_finding(struct cyg_gw_text *t, const struct doc_finding *f) {
    pair(t, "name", f->check->name, "{");
    pair(t, "verdict", doc_verdict_name(f->verdict), ", ");
    pair(t, "what", f->check->what, ", ");
    pair(t, "value", f->value, ", ");
    pair(t, "cost", f->cost, ", ");
    pair(t, "fix", f->fix, ", ");
    cyg_gw_text_printf(t, ", \"now\": %.1f, \"apply\": ", isfinite(f->now) ? f->now : 0);
    if (f->sysctl[0] && f->verdict >= DOC_NOTE) {
        pair(t, "sysctl", f->sysctl, "{");
        pair(t, "from", f->from, ", ");
        pair(t, "to", f->to, ", ");
        cyg_gw_text_puts(t, "}}");
    } else {
        cyg_gw_text_puts(t, "null}");
    }
}

int doc_print_json(FILE *out, const struct doc_machine *m, const struct doc_finding *f, size_t n) {
    struct cyg_gw_text t = {0};
    pair(&t, "cygnet", CYG_VERSION, "{");
    pair(&t, "verdict", doc_verdict_name(doc_worst(f, n)), ", ");
    cyg_gw_text_printf(&t, ", \"watched_seconds\": %.3f, \"gateway\": ", m->seconds);
    if (m->gateway)
        cyg_gw_text_json(&t, cyg_str_of(m->gateway->base));
    else
        cyg_gw_text_puts(&t, "null");
    cyg_gw_text_puts(&t, ", \"findings\": [");
    for (size_t i = 0; i < n; i++) {
        cyg_gw_text_puts(&t, i ? ",\n  " : "\n  ");
        put_finding(&t, &f[i]);
    }
    cyg_gw_text_puts(&t, n ? "\n]}\n" : "]}\n");
    int err = t.failed ? CYG_ENOMEM : 0;
    if (!err) fwrite(t.p, 1, t.n, out);
    cyg_gw_text_free(&t);
    return err;
}
