/* body.c: the bytes that come in on a connection, and message bodies among them; the same for requests and answers.
 * Relies on proto/http1.h for chunks. Nothing here decides about deadlines or what an error means.
 */
#include "http/internal.h"

#include <stdlib.h>

#define BODY_ROOM ((size_t)2048) /* behind a head: less than this is not worth a read */

static void move_to(struct http_rd *rd, char *area, size_t cap, size_t at) {
    size_t n = http_rd_left(rd);
    if (n > 0) memmove(area + at, rd->area + rd->pos, n);
    rd->area = area;
    rd->cap = cap;
    rd->pos = at;
    rd->end = at + n;
}

int http_rd_room_for_head_slow(struct http_rd *rd, size_t max_head) {
    if (rd->pos > 0) {
        move_to(rd, rd->area, rd->cap, 0);
        return 0;
    }
    size_t most = max_head + 1024; /* the parser refuses before this is full */
    if (rd->cap >= most) return CYG_ELIMIT;
    size_t cap = rd->cap * 4 < most ? rd->cap * 4 : most;
    char *big = malloc(cap);
    if (!big) return CYG_ENOMEM;
    char *old = rd->big;
    move_to(rd, big, cap, 0);
    rd->big = big;
    free(old);
    return 0;
}

int http_rd_room_for_body(struct http_rd *rd) {
    size_t floor = rd->area == rd->bulk ? 0 : rd->floor;
    bool more = rd->full || rd->cap - floor < BODY_ROOM;
    if (more && rd->area != rd->bulk && http_rd_left(rd) < HTTP_BULK_BYTES / 2 && !rd->bulk) {
        if ((rd->bulk = http_bulk_get()) != NULL) {
            move_to(rd, rd->bulk, HTTP_BULK_BYTES, 0);
            return 0;
        }
    }
    if (rd->pos == rd->end)
        rd->pos = rd->end = floor;
    else if (rd->end == rd->cap)
        move_to(rd, rd->area, rd->cap, floor);
    return rd->end < rd->cap ? 0 : CYG_ENOMEM;
}

ssize_t http_rd_fill(struct http_rd *rd, size_t limit) {
    size_t room = rd->cap - rd->end;
    if (room > limit) room = limit;
    ssize_t n = cyg_read(rd->c, rd->area + rd->end, room);
    if (CYG_UNLIKELY(n <= 0)) return n < 0 ? n : CYG_EOF;
    rd->end += (size_t)n;
    rd->full = rd->end == rd->cap;
    return n;
}

void http_rd_next_message(struct http_rd *rd) {
    rd->floor = 0;
    if (rd->pos == rd->end) {
        http_rd_free(rd);
        rd->pos = rd->end = 0;
        rd->full = false;
        return;
    }
    if (rd->area == rd->bulk) {
        move_to(rd, rd->home, rd->home_cap, 0); /* http_body_want saw to it that this fits */
        http_rd_free_slow(rd);
    }
}

void http_rd_free_slow(struct http_rd *rd) {
    if (rd->area != rd->home) {
        rd->area = rd->home;
        rd->cap = rd->home_cap;
    }
    if (rd->bulk) http_bulk_put(rd->bulk);
    free(rd->big);
    rd->bulk = rd->big = NULL;
}

/* ---- bodies ----------------------------------------------------------------------------------------------------- */

static __attribute__((noinline)) ssize_t take_chunk(struct http_body *b, struct http_rd *rd, cyg_str *piece) {
    for (;;) {
        size_t n = http_rd_left(rd), used = 0;
        if (n == 0) return 0;
        int r = cyg_h1_chunked_next(&b->chunked, rd->area + rd->pos, n, &used, piece);
        rd->pos += used;
        switch (r) {
        case CYG_H1_CHUNK_DATA:
            if (piece->n == 0) continue;
            b->got += piece->n;
            return (ssize_t)piece->n;
        case CYG_H1_CHUNK_END: b->done = true; return CYG_EOF;
        case CYG_H1_CHUNK_MORE: return 0;
        default: return CYG_EPROTO;
        }
    }
}

ssize_t http_body_take(struct http_body *b, struct http_rd *rd, cyg_str *piece) {
    if (b->done) return CYG_EOF;
    if (b->framing == CYG_H1_CHUNKED) return take_chunk(b, rd, piece);
    size_t n = http_rd_left(rd);
    if (n == 0) return 0;
    if (CYG_LIKELY(b->framing == CYG_H1_LENGTH)) {
        if ((uint64_t)b->left < n) n = (size_t)b->left;
        b->left -= (int64_t)n;
        b->done = b->left == 0;
    }
    *piece = (cyg_str){rd->area + rd->pos, n};
    rd->pos += n;
    b->got += n;
    return (ssize_t)n;
}

size_t http_body_want(const struct http_body *b, const struct http_rd *rd) {
    if (b->framing == CYG_H1_UNTIL_CLOSE) return SIZE_MAX;
    uint64_t left = b->framing == CYG_H1_LENGTH ? (uint64_t)b->left : b->chunked.left;
    uint64_t spare = rd->home_cap > http_rd_left(rd) ? rd->home_cap - http_rd_left(rd) : 1;
    return left < HTTP_BULK_BYTES ? (size_t)(left + spare) : HTTP_BULK_BYTES;
}

int http_body_at_eof(struct http_body *b) {
    if (b->framing != CYG_H1_UNTIL_CLOSE) return CYG_EPROTO;
    b->done = true;
    return CYG_EOF;
}
