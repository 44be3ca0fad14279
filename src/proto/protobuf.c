/* protobuf.c: see protobuf.h. Source: protobuf.dev/programming-guides/encoding. */
#include "proto/protobuf.h"

#include <stdlib.h>
#include <string.h>

enum { VARINT = 0, LENGTH = 2 };
#define VARINT_MAX 10

static unsigned char *room(struct cyg_pb *b, size_t n) {
    if (b->failed) return NULL;
    if (n > b->cap - b->n) {
        size_t cap = b->cap ? b->cap : 256;
        while (cap - b->n < n && cap < SIZE_MAX / 4) cap *= 2;
        unsigned char *p = cap - b->n < n ? NULL : realloc(b->p, cap);
        if (!p) {
            b->failed = true;
            return NULL;
        }
        b->p = p;
        b->cap = cap;
    }
    return b->p + b->n;
}

static size_t encode(unsigned char *p, uint64_t v) {
    size_t n = 0;
    for (; v >= 0x80; v >>= 7) p[n++] = (unsigned char)(v | 0x80);
    p[n++] = (unsigned char)v;
    return n;
}

static void varint(struct cyg_pb *b, uint64_t v) {
    unsigned char *p = room(b, VARINT_MAX);
    if (p) b->n += encode(p, v);
}

static void tag(struct cyg_pb *b, unsigned field, unsigned type) { varint(b, (uint64_t)field << 3 | type); }

void cyg_pb_uint(struct cyg_pb *b, unsigned field, uint64_t v) {
    tag(b, field, VARINT);
    varint(b, v);
}

void cyg_pb_bytes(struct cyg_pb *b, unsigned field, const void *s, size_t n) {
    tag(b, field, LENGTH);
    varint(b, n);
    unsigned char *p = room(b, n);
    if (!p || !n) return;
    memcpy(p, s, n);
    b->n += n;
}

void cyg_pb_text(struct cyg_pb *b, unsigned field, const char *s) { cyg_pb_bytes(b, field, s, strlen(s)); }

void cyg_pb_packed(struct cyg_pb *b, unsigned field, const uint64_t *v, size_t n) {
    if (!n) return;
    size_t at = cyg_pb_begin(b, field);
    for (size_t i = 0; i < n; i++) varint(b, v[i]);
    cyg_pb_end(b, at);
}

size_t cyg_pb_begin(struct cyg_pb *b, unsigned field) {
    tag(b, field, LENGTH);
    return b->n;
}

/* The length goes in front of what was written, which moves up by the few bytes that takes. */
void cyg_pb_end(struct cyg_pb *b, size_t at) {
    unsigned char len[VARINT_MAX];
    if (b->failed) return;
    size_t body = b->n - at, n = encode(len, body);
    if (!room(b, n)) return;
    memmove(b->p + at + n, b->p + at, body);
    memcpy(b->p + at, len, n);
    b->n += n;
}

void cyg_pb_free(struct cyg_pb *b) {
    free(b->p);
    *b = (struct cyg_pb){0};
}
