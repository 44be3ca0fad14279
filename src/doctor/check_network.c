/* check_network.c: between the card and TCP: connection tracking, and packets dropped on the way up. */
#include "doctor/checks.h"

#include <stdlib.h>
#include <string.h>

#define FILTER "/proc/sys/net/netfilter/"

static void conntrack(struct doc_machine *m, struct doc_finding *f) {
    double max, count = 0, time_wait = 120;
    char a[32], b[32], c[32];
    if (!doc_number(m, FILTER "nf_conntrack_max", &max)) {
        doc_value(f, "not loaded");
        doc_cost(f, "Nothing tracks connections, so no table can be full.");
        return;
    }
    (void)doc_number(m, FILTER "nf_conntrack_count", &count);
    (void)doc_number(m, FILTER "nf_conntrack_tcp_timeout_time_wait", &time_wait);
    doc_value(f, "%s of %s in use", doc_commas(a, count), doc_commas(b, max));
    doc_cost(f, "A connection stays in the table for %.0f s after its end: %s new connections/s fill it, and then packets of new ones are dropped without a word.",
             time_wait, doc_commas(c, max / (time_wait > 0 ? time_wait : 1)));
    doc_in_use(f, count, max, 0.75, 0.9);
    if (max / (time_wait > 0 ? time_wait : 1) < 1000 && count > 0) doc_raise(f, DOC_NOTE);
    if (f->verdict == DOC_OK) return;
    snprintf(a, sizeof a, "%.0f", max < 1048576 ? 1048576 : max * 2);
    doc_fix_sysctl(m, f, "net.netfilter.nf_conntrack_max", a);
}
const struct doc_check doc_nf_conntrack_max = {
    "nf_conntrack_max",
    "how many connections the packet filter can track",
    FILTER "nf_conntrack_max, nf_conntrack_count, nf_conntrack_tcp_timeout_time_wait",
    "note from 75 % in use, or if it tracks and 1,000 new connections/s would fill it; bad from 90 %",
    conntrack,
    false};

/* A line for each CPU, in hexadecimal: packets, dropped, squeezed, … */
static void softnet(struct doc_machine *m, struct doc_finding *f) {
    char text[16384], a[32], b[32], *save;
    double dropped = 0, squeezed = 0, backlog = 0;
    if (doc_read(m, "/proc/net/softnet_stat", text, sizeof text) <= 0) {
        doc_unknown(f, "/proc/net/softnet_stat");
        return;
    }
    for (char *line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
        unsigned all, drop, squeeze;
        if (sscanf(line, "%x %x %x", &all, &drop, &squeeze) != 3) continue;
        dropped += drop;
        squeezed += squeeze;
    }
    (void)doc_number(m, "/proc/sys/net/core/netdev_max_backlog", &backlog);
    doc_value(f, "%s dropped, %s times out of budget", doc_commas(a, dropped), doc_commas(b, squeezed));
    doc_cost(f, "A packet is dropped when a CPU has %s waiting (net.core.netdev_max_backlog).", doc_commas(a, backlog));
    doc_mishaps(m, f, "softnet_dropped", dropped);
    if (f->verdict == DOC_OK) return;
    snprintf(a, sizeof a, "%.0f", backlog * 2);
    doc_fix_sysctl(m, f, "net.core.netdev_max_backlog", a);
}
const struct doc_check doc_softnet = {"softnet",
                                      "packets dropped because a CPU could not keep up",
                                      "/proc/net/softnet_stat, /proc/sys/net/core/netdev_max_backlog",
                                      "note if there were any, bad if they rise while doctor watches",
                                      softnet,
                                      false};
