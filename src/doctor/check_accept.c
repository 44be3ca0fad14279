/* check_accept.c: connections on their way in: the queues before accept, and what was lost there. */
#include "doctor/checks.h"

#define BACKLOG 4096 /* what the library asks for when nothing else is said */
#define IPV4 "/proc/sys/net/ipv4/"

static void somaxconn(struct doc_machine *m, struct doc_finding *f) {
    double v;
    char a[32];
    if (!doc_number(m, "/proc/sys/net/core/somaxconn", &v)) {
        doc_unknown(f, "/proc/sys/net/core/somaxconn");
        return;
    }
    double queue = v < BACKLOG ? v : BACKLOG;
    doc_value(f, "%s", doc_commas(a, v));
    doc_cost(f, "A listener's queue holds %s connections (a listener of Cygnet asks for %d): at 10,000 new ones/s it is full after %.0f ms without accept, and then drops.",
             doc_commas(a, queue), BACKLOG, queue / 10);
    if (v >= BACKLOG) return;
    doc_raise(f, v < 1024 ? DOC_BAD : DOC_NOTE);
    doc_fix_sysctl(m, f, "net.core.somaxconn", "4096");
}
const struct doc_check doc_somaxconn = {"somaxconn",
                                        "how many accepted connections a listener's queue may hold",
                                        "/proc/sys/net/core/somaxconn",
                                        "note below 4,096, bad below 1,024",
                                        somaxconn,
                                        false};

static void syn_backlog(struct doc_machine *m, struct doc_finding *f) {
    double v, cookies = 1;
    char a[32];
    if (!doc_number(m, IPV4 "tcp_max_syn_backlog", &v)) {
        doc_unknown(f, IPV4 "tcp_max_syn_backlog");
        return;
    }
    (void)doc_number(m, IPV4 "tcp_syncookies", &cookies);
    doc_value(f, "%s", doc_commas(a, v));
    doc_cost(f, "With a round trip of 100 ms, %s new connections/s can be half open; beyond, %s.",
             doc_commas(a, v * 10), cookies != 0 ? "SYN cookies take over" : "new clients are dropped");
    if (v >= 1024) return;
    doc_raise(f, DOC_NOTE);
    doc_fix_sysctl(m, f, "net.ipv4.tcp_max_syn_backlog", "4096");
}
const struct doc_check doc_tcp_max_syn_backlog = {"tcp_max_syn_backlog",
                                                  "how many connections of a listener may be half open",
                                                  IPV4 "tcp_max_syn_backlog, tcp_syncookies",
                                                  "note below 1,024",
                                                  syn_backlog,
                                                  false};

static void syncookies(struct doc_machine *m, struct doc_finding *f) {
    double v, sent = 0, backlog = 0;
    char a[32];
    if (!doc_number(m, IPV4 "tcp_syncookies", &v)) {
        doc_unknown(f, IPV4 "tcp_syncookies");
        return;
    }
    (void)doc_column(m, "/proc/net/netstat", "TcpExt:", "SyncookiesSent", &sent);
    (void)doc_number(m, IPV4 "tcp_max_syn_backlog", &backlog);
    doc_value(f, "%.0f (%s)", v, v == 0 ? "off" : v == 1 ? "when the queue is full" : "always");
    if (v == 0) {
        doc_raise(f, DOC_BAD);
        doc_cost(f, "%s SYNs from anybody fill a listener's queue, and nobody else gets in.", doc_commas(a, backlog));
        doc_fix_sysctl(m, f, "net.ipv4.tcp_syncookies", "1");
        return;
    }
    double rate = doc_rate(m, "SyncookiesSent", sent);
    doc_cost(f, "%s cookies sent since the start; a connection by cookie loses window scaling if the client has no timestamps.",
             doc_commas(a, sent));
    if (rate > 0) {
        doc_raise(f, DOC_NOTE);
        f->now = 50;
        doc_cost(f, "Now: %.1f/s: a flood, or a listener that does not accept fast enough.", rate);
    }
    if (v == 1) return;
    doc_raise(f, DOC_NOTE);
    doc_fix_sysctl(m, f, "net.ipv4.tcp_syncookies", "1");
}
const struct doc_check doc_tcp_syncookies = {"tcp_syncookies",
                                             "answers to SYNs that need no memory, against floods",
                                             IPV4 "tcp_syncookies, TcpExt SyncookiesSent",
                                             "bad if 0, note if 2 or if cookies are sent now",
                                             syncookies,
                                             false};

static void overflows(struct doc_machine *m, struct doc_finding *f) {
    double over, drops = 0;
    char a[32], b[32];
    if (!doc_column(m, "/proc/net/netstat", "TcpExt:", "ListenOverflows", &over)) {
        doc_unknown(f, "/proc/net/netstat");
        return;
    }
    (void)doc_column(m, "/proc/net/netstat", "TcpExt:", "ListenDrops", &drops);
    doc_value(f, "%s overflows, %s drops since the start", doc_commas(a, over), doc_commas(b, drops));
    doc_cost(f, "Each drop is a client that waits 1 s, 3 s, 7 s, until its SYN is sent again.");
    doc_mishaps(m, f, "ListenDrops", drops > over ? drops : over);
    if (f->verdict != DOC_OK)
        doc_fix(
            f,
            "ss -ltn    # Recv-Q near Send-Q: that listener's program accepts too slowly, or its backlog is too small");
}
const struct doc_check doc_listen_overflows = {"listen_overflows",
                                               "connections dropped because a listener's queue was full",
                                               "TcpExt ListenOverflows, ListenDrops",
                                               "note if there were any, bad if they rise while doctor watches",
                                               overflows,
                                               false};

static void abort_on_overflow(struct doc_machine *m, struct doc_finding *f) {
    double v;
    if (!doc_number(m, IPV4 "tcp_abort_on_overflow", &v)) {
        doc_unknown(f, IPV4 "tcp_abort_on_overflow");
        return;
    }
    doc_value(f, "%.0f", v);
    if (v == 0) {
        doc_cost(
            f, "A client whose connection finds the queue full tries again by itself, and a short burst is not seen.");
        return;
    }
    doc_raise(f, DOC_NOTE);
    doc_cost(f, "A client whose connection finds the queue full gets a reset: a burst of milliseconds becomes errors.");
    doc_fix_sysctl(m, f, "net.ipv4.tcp_abort_on_overflow", "0");
}
const struct doc_check doc_tcp_abort_on_overflow = {"tcp_abort_on_overflow",
                                                    "whether a full listener's queue answers with a reset",
                                                    IPV4 "tcp_abort_on_overflow",
                                                    "note if 1",
                                                    abort_on_overflow,
                                                    false};
