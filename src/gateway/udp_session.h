/* udp_session.h: one client of a udp listener, known by its address and port, with a socket of its own towards an endpoint: replies
 * that come in there are this client's.
 *
 * A session is counted: the table of sessions has a reference, who uses one that it got there, and its owner. The owner is the start
 * record with the poller while nothing comes from the endpoint, else the goroutine that the record started; an idle session has
 * neither stack nor buffer. Anybody may end a session (session_end): that closes its socket, which brings its owner back, who finishes
 * it.
 */
#ifndef CYG_GATEWAY_UDP_SESSION_H
#define CYG_GATEWAY_UDP_SESSION_H

#include "gateway/dial.h"
#include "gateway/proxy_accept.h"
#include "gateway/snapshot.h"

#include <cygnet/context.h>
#include <cygnet/map.h>
#include <cygnet/objpool.h>
#include <cygnet/packet.h>
#include <cygnet/sync.h>

struct cyg_gw_udp {
    cyg_conn *socket;      /* closed last: sessions answer through it */
    bool any;              /* bound to every address: replies must come from the one that was asked */
    cyg_ctx *reading;      /* of the reader; of the goroutine that runs the gateway */
    cyg_waitgroup readers; /* 1 while it runs */
    cyg_map *sessions;     /* of struct cyg_gw_udp_session, counted */
    cyg_waitgroup owners;  /* sessions that are not finished */
    size_t open;           /* the same as a number; atomic */
    cyg_objpool *buffers;  /* of struct cyg_gw_udp_buffer: for replies on their way */
};

#define CYG_GW_UDP_BATCH 16

struct cyg_gw_udp_buffer {
    cyg_packet packets[CYG_GW_UDP_BATCH];
    char room[CYG_GW_UDP_BATCH][CYG_PACKET_MAX]; /* memory is committed only as far as it is used */
};

/* What a session is known by: both addresses without their paths. */
struct cyg_gw_udp_key {
    struct {
        uint16_t family, port;
        uint32_t scope;
        uint8_t ip[16];
    } client, local;
};

struct cyg_gw_udp_session {
    uint32_t refs;  /* atomic */
    uint32_t ended; /* atomic: 0, or 1 + the ending */
    struct cyg_gw_server *server;
    struct cyg_gw_l4 *l4; /* counted */
    struct cyg_gw_dialled dialled;
    struct cyg_gw_udp_key key;
    cyg_addr client, local;  /* local: family CYG_AF_NONE unless the listener is bound to every address */
    cyg_time started, last;  /* last: a datagram either way; atomic */
    cyg_time deadline;       /* for reads, as set on the socket; the owner's */
    uint64_t received, sent; /* bytes; atomic: the reader's, the owner's */
    size_t header_n;         /* of the PROXY protocol, before each datagram to the endpoint; 0: none */
    char header[];
};

/* Makes a session for n datagrams of a client, with a socket to the next endpoint, and puts it into the table. Blocks: parks for short locks. From: the reader.
 * Returns: 0 with a reference for the caller; CYG_ELIMIT (max_sessions), or why there is no socket: those n are counted then. */
int cyg_gw_udp_session_new(struct cyg_gw_server *s, const struct cyg_gw_udp_key *key, const cyg_packet *first,
                           uint64_t n, struct cyg_gw_udp_session **out);

/* For the table. */
void cyg_gw_udp_session_acquire(void *session);
void cyg_gw_udp_session_release(void *session);

/* Ends it, so that its client's next datagram begins another. Blocks: never. From: anybody with a reference. */
void cyg_gw_udp_session_end(struct cyg_gw_udp_session *u, enum cyg_gw_ending why);

static inline bool cyg_gw_udp_session_ended(const struct cyg_gw_udp_session *u) {
    return __atomic_load_n(&u->ended, __ATOMIC_ACQUIRE) != 0;
}

#endif
