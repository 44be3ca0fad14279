/* cases_response.c: response heads; all are refused with 502. Sources: RFC 9112 sections 4, 6.3, 9.3; RFC 9110 section 15. */
#include "cases.h"

#define OK "HTTP/1.1 200 OK\r\n"

/* One line of data a case. */
/* clang-format off */
static const struct http1_case cases[] = {
    /* ---- status line */
    ACCEPT("response with length", RESPONSE, OK "Content-Length: 2\r\n\r\nhi", "version=11 status=200 reason=OK body=length length=2 keep=1 head=38")
    ACCEPT("reason of several words", RESPONSE, "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n", "status=404 reason=Not%20Found length=0")
    ACCEPT("reason empty", RESPONSE, "HTTP/1.1 200 \r\nContent-Length: 0\r\n\r\n", "status=200 reason=")
    ACCEPT("reason absent, and its space", RESPONSE, "HTTP/1.1 200\r\nContent-Length: 0\r\n\r\n", "status=200 reason=")
    ACCEPT("reason above ascii", RESPONSE, "HTTP/1.1 200 \xe9t\xe9\r\nContent-Length: 0\r\n\r\n", "reason=%E9t%E9")
    ACCEPT("status nobody registered", RESPONSE, "HTTP/1.1 799 X\r\nContent-Length: 0\r\n\r\n", "status=799")
    REFUSE("empty line before a response", RESPONSE, "\r\n" OK "\r\n", 502, "bad_status_line")
    REFUSE("response of http/2", RESPONSE, "HTTP/2.0 200 OK\r\n\r\n", 502, "unsupported_version")
    REFUSE("response whose version is cut short", RESPONSE, "HTTP/2 200 OK\r\n\r\n", 502, "bad_status_line")
    REFUSE("icy instead of http", RESPONSE, "ICY 200 OK\r\n\r\n", 502, "bad_status_line")
    REFUSE("status of two digits", RESPONSE, "HTTP/1.1 20 OK\r\n\r\n", 502, "bad_status_line")
    REFUSE("status of four digits", RESPONSE, "HTTP/1.1 2000 OK\r\n\r\n", 502, "bad_status_line")
    REFUSE("status below 100", RESPONSE, "HTTP/1.1 099 X\r\n\r\n", 502, "bad_status_line")
    REFUSE("two spaces before status", RESPONSE, "HTTP/1.1  200 OK\r\n\r\n", 502, "bad_status_line")
    REFUSE("tab after status", RESPONSE, "HTTP/1.1 200\tOK\r\n\r\n", 502, "bad_status_line")
    REFUSE("bare lf after status", RESPONSE, "HTTP/1.1 200\n\r\n", 502, "bare_lf")
    REFUSE("bare lf after reason", RESPONSE, "HTTP/1.1 200 OK\n\r\n", 502, "bare_lf")
    REFUSE("bare cr in reason", RESPONSE, "HTTP/1.1 200 O\rK\r\n\r\n", 502, "bare_cr")
    REFUSE("nul in reason", RESPONSE, "HTTP/1.1 200 O\0K\r\n\r\n", 502, "bad_field_value")
    /* ---- fields */
    REFUSE("response with folded value", RESPONSE, OK "X: 1\r\n 2\r\n\r\n", 502, "obs_fold")
    REFUSE("response with space before colon", RESPONSE, OK "X : 1\r\n\r\n", 502, "space_before_colon")
    REFUSE("response with space first", RESPONSE, OK " X: 1\r\n\r\n", 502, "space_before_fields")
    REFUSE("response with bare lf", RESPONSE, OK "X: 1\n\r\n", 502, "bare_lf")
    REFUSE("response with nul", RESPONSE, OK "X: \0\r\n\r\n", 502, "bad_field_value")
    REFUSE("response with many fields", RESPONSE, OK "1:\r\n2:\r\n3:\r\n4:\r\n5:\r\n6:\r\n7:\r\n8:\r\n9:\r\n\r\n", 502, "too_many_fields")
    REFUSE("response head too large", RESPONSE, OK "X: " A512, 502, "head_too_large")
    ACCEPT("host in a response means nothing", RESPONSE, OK "Host: a b\r\nHost: c\r\nContent-Length: 0\r\n\r\n", "fields=3 length=0")
    ACCEPT("expect in a response means nothing", RESPONSE, OK "Expect: x\r\nContent-Length: 0\r\n\r\n", "continue=0")
    /* ---- framing */
    ACCEPT("response until close", RESPONSE, OK "\r\n", "body=close length=-1 keep=0")
    ACCEPT("response until close though keep-alive", RESPONSE, OK "Connection: keep-alive\r\n\r\n", "body=close keep=0")
    ACCEPT("http/1.0 response", RESPONSE, "HTTP/1.0 200 OK\r\n\r\n", "version=10 body=close keep=0")
    ACCEPT("http/1.0 response kept alive", RESPONSE, "HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 1\r\n\r\n", "body=length keep=1")
    ACCEPT("response that closes", RESPONSE, OK "Connection: close\r\nContent-Length: 1\r\n\r\n", "body=length keep=0")
    ACCEPT("response chunked", RESPONSE, OK "Transfer-Encoding: chunked\r\n\r\n", "body=chunked length=-1 keep=1")
    REFUSE("response with length and coding", RESPONSE, OK "Transfer-Encoding: chunked\r\nContent-Length: 1\r\n\r\n", 502, "content_length_and_transfer_encoding")
    REFUSE("http/1.0 response with coding", RESPONSE, "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", 502, "transfer_encoding_in_http10")
    REFUSE("response with gzip coding", RESPONSE, OK "Transfer-Encoding: gzip, chunked\r\n\r\n", 502, "unsupported_transfer_coding")
    REFUSE("response with coding after chunked", RESPONSE, OK "Transfer-Encoding: chunked, gzip\r\n\r\n", 502, "bad_transfer_encoding")
    REFUSE("response with chunked twice", RESPONSE, OK "Transfer-Encoding: chunked, chunked\r\n\r\n", 502, "bad_transfer_encoding")
    REFUSE("response with two lengths", RESPONSE, OK "Content-Length: 1\r\nContent-Length: 2\r\n\r\n", 502, "duplicate_content_length")
    REFUSE("response with bad length", RESPONSE, OK "Content-Length: 1x\r\n\r\n", 502, "bad_content_length")
    /* ---- no body, whatever they say */
    ACCEPT("204 without body", RESPONSE, "HTTP/1.1 204 No Content\r\n\r\n", "body=none length=0 keep=1")
    ACCEPT("204 with length", RESPONSE, "HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\n", "body=none length=0")
    ACCEPT("204 with coding", RESPONSE, "HTTP/1.1 204 No Content\r\nTransfer-Encoding: chunked\r\n\r\n", "body=none")
    ACCEPT("304 with length", RESPONSE, "HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n", "body=none length=0 Content-Length:5 keep=1")
    ACCEPT("304 without length", RESPONSE, "HTTP/1.1 304 Not Modified\r\n\r\n", "body=none keep=1")
    REFUSE("304 with bad length", RESPONSE, "HTTP/1.1 304 Not Modified\r\nContent-Length: -1\r\n\r\n", 502, "bad_content_length")
    ACCEPT("100 continue", RESPONSE, "HTTP/1.1 100 Continue\r\n\r\n" OK, "status=100 body=none head=25 keep=1")
    ACCEPT("103 with length", RESPONSE, "HTTP/1.1 103 Early Hints\r\nContent-Length: 5\r\n\r\n", "body=none")
    ACCEPT("101 with upgrade", RESPONSE, "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n", "body=none upgrade=1 keep=1")
    ACCEPT("answer to head with length", RESPONSE_HEAD, OK "Content-Length: 5\r\n\r\n", "body=none length=0 keep=1 Content-Length:5")
    ACCEPT("answer to head, chunked", RESPONSE_HEAD, OK "Transfer-Encoding: chunked\r\n\r\n", "body=none")
    ACCEPT("answer to head without either", RESPONSE_HEAD, OK "\r\n", "body=none keep=1")
    ACCEPT("connect granted", RESPONSE_CONNECT, "HTTP/1.1 200 Connection established\r\n\r\n", "body=none keep=1")
    ACCEPT("connect granted, length ignored", RESPONSE_CONNECT, OK "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n", "body=none length=0")
    ACCEPT("connect refused", RESPONSE_CONNECT, "HTTP/1.1 407 X\r\nContent-Length: 5\r\n\r\n", "body=length length=5")
    PARTIAL("half a status line", RESPONSE, "HTTP/1.1 20")
    PARTIAL("status without what follows", RESPONSE, "HTTP/1.1 200")
    PARTIAL("half a reason", RESPONSE, "HTTP/1.1 200 O")
};

const struct http1_cases http1_response_cases = {cases, sizeof cases / sizeof cases[0]};
