/* http1_reason.h: every way in which a head or a chunked body is refused, in one list. The word stands in logs, in the metric's
 * label and in the answer; the status is that for a request (a refused response is always 502). Documentation is made from
 * this list: X(symbol, word, status, what it means).
 */
#ifndef CYG_PROTO_HTTP1_REASON_H
#define CYG_PROTO_HTTP1_REASON_H

#define CYG_H1_REASONS(X)                                                                                          \
    X(BAD_METHOD, "bad_method", 400, "the method is not a token")                                                  \
    X(LONG_METHOD, "long_method", 501, "a method of more than 32 bytes: none that is known")                       \
    X(BAD_REQUEST_LINE, "bad_request_line", 400, "not method SP target SP version CRLF")                           \
    X(BAD_TARGET, "bad_target", 400, "a target in none of the four forms, or holding a byte that it may not")      \
    X(FRAGMENT, "fragment_in_target", 400, "the target holds '#'")                                                 \
    X(ASTERISK, "asterisk_not_options", 400, "target * with a method other than OPTIONS")                          \
    X(AUTHORITY_FORM, "bad_connect_target", 400, "CONNECT wants host:port, and only CONNECT may have it")          \
    X(LONG_TARGET, "long_target", 414, "the target is longer than the limit")                                      \
    X(BAD_VERSION, "bad_version", 400, "HTTP/ without digit, dot, digit")                                          \
    X(VERSION, "unsupported_version", 505, "a major version other than 1")                                         \
    X(BAD_STATUS_LINE, "bad_status_line", 502, "not version SP three digits [SP reason] CRLF")                     \
    X(BARE_LF, "bare_lf", 400, "a line ended by LF without CR")                                                    \
    X(BARE_CR, "bare_cr", 400, "CR not followed by LF")                                                            \
    X(SPACE_FIRST, "space_before_fields", 400, "whitespace before the first field")                                \
    X(OBS_FOLD, "obs_fold", 400, "a field value continued on a further line")                                      \
    X(BAD_NAME, "bad_field_name", 400, "a field name is not a token")                                              \
    X(SPACE_COLON, "space_before_colon", 400, "whitespace between field name and colon")                           \
    X(BAD_VALUE, "bad_field_value", 400, "a control byte in a field value or reason phrase")                       \
    X(LONG_HEAD, "head_too_large", 431, "the head is longer than the limit")                                       \
    X(FIELDS, "too_many_fields", 431, "more fields than the limit")                                                \
    X(NO_HOST, "missing_host", 400, "HTTP/1.1 without Host")                                                       \
    X(TWO_HOSTS, "duplicate_host", 400, "more than one Host")                                                      \
    X(BAD_HOST, "bad_host", 400, "Host, or the target's authority, is not host[:port]")                            \
    X(BAD_LENGTH, "bad_content_length", 400, "Content-Length is not a decimal number below 2^63")                  \
    X(TWO_LENGTHS, "duplicate_content_length", 400, "more than one Content-Length")                                \
    X(LENGTH_AND_CODING, "content_length_and_transfer_encoding", 400, "both ways of framing at once")              \
    X(CODING_HTTP10, "transfer_encoding_in_http10", 400, "Transfer-Encoding in an HTTP/1.0 message")               \
    X(BAD_CODING, "bad_transfer_encoding", 400, "the list of codings is malformed, or chunked is not its one end") \
    X(CODING, "unsupported_transfer_coding", 501, "a coding other than chunked")                                   \
    X(EXPECT, "unsupported_expectation", 417, "Expect other than 100-continue")                                    \
    X(CHUNK_SIZE, "bad_chunk_size", 400, "a chunk size is not 1 to 16 hex digits, or not below 2^63")              \
    X(CHUNK_EXT, "bad_chunk_extension", 400, "a byte that no chunk extension may hold")                            \
    X(CHUNK_EXT_LONG, "long_chunk_extension", 400, "chunk extensions longer than the limit a line or a body")      \
    X(CHUNK_END, "bad_chunk_end", 400, "chunk data is not followed by CRLF")                                       \
    X(BAD_TRAILER, "bad_trailer", 400, "a trailer line is not a field")                                            \
    X(LONG_TRAILER, "trailer_too_large", 400, "trailers longer than the limit")

#define CYG_H1_REASON_ENUM(symbol, word, status, text) CYG_H1_R_##symbol,
enum cyg_h1_reason { CYG_H1_REASONS(CYG_H1_REASON_ENUM) CYG_H1_R_COUNT };
#undef CYG_H1_REASON_ENUM

struct cyg_h1_reason_row {
    const char *word;
    int status;
    const char *text;
};
extern const struct cyg_h1_reason_row cyg_h1_reasons[CYG_H1_R_COUNT];

#endif
