/* gateway.h: what a running gateway says of itself on its admin address: its metrics and its page of sockets. */
#ifndef CYG_DOCTOR_GATEWAY_H
#define CYG_DOCTOR_GATEWAY_H

#include <cygnet/base.h>
#include <cygnet/net.h>

struct doc_gateway {
    char base[160]; /* "http://127.0.0.1:9901", for hints */
    char *metrics, *sockets;
    size_t nmetrics, nsockets;
};

/* "http://127.0.0.1:9901", with or without "http://" and a "/" at the end. Returns 0, or CYG_EPARSE with what was expected. */
int doc_gateway_address(const char *url, cyg_addr *out);
/* Fetches both pages; the sockets first, since their page makes the metrics fresh. Blocks: parks, 10 s at most. From: goroutine.
 * Returns: 0, CYG_EPROTO if it is no gateway of ours, or why it cannot be reached, with the detail. Ends with doc_gateway_free. */
int doc_gateway_fetch(const cyg_addr *to, struct doc_gateway *out);
void doc_gateway_free(struct doc_gateway *g);

/* ---- metrics_text.c: Prometheus text 0.0.4 ---------------------------------------------------------------------------- */

struct doc_metric {
    cyg_str name, labels; /* labels: what stands between the braces, unread */
    double value;
};

/* The next sample of *rest, which moves behind its line. Comments, empty lines and what is not understood are skipped. */
bool doc_metric_next(cyg_str *rest, struct doc_metric *out);
/* A label's value, unescaped, cut to n; false: it has none. */
bool doc_metric_label(const struct doc_metric *m, const char *name, char *out, size_t n);

/* The sum over all series of a name whose label is value (label NULL: all of them); false: there is none. */
bool doc_gateway_sum(const struct doc_gateway *g, const char *name, const char *label, const char *value, double *out);

#endif
