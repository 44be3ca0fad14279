/* gateway_rig.h: a client, the forwarder under test, and an upstream whose answers a test writes byte by byte. */
#ifndef TEST_HTTP_GATEWAY_RIG_H
#define TEST_HTTP_GATEWAY_RIG_H

#include "harness.h"

/* What the upstream of the test at hand got last, and what it answers: set before the client asks. */
struct rig {
    struct upstream up;
    struct server gw;
    cyg_http_pool *pool;
    cyg_http_forward_opts opts;
    cyg_duration timeout;         /* 0: none */
    cyg_http_forward_result last; /* of the request that ended last */
    int ended;                    /* atomic: requests that ended */
    struct text got;              /* by the scripted upstream */
    const char *answer;           /* of the plain script */
};
extern struct rig rig;

int rig_up(void (*script)(cyg_conn *c, int nth), const cyg_http_server_opts *opts);
int rig_down(void);

/* Scripts: reads a head (keeps it in rig.got) and answers rig.answer, once, or as often as asked. */
void answer_and_close(cyg_conn *c, int nth);
void answer_always(cyg_conn *c, int nth);
/* The same, when the mark has come. */
void answer_whenever(cyg_conn *c, const char *mark);

#endif
