/* protobuf.h: writes Protocol Buffers messages into memory that grows. Only what a writer needs: varints, bytes, nested
 * messages, packed numbers. A field is a number from the message's description; the caller knows the description.
 *
 *     struct cyg_pb b = {0};
 *     cyg_pb_uint(&b, 1, 42);
 *     size_t at = cyg_pb_begin(&b, 2);
 *     cyg_pb_text(&b, 1, "name");
 *     cyg_pb_end(&b, at);
 *     if (!b.failed) send(b.p, b.n);
 *     cyg_pb_free(&b);
 *
 * Out of memory sets `failed` and leaves what was written; nothing after it is kept. */
#ifndef CYG_PROTO_PROTOBUF_H
#define CYG_PROTO_PROTOBUF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct cyg_pb {
    unsigned char *p;
    size_t n, cap;
    bool failed;
};

/* A number; also bool, enum and int64 that is not negative or meant as two's complement. Zero is written too. */
void cyg_pb_uint(struct cyg_pb *b, unsigned field, uint64_t v);
void cyg_pb_bytes(struct cyg_pb *b, unsigned field, const void *p, size_t n);
void cyg_pb_text(struct cyg_pb *b, unsigned field, const char *s);
/* Numbers behind each other in one field ("packed"). None: nothing is written. */
void cyg_pb_packed(struct cyg_pb *b, unsigned field, const uint64_t *v, size_t n);
/* A message within the message: what is written between the two calls. Returns what end must be given. */
size_t cyg_pb_begin(struct cyg_pb *b, unsigned field);
void cyg_pb_end(struct cyg_pb *b, size_t at);
void cyg_pb_free(struct cyg_pb *b);

#endif
