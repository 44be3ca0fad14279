/* http1_chunked.c: the chunked transfer coding, decoded byte for byte as strictly as RFC 9112 section 7.1 writes it: every
 * leniency here (bare LF, spaces beside the size, "0x") has been somebody's request smuggling. Extensions and trailers are
 * checked, bounded and dropped.
 */
#include "proto/http1_internal.h"
#include "proto/http1_scan.h"

enum {
    SIZE_DIGITS_MAX = 16,
    EXT_LINE_MAX = 1024,
    EXT_BODY_MAX = 16 * 1024,
    TRAILER_MAX = 8 * 1024,
};

enum step {
    STEP_SIZE,
    STEP_EXT,
    STEP_SIZE_LF,
    STEP_DATA,
    STEP_DATA_CR,
    STEP_DATA_LF,
    STEP_TRAILER, /* at a line's first byte */
    STEP_TRAILER_NAME,
    STEP_TRAILER_VALUE,
    STEP_TRAILER_LF,
    STEP_END_LF,
    STEP_END,
    STEP_FAILED,
};

void cyg_h1_chunked_init(struct cyg_h1_chunked *c) { *c = (struct cyg_h1_chunked){0}; }

static CYG_COLD int fail(struct cyg_h1_chunked *c, enum cyg_h1_reason why) {
    c->error = cyg_h1_reasons[why].word;
    c->state = STEP_FAILED;
    return CYG_H1_CHUNK_ERROR;
}

static int hex_digit(char c) {
    if (c >= '0' && c <= '9') return c - '0';
    char lower = (char)(c | 0x20);
    return lower >= 'a' && lower <= 'f' ? lower - 'a' + 10 : -1;
}

/* One byte of a size line; line_bytes counts its digits, then its extension. Returns: 0 or CYG_H1_CHUNK_ERROR. */
static int size_byte(struct cyg_h1_chunked *c, char b) {
    int digit = hex_digit(b);
    if (digit >= 0) {
        if (++c->line_bytes > SIZE_DIGITS_MAX || c->left > (uint64_t)INT64_MAX >> 4)
            return fail(c, CYG_H1_R_CHUNK_SIZE);
        c->left = c->left << 4 | (unsigned)digit;
        return 0;
    }
    if (c->line_bytes == 0 || (b != '\r' && b != ';'))
        return fail(c, b == '\n' ? CYG_H1_R_BARE_LF : CYG_H1_R_CHUNK_SIZE);
    c->line_bytes = 0;
    c->state = b == '\r' ? STEP_SIZE_LF : STEP_EXT;
    return 0;
}

static int ext_byte(struct cyg_h1_chunked *c, char b) {
    if (b == '\r') {
        c->state = STEP_SIZE_LF;
        return 0;
    }
    if (!cyg_h1_is(b, CYG_H1_VALUE)) return fail(c, b == '\n' ? CYG_H1_R_BARE_LF : CYG_H1_R_CHUNK_EXT);
    if (++c->line_bytes > EXT_LINE_MAX || ++c->ext_bytes > EXT_BODY_MAX) return fail(c, CYG_H1_R_CHUNK_EXT_LONG);
    return 0;
}

/* A byte between chunks, where one fixed byte is right. */
static int fixed_byte(struct cyg_h1_chunked *c, char b, char right, int next, enum cyg_h1_reason otherwise) {
    if (b != right) return fail(c, otherwise);
    c->state = next;
    c->line_bytes = 0;
    return 0;
}

static int trailer_byte(struct cyg_h1_chunked *c, char b) {
    if (++c->trailer_bytes > TRAILER_MAX) return fail(c, CYG_H1_R_LONG_TRAILER);
    switch (c->state) {
    case STEP_TRAILER:
        if (b == '\r')
            c->state = STEP_END_LF;
        else if (cyg_h1_is(b, CYG_H1_TOKEN))
            c->state = STEP_TRAILER_NAME;
        else
            return fail(c, b == '\n' ? CYG_H1_R_BARE_LF : CYG_H1_R_BAD_TRAILER);
        return 0;
    case STEP_TRAILER_NAME:
        if (b == ':')
            c->state = STEP_TRAILER_VALUE;
        else if (!cyg_h1_is(b, CYG_H1_TOKEN))
            return fail(c, CYG_H1_R_BAD_TRAILER);
        return 0;
    case STEP_TRAILER_VALUE:
        if (b == '\r')
            c->state = STEP_TRAILER_LF;
        else if (!cyg_h1_is(b, CYG_H1_VALUE))
            return fail(c, b == '\n' ? CYG_H1_R_BARE_LF : CYG_H1_R_BAD_TRAILER);
        return 0;
    case STEP_TRAILER_LF: return fixed_byte(c, b, '\n', STEP_TRAILER, CYG_H1_R_BARE_CR);
    default: return fixed_byte(c, b, '\n', STEP_END, CYG_H1_R_BARE_CR);
    }
}

static int line_byte(struct cyg_h1_chunked *c, char b) {
    switch (c->state) {
    case STEP_SIZE: return size_byte(c, b);
    case STEP_EXT: return ext_byte(c, b);
    case STEP_SIZE_LF: return fixed_byte(c, b, '\n', c->left ? STEP_DATA : STEP_TRAILER, CYG_H1_R_BARE_CR);
    case STEP_DATA_CR: return fixed_byte(c, b, '\r', STEP_DATA_LF, CYG_H1_R_CHUNK_END);
    case STEP_DATA_LF: return fixed_byte(c, b, '\n', STEP_SIZE, CYG_H1_R_CHUNK_END);
    default: return trailer_byte(c, b);
    }
}

int cyg_h1_chunked_next(struct cyg_h1_chunked *c, const char *in, size_t n, size_t *used, cyg_str *data) {
    size_t i = 0;
    int rc = CYG_H1_CHUNK_MORE;
    *used = 0;
    if (c->state == STEP_FAILED) return CYG_H1_CHUNK_ERROR;
    while (c->state != STEP_END && i < n) {
        if (c->state == STEP_DATA) {
            size_t piece = n - i < c->left ? n - i : (size_t)c->left;
            *data = (cyg_str){in + i, piece};
            i += piece;
            c->left -= piece;
            if (c->left == 0) c->state = STEP_DATA_CR;
            rc = CYG_H1_CHUNK_DATA;
            break;
        }
        if ((rc = line_byte(c, in[i])) < 0) break;
        i++;
    }
    *used = i;
    return rc == CYG_H1_CHUNK_MORE && c->state == STEP_END ? CYG_H1_CHUNK_END : rc;
}

size_t cyg_h1_chunk_header(char *out, uint64_t n) {
    size_t digits = 1;
    for (uint64_t rest = n >> 4; rest; rest >>= 4) digits++;
    for (size_t i = digits; i-- > 0; n >>= 4) out[i] = "0123456789abcdef"[n & 15];
    out[digits] = '\r';
    out[digits + 1] = '\n';
    return digits + 2;
}
