/* conn_opts.c: options of connections, checked against their bounds before any is set; and how a TCP connection fares. */
#include <errno.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <string.h>

#include "net/internal.h"

#define NAME_MAX_ 15 /* TCP_CA_NAME_MAX, its NUL aside */
#define KEEPALIVE_MAX (32767 * CYG_SECOND)
#define USER_TIMEOUT_MAX ((cyg_duration)INT32_MAX * CYG_MILLISECOND)
#define BUFFER_MIN 2048
#define BUFFER_MAX ((size_t)INT32_MAX / 2)

static int bad(const char *option, const char *bounds) {
    return cygrt_fail(CYG_EINVAL, "option %s: expected %s", option, bounds);
}

static bool outside(cyg_duration d, cyg_duration min, cyg_duration max) { return d && (d < min || d > max); }
static bool bad_buffer(size_t n) { return n && (n < BUFFER_MIN || n > BUFFER_MAX); }

int conn_opts_check(const cyg_conn_opts *o, bool tcp) {
    static const char seconds[] = "1 s to 32767 s", bytes[] = "2048 to 1073741823 bytes";
    if (!tcp && (o->no_delay || o->keepalive || o->keepalive_idle || o->keepalive_interval || o->keepalive_count ||
                 o->user_timeout || o->notsent_lowat_bytes || o->congestion))
        return cygrt_fail(CYG_ENOTSUP, "an option of TCP on another kind of socket");
    if ((unsigned)o->no_delay > CYG_OFF) return bad("no_delay", "CYG_ON or CYG_OFF");
    if ((unsigned)o->keepalive > CYG_OFF) return bad("keepalive", "CYG_ON or CYG_OFF");
    if (outside(o->keepalive_idle, 1, KEEPALIVE_MAX)) return bad("keepalive_idle", seconds);
    if (outside(o->keepalive_interval, 1, KEEPALIVE_MAX)) return bad("keepalive_interval", seconds);
    if (o->keepalive_count < 0 || o->keepalive_count > 127) return bad("keepalive_count", "1 to 127");
    if (outside(o->user_timeout, 1, USER_TIMEOUT_MAX)) return bad("user_timeout", "1 ms to 2147483647 ms");
    if (o->notsent_lowat_bytes > INT32_MAX) return bad("notsent_lowat_bytes", "1 to 2147483647");
    if (bad_buffer(o->recv_buffer_bytes)) return bad("recv_buffer_bytes", bytes);
    if (bad_buffer(o->send_buffer_bytes)) return bad("send_buffer_bytes", bytes);
    if (o->congestion && (!*o->congestion || strlen(o->congestion) > NAME_MAX_))
        return bad("congestion", "a name of 1 to 15 bytes");
    return 0;
}

static int set(int fd, int level, int name, int value, const char *option) {
    if (setsockopt(fd, level, name, &value, sizeof value) == 0) return 0;
    int err = -errno;
    return cygrt_fail(err, "option %s: %s", option, cyg_strerror(err));
}

static int up(cyg_duration d, cyg_duration unit) { return (int)((d + unit - 1) / unit); }

int conn_set_buffers(int fd, size_t recv_bytes, size_t send_bytes) {
    cyg_conn_opts o = {.recv_buffer_bytes = recv_bytes, .send_buffer_bytes = send_bytes};
    int err = conn_opts_check(&o, false);
    if (!err && recv_bytes) err = set(fd, SOL_SOCKET, SO_RCVBUF, (int)recv_bytes, "recv_buffer_bytes");
    if (!err && send_bytes) err = set(fd, SOL_SOCKET, SO_SNDBUF, (int)send_bytes, "send_buffer_bytes");
    return err;
}

int conn_opts_apply(int fd, const cyg_conn_opts *o) {
    const struct {
        bool wanted;
        int level, name, value;
        const char *option;
    } all[] = {
        {o->no_delay, IPPROTO_TCP, TCP_NODELAY, o->no_delay == CYG_ON, "no_delay"},
        {o->keepalive, SOL_SOCKET, SO_KEEPALIVE, o->keepalive == CYG_ON, "keepalive"},
        {o->keepalive_idle, IPPROTO_TCP, TCP_KEEPIDLE, up(o->keepalive_idle, CYG_SECOND), "keepalive_idle"},
        {o->keepalive_interval, IPPROTO_TCP, TCP_KEEPINTVL, up(o->keepalive_interval, CYG_SECOND), "keepalive_interval"},
        {o->keepalive_count, IPPROTO_TCP, TCP_KEEPCNT, o->keepalive_count, "keepalive_count"},
        {o->user_timeout, IPPROTO_TCP, TCP_USER_TIMEOUT, up(o->user_timeout, CYG_MILLISECOND), "user_timeout"},
        {o->notsent_lowat_bytes, IPPROTO_TCP, TCP_NOTSENT_LOWAT, (int)o->notsent_lowat_bytes, "notsent_lowat_bytes"},
    };
    int err = 0;
    if (o->congestion && setsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, o->congestion, (socklen_t)strlen(o->congestion)) < 0) {
        err = -errno; /* the likeliest to fail comes first */
        return cygrt_fail(err, "option congestion \"%s\": %s", o->congestion, cyg_strerror(err));
    }
    for (size_t i = 0; i < sizeof all / sizeof *all && !err; i++)
        if (all[i].wanted) err = set(fd, all[i].level, all[i].name, all[i].value, all[i].option);
    return err ? err : conn_set_buffers(fd, o->recv_buffer_bytes, o->send_buffer_bytes);
}

int cyg_conn_set_opts(cyg_conn *s, const cyg_conn_opts *o) {
    struct conn *c = conn_ours(s);
    if (!c || c->kind == CONN_PIPE) return CYG_ENOTSUP;
    int err = fdlock_use(&c->lock);
    if (err) return err;
    err = conn_opts_check(o, c->kind == CONN_TCP);
    if (!err) err = conn_opts_apply(c->fd, o);
    conn_unuse(c);
    return err;
}

/* ---- TCP_INFO ---------------------------------------------------------------------------------------------------------- */

static void translate(const struct tcp_info *i, cyg_tcp_info *out) {
    *out = (cyg_tcp_info){
        .state = i->tcpi_state,
        .retransmits = i->tcpi_retransmits,
        .rtt = i->tcpi_rtt * CYG_MICROSECOND,
        .rtt_variance = i->tcpi_rttvar * CYG_MICROSECOND,
        .min_rtt = i->tcpi_min_rtt == UINT32_MAX ? 0 : i->tcpi_min_rtt * CYG_MICROSECOND, /* not measured yet */
        .rto = i->tcpi_rto * CYG_MICROSECOND,
        .last_sent = i->tcpi_last_data_sent * CYG_MILLISECOND,
        .last_received = i->tcpi_last_data_recv * CYG_MILLISECOND,
        .send_mss_bytes = i->tcpi_snd_mss,
        .receive_mss_bytes = i->tcpi_rcv_mss,
        .path_mtu_bytes = i->tcpi_pmtu,
        .congestion_window_segments = i->tcpi_snd_cwnd,
        .slow_start_threshold_segments = i->tcpi_snd_ssthresh,
        .unacked_segments = i->tcpi_unacked,
        .lost_segments = i->tcpi_lost,
        .retransmitted_segments = i->tcpi_retrans,
        .reordering_segments = i->tcpi_reordering,
        .not_sent_bytes = i->tcpi_notsent_bytes,
        .peer_window_bytes = i->tcpi_snd_wnd,
        .delivery_rate_bytes = i->tcpi_delivery_rate,
        .pacing_rate_bytes = i->tcpi_pacing_rate,
        .sent_bytes_total = i->tcpi_bytes_sent,
        .acked_bytes_total = i->tcpi_bytes_acked,
        .received_bytes_total = i->tcpi_bytes_received,
        .retransmitted_bytes_total = i->tcpi_bytes_retrans,
        .retransmitted_total = i->tcpi_total_retrans,
        .sent_segments_total = i->tcpi_segs_out,
        .received_segments_total = i->tcpi_segs_in,
        .busy = (cyg_duration)i->tcpi_busy_time * CYG_MICROSECOND,
        .window_limited = (cyg_duration)i->tcpi_rwnd_limited * CYG_MICROSECOND,
        .buffer_limited = (cyg_duration)i->tcpi_sndbuf_limited * CYG_MICROSECOND,
    };
}

int cyg_conn_tcp_info(cyg_conn *s, cyg_tcp_info *out) {
    struct conn *c = conn_ours(s);
    if (!c || c->kind != CONN_TCP) return CYG_ENOTSUP;
    int err = fdlock_use(&c->lock);
    if (err) return err;
    struct tcp_info info = {0};
    socklen_t n = sizeof info;
    if (getsockopt(c->fd, IPPROTO_TCP, TCP_INFO, &info, &n) < 0)
        err = -errno;
    else
        translate(&info, out);
    conn_unuse(c);
    return err;
}
