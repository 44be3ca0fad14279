/* check_ports.c: ports for outgoing connections, and how long they stay taken. */
#include "doctor/checks.h"
#include "proto/port_list.h"

#define TIME_WAIT 60 /* seconds, fixed in the kernel: TCP_TIMEWAIT_LEN */
#define IPV4 "/proc/sys/net/ipv4/"

/* Ports of the range that the kernel hands out; 0: not known. */
static double ports(const struct doc_machine *m, double *low, double *high) {
    double range[2];
    char text[4096];
    struct port_set reserved = {0};
    if (doc_numbers(m, IPV4 "ip_local_port_range", range, 2) != 2) return 0;
    ssize_t n = doc_read(m, IPV4 "ip_local_reserved_ports", text, sizeof text);
    if (n > 0) (void)port_set_add(&reserved, text, (size_t)n);
    *low = range[0], *high = range[1];
    return port_set_free_between(&reserved, (unsigned)range[0], (unsigned)range[1]);
}

static void port_range(struct doc_machine *m, struct doc_finding *f) {
    double low, high, n = ports(m, &low, &high);
    char a[32], b[32];
    if (n == 0) {
        doc_unknown(f, IPV4 "ip_local_port_range");
        return;
    }
    doc_value(f, "%.0f to %.0f: %s ports", low, high, doc_commas(a, n));
    doc_cost(f,
             "%s ports / %d s in TIME_WAIT = %s new connections/s to one destination if we end them first; beyond that "
             "connect fails with EADDRNOTAVAIL.",
             doc_commas(a, n), TIME_WAIT, doc_commas(b, n / TIME_WAIT));
    if (n >= 50000) return;
    doc_raise(f, n < 10000 ? DOC_BAD : DOC_NOTE);
    doc_cost(f, "Ports that services listen on belong in ip_local_reserved_ports, or stay below the range.");
    doc_fix_sysctl(m, f, "net.ipv4.ip_local_port_range", "10240 65535");
}
const struct doc_check doc_ip_local_port_range = {"ip_local_port_range",
                                                  "the local ports that outgoing connections are given",
                                                  IPV4 "ip_local_port_range, ip_local_reserved_ports",
                                                  "note below 50,000 ports, bad below 10,000",
                                                  port_range,
                                                  false};

static void tw_reuse(struct doc_machine *m, struct doc_finding *f) {
    double mode, stamps = 1, low, high, delay = 1000, n = ports(m, &low, &high);
    char a[32], b[32];
    if (!doc_number(m, IPV4 "tcp_tw_reuse", &mode)) {
        doc_unknown(f, IPV4 "tcp_tw_reuse");
        return;
    }
    (void)doc_number(m, IPV4 "tcp_timestamps", &stamps);
    (void)doc_number(m, IPV4 "tcp_tw_reuse_delay", &delay);
    doc_value(f, "%.0f (%s)", mode, mode == 0 ? "never" : mode == 1 ? "everywhere" : "on loopback only");
    if (delay < 1) delay = 1;
    doc_commas(a, n / TIME_WAIT);
    doc_commas(b, n * 1000 / delay);
    if (stamps == 0 && mode > 0) {
        doc_raise(f, DOC_NOTE);
        doc_cost(f, "Without tcp_timestamps it has no effect: %s new connections/s to one destination.", a);
    } else if (mode == 1) {
        doc_cost(f, "A port in TIME_WAIT is given out again after %.0f ms: %s new connections/s to one destination.",
                 delay, b);
    } else {
        doc_raise(f, DOC_NOTE);
        doc_cost(f, "To %s: %s new connections/s to one destination; with 1 (a port in TIME_WAIT is given out again after %.0f ms): %s/s.",
                 mode == 0 ? "anywhere" : "other machines", a, delay, b);
        doc_fix_sysctl(m, f, "net.ipv4.tcp_tw_reuse", "1");
    }
}
const struct doc_check doc_tcp_tw_reuse = {"tcp_tw_reuse",
                                           "whether a port in TIME_WAIT is given out again for an outgoing connection",
                                           IPV4 "tcp_tw_reuse, tcp_timestamps, tcp_tw_reuse_delay",
                                           "note unless 1, and if timestamps are off",
                                           tw_reuse,
                                           false};

static void timestamps(struct doc_machine *m, struct doc_finding *f) {
    double v;
    if (!doc_number(m, IPV4 "tcp_timestamps", &v)) {
        doc_unknown(f, IPV4 "tcp_timestamps");
        return;
    }
    doc_value(f, "%.0f", v);
    if (v != 0) {
        doc_cost(f, "12 bytes of each segment; old duplicates are told from new data, and ports in TIME_WAIT can be "
                    "used again.");
        return;
    }
    doc_raise(f, DOC_BAD);
    doc_cost(
        f,
        "Without them no port in TIME_WAIT can be used again, and above 100 MB/s sequence numbers repeat within 43 s.");
    doc_fix_sysctl(m, f, "net.ipv4.tcp_timestamps", "1");
}
const struct doc_check doc_tcp_timestamps = {
    "tcp_timestamps", "times in TCP segments", IPV4 "tcp_timestamps", "bad if 0", timestamps, false};

static void fin_timeout(struct doc_machine *m, struct doc_finding *f) {
    double v;
    char a[32];
    if (!doc_number(m, IPV4 "tcp_fin_timeout", &v)) {
        doc_unknown(f, IPV4 "tcp_fin_timeout");
        return;
    }
    doc_value(f, "%.0f s", v);
    doc_cost(f, "1,000 connections/s closed here whose peers never end their side keep %s sockets. It does not shorten TIME_WAIT, which is %d s always.",
             doc_commas(a, v * 1000), TIME_WAIT);
    if (v <= 60) return;
    doc_raise(f, v >= 300 ? DOC_BAD : DOC_NOTE);
    doc_fix_sysctl(m, f, "net.ipv4.tcp_fin_timeout", "60");
}
const struct doc_check doc_tcp_fin_timeout = {
    "tcp_fin_timeout",
    "how long the kernel keeps a closed connection whose peer has not ended (FIN_WAIT2)",
    IPV4 "tcp_fin_timeout",
    "note above 60 s, bad from 300 s",
    fin_timeout,
    false};

static void tw_buckets(struct doc_machine *m, struct doc_finding *f) {
    double max, now = 0, over = 0;
    char a[32], b[32], c[32];
    if (!doc_number(m, IPV4 "tcp_max_tw_buckets", &max)) {
        doc_unknown(f, IPV4 "tcp_max_tw_buckets");
        return;
    }
    (void)doc_word(m, "/proc/net/sockstat", "TCP:", "tw", &now);
    (void)doc_column(m, "/proc/net/netstat", "TcpExt:", "TCPTimeWaitOverflow", &over);
    doc_value(f, "%s of %s in use", doc_commas(a, now), doc_commas(b, max));
    doc_cost(f, "Room for %s closes/s. Beyond, TIME_WAIT is left out, and a late segment of an old connection can end a new one; that happened %s times.",
             doc_commas(a, max / TIME_WAIT), doc_commas(c, over));
    doc_in_use(f, now, max, 0.8, 1);
    doc_mishaps(m, f, "TCPTimeWaitOverflow", over);
    if (f->verdict == DOC_OK) return;
    snprintf(a, sizeof a, "%.0f", max * 2);
    doc_fix_sysctl(m, f, "net.ipv4.tcp_max_tw_buckets", a);
}
const struct doc_check doc_tcp_max_tw_buckets = {
    "tcp_max_tw_buckets",
    "how many connections may be in TIME_WAIT",
    IPV4 "tcp_max_tw_buckets, /proc/net/sockstat, TcpExt TCPTimeWaitOverflow",
    "note from 80 % in use or if it has overflowed, bad if full or overflowing now",
    tw_buckets,
    false};
