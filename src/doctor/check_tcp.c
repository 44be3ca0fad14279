/* check_tcp.c: how TCP sends, its memory, and what it loses. */
#include "doctor/checks.h"

#include <math.h>
#include <string.h>

#define IPV4 "/proc/sys/net/ipv4/"
#define NETSTAT "/proc/net/netstat"
#define FIRST_WINDOW (10 * 1448.0) /* bytes of the first round trip: RFC 6928, with timestamps on Ethernet */
#define MIB (1024.0 * 1024)

static void slow_start(struct doc_machine *m, struct doc_finding *f) {
    double v;
    if (!doc_number(m, IPV4 "tcp_slow_start_after_idle", &v)) {
        doc_unknown(f, IPV4 "tcp_slow_start_after_idle");
        return;
    }
    doc_value(f, "%.0f", v);
    if (v == 0) {
        doc_cost(f, "A connection that was idle goes on at the rate it had.");
        return;
    }
    doc_raise(f, DOC_NOTE);
    doc_cost(f,
             "A connection that was idle for longer than its retransmission timeout (200 ms at least) begins again "
             "with 14 KiB: 1 MiB "
             "over a kept connection takes %.0f round trips instead of one or two.",
             ceil(log2(MIB / FIRST_WINDOW + 1)));
    doc_fix_sysctl(m, f, "net.ipv4.tcp_slow_start_after_idle", "0");
}
const struct doc_check doc_tcp_slow_start_after_idle = {"tcp_slow_start_after_idle",
                                                        "whether a connection that was idle begins again slowly",
                                                        IPV4 "tcp_slow_start_after_idle",
                                                        "note if 1",
                                                        slow_start,
                                                        false};

static void congestion(struct doc_machine *m, struct doc_finding *f) {
    char now[64], can[256];
    if (doc_read(m, IPV4 "tcp_congestion_control", now, sizeof now) <= 0) {
        doc_unknown(f, IPV4 "tcp_congestion_control");
        return;
    }
    now[strcspn(now, "\n")] = 0;
    if (doc_read(m, IPV4 "tcp_available_congestion_control", can, sizeof can) <= 0) can[0] = 0;
    can[strcspn(can, "\n")] = 0;
    doc_value(f, "%s (of %s)", now, can[0] ? can : now);
    if (strcmp(now, "cubic") == 0 || strncmp(now, "bbr", 3) == 0) {
        doc_cost(f, now[0] == 'b'
                        ? "Paces by measured bandwidth: good with loss and long queues; costs more CPU for bulk "
                          "between machines nearby."
                        : "Slows down at loss: good on clean paths; on long ones with random loss bbr carries more.");
        return;
    }
    doc_raise(f, DOC_NOTE);
    doc_cost(f, "Slower than cubic to use a path with much bandwidth times delay.");
    doc_fix_sysctl(m, f, "net.ipv4.tcp_congestion_control", "cubic");
}
const struct doc_check doc_tcp_congestion_control = {"tcp_congestion_control",
                                                     "how TCP finds its rate",
                                                     IPV4 "tcp_congestion_control, tcp_available_congestion_control",
                                                     "note unless cubic or bbr",
                                                     congestion,
                                                     false};

static void buffers(struct doc_machine *m, struct doc_finding *f, const char *sysctl, const char *path, double enough,
                    const char *to) {
    double v[3];
    char a[32], b[32], c[32];
    if (doc_numbers(m, path, v, 3) != 3) {
        doc_unknown(f, path);
        return;
    }
    doc_value(f, "%s, %s, %s at most", doc_bytes(a, v[0]), doc_bytes(b, v[1]), doc_bytes(c, v[2]));
    doc_cost(f, "One connection over 100 ms of round trip carries at most %s/s.", doc_bytes(a, v[2] * 10));
    if (v[2] >= enough) return;
    doc_raise(f, DOC_NOTE);
    doc_fix_sysctl(m, f, sysctl, to);
}
static void rmem(struct doc_machine *m, struct doc_finding *f) {
    buffers(m, f, "net.ipv4.tcp_rmem", IPV4 "tcp_rmem", 4 * MIB, "4096 131072 6291456");
}
static void wmem(struct doc_machine *m, struct doc_finding *f) {
    buffers(m, f, "net.ipv4.tcp_wmem", IPV4 "tcp_wmem", 2 * MIB, "4096 16384 4194304");
}
const struct doc_check doc_tcp_rmem = {"tcp_rmem",
                                       "a connection's receive buffer: least, at the start, most",
                                       IPV4 "tcp_rmem",
                                       "note if the most is below 4 MiB",
                                       rmem,
                                       false};
const struct doc_check doc_tcp_wmem = {"tcp_wmem",
                                       "a connection's send buffer: least, at the start, most",
                                       IPV4 "tcp_wmem",
                                       "note if the most is below 2 MiB",
                                       wmem,
                                       false};

static void tcp_mem(struct doc_machine *m, struct doc_finding *f) {
    double v[3], now = 0, pressures = 0;
    char a[32], b[32], c[32];
    if (doc_numbers(m, IPV4 "tcp_mem", v, 3) != 3) {
        doc_unknown(f, IPV4 "tcp_mem");
        return;
    }
    (void)doc_word(m, "/proc/net/sockstat", "TCP:", "mem", &now);
    (void)doc_column(m, NETSTAT, "TcpExt:", "TCPMemoryPressures", &pressures);
    doc_value(f, "%s in use, saves from %s, at most %s", doc_bytes(a, now * 4096), doc_bytes(b, v[1] * 4096),
              doc_bytes(c, v[2] * 4096));
    doc_cost(f, "From the second number on windows shrink, at the third connections are dropped.");
    doc_in_use(f, now, v[1], 0.75, 1);
    doc_mishaps(m, f, "TCPMemoryPressures", pressures);
    if (f->verdict != DOC_OK)
        doc_fix(f, "ss -tm    # whose buffers are full: a peer that does not read, or a program that does not");
}
const struct doc_check doc_tcp_mem = {
    "tcp_mem",
    "memory of all TCP buffers together",
    IPV4 "tcp_mem, /proc/net/sockstat, TcpExt TCPMemoryPressures",
    "note from 75 % of the pressure mark or if it was reached, bad at it or if it is reached now",
    tcp_mem,
    false};

static void orphans(struct doc_machine *m, struct doc_finding *f) {
    double max, now = 0, aborted = 0;
    char a[32], b[32], c[32];
    if (!doc_number(m, IPV4 "tcp_max_orphans", &max)) {
        doc_unknown(f, IPV4 "tcp_max_orphans");
        return;
    }
    (void)doc_word(m, "/proc/net/sockstat", "TCP:", "orphan", &now);
    (void)doc_column(m, NETSTAT, "TcpExt:", "TCPAbortOnMemory", &aborted);
    doc_value(f, "%s of %s", doc_commas(a, now), doc_commas(b, max));
    doc_cost(f, "Closed connections whose last bytes have not arrived; beyond the limit they are reset (%s so far). Each takes up to 64 KiB.",
             doc_commas(c, aborted));
    doc_in_use(f, now, max, 0.5, 0.9);
    doc_mishaps(m, f, "TCPAbortOnMemory", aborted);
    if (f->verdict == DOC_OK) return;
    snprintf(a, sizeof a, "%.0f", max * 2);
    doc_fix_sysctl(m, f, "net.ipv4.tcp_max_orphans", a);
}
const struct doc_check doc_tcp_max_orphans = {
    "tcp_max_orphans",
    "closed connections that the kernel still finishes",
    IPV4 "tcp_max_orphans, /proc/net/sockstat, TcpExt TCPAbortOnMemory",
    "note from 50 % in use or if some were reset, bad from 90 % or if some are reset now",
    orphans,
    false};

static void drops(struct doc_machine *m, struct doc_finding *f) {
    static const char *const names[] = {"TCPBacklogDrop", "TCPRcvQDrop", "RcvPruned", "PFMemallocDrop", "TCPReqQFullDrop"};
    double total = 0, v;
    char a[32];
    bool any = false;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        if (!doc_column(m, NETSTAT, "TcpExt:", names[i], &v)) continue;
        any = true;
        total += v;
        if (v > 0) doc_cost(f, "%s %s.", names[i], doc_commas(a, v));
    }
    if (!any) {
        doc_unknown(f, NETSTAT);
        return;
    }
    doc_value(f, "%s segments since the start", doc_commas(a, total));
    doc_cost(f, "Each has to be sent again, 200 ms later or more if it is the last of an answer.");
    doc_mishaps(m, f, "tcp_drops", total);
    if (f->verdict != DOC_OK) doc_fix(f, "ss -tm    # d in skmem is drops: that program reads too slowly");
}
const struct doc_check doc_tcp_drops = {
    "tcp_drops",
    "segments that came and were thrown away for want of room",
    "TcpExt TCPBacklogDrop, TCPRcvQDrop, RcvPruned, PFMemallocDrop, TCPReqQFullDrop",
    "note if there were any, bad if they rise while doctor watches",
    drops,
    false};

static void retransmits(struct doc_machine *m, struct doc_finding *f) {
    double again, out;
    char a[32];
    if (!doc_column(m, "/proc/net/snmp", "Tcp:", "RetransSegs", &again) ||
        !doc_column(m, "/proc/net/snmp", "Tcp:", "OutSegs", &out)) {
        doc_unknown(f, "/proc/net/snmp");
        return;
    }
    double again_now = doc_rate(m, "RetransSegs", again), out_now = doc_rate(m, "OutSegs", out);
    double share = out > 0 ? again / out : 0, share_now = out_now >= 100 ? again_now / out_now : 0;
    doc_value(f, "%.3f %% of %s segments", share * 100, doc_commas(a, out));
    doc_cost(f, "A segment sent again arrives a round trip later, the last one of an answer 200 ms later.");
    if (m->seconds > 0) doc_cost(f, "Now: %.2f %% of %.0f/s.", share_now * 100, out_now);
    double judged = m->seconds > 0 ? share_now : share;
    if (judged >= 0.01) doc_raise(f, judged >= 0.05 ? DOC_BAD : DOC_NOTE);
    f->now = share_now >= 0.05 ? 100 : share_now * 1000;
    if (f->verdict != DOC_OK) doc_fix(f, "ss -ti | grep -B1 retrans    # to whom; then the path there");
}
const struct doc_check doc_tcp_retransmits = {
    "tcp_retransmits",
    "segments that had to be sent again",
    "/proc/net/snmp Tcp RetransSegs, OutSegs",
    "note from 1 %, bad from 5 % (of the segments while doctor watches, else since the start)",
    retransmits,
    false};
