/* cases_v2.c: the binary header. Source: proxy-protocol.txt section 2.2. */
#include "cases.h"

#define MARK "\r\n\r\n\0\r\nQUIT\n"
#define V4 "\xc0\x00\x02\x01\xc0\x00\x02\x02\xdc\x04\x01\xbb"
#define IP6 "\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x01"
#define V6 IP6 IP6 "\xdc\x04\x01\xbb"
#define Z8 "\0\0\0\0\0\0\0\0"
#define Z100 Z8 Z8 Z8 Z8 Z8 Z8 Z8 Z8 Z8 Z8 Z8 Z8 "\0\0\0\0"
#define A10 "aaaaaaaaaa"
#define A108 A10 A10 A10 A10 A10 A10 A10 A10 A10 A10 "aaaaaaaa"
#define FACTS4 "src=192.0.2.1:56324 dst=192.0.2.2:443"

/* One line of data a case. */
/* clang-format off */
static const struct proxy_case cases[] = {
    ACCEPT("v2 tcp over ipv4", MARK "\x21\x11\0\x0c" V4, "v=2 " FACTS4 " bytes=28")
    ACCEPT("v2 what follows is left alone", MARK "\x21\x11\0\x0c" V4 "GET /", "v=2 " FACTS4 " bytes=28")
    ACCEPT("v2 udp over ipv4", MARK "\x21\x12\0\x0c" V4, "v=2 dgram " FACTS4 " bytes=28")
    ACCEPT("v2 tcp over ipv6", MARK "\x21\x21\0\x24" V6, "v=2 src=[2001:db8::1]:56324 dst=[2001:db8::1]:443 bytes=52")
    ACCEPT("v2 udp over ipv6", MARK "\x21\x22\0\x24" V6, "v=2 dgram src=[2001:db8::1]:56324 dst=[2001:db8::1]:443 bytes=52")
    ACCEPT("v2 unix stream", MARK "\x21\x31\0\xd8" "/tmp/abc" Z100 "/b\0not this" Z8 Z8 Z8 Z8 Z8 Z8 Z8 Z8 Z8 Z8 Z8 Z8 "\0", "v=2 src=/tmp/abc dst=/b bytes=232")
    ACCEPT("v2 unix abstract", MARK "\x21\x31\0\xd8" "\0tmpabc\0" Z100 Z8 Z100, "v=2 src=%00tmpabc dst= bytes=232")
    ACCEPT("v2 unix paths without an end", MARK "\x21\x32\0\xd8" A108 A108, "v=2 dgram src=" A108 " dst=" A108 " bytes=232")
    ACCEPT("v2 local without block", MARK "\x20\x00\0\0", "v=2 local bytes=16")
    ACCEPT("v2 local with a block", MARK "\x20\x11\0\x0c" V4, "v=2 local bytes=28")
    ACCEPT("v2 local of a family unheard of", MARK "\x20\xff\0\x02" "ab", "v=2 local bytes=18")
    ACCEPT("v2 unspecified family", MARK "\x21\x00\0\0", "v=2 local bytes=16")
    ACCEPT("v2 unspecified family, block skipped", MARK "\x21\x00\0\x05" "abcde", "v=2 local bytes=21")
    ACCEPT("v2 tlvs", MARK "\x21\x11\0\x1d" V4 "\x02\0\x03" "a.b" "\x04\0\0" "\xe1\0\x05" "12345", "v=2 " FACTS4 " tlvs=02:3,04:0,e1:5 bytes=45")
    ACCEPT("v2 unique id of 128 bytes", MARK "\x21\x11\0\x8f" V4 "\x05\0\x80" A108 A10 A10, "v=2 " FACTS4 " tlvs=05:128 bytes=159")
    ACCEPT("v2 sum", MARK "\x21\x11\0\x13" V4 "\x03\0\x04\xd6\xc8\xc7\x5f", "v=2 " FACTS4 " tlvs=03:4 bytes=35")
    ACCEPT("v2 sum among others", MARK "\x21\x11\0\x1e" V4 "\x02\0\x03" "a.b" "\x03\0\x04\xd9\x67\xfe\x30" "\x04\0\x02\0\0", "v=2 " FACTS4 " tlvs=02:3,03:4,04:2 bytes=46")
    PARTIAL("v2 one byte", "\r")
    PARTIAL("v2 half the mark", "\r\n\r\n\0\r")
    PARTIAL("v2 mark alone", MARK)
    PARTIAL("v2 before the length's second byte", MARK "\x21\x11\0")
    PARTIAL("v2 half the block", MARK "\x21\x11\0\x0c\xc0\x00\x02")
    PARTIAL("v2 before the last byte", MARK "\x21\x11\0\x0d" V4)
    REFUSE("v2 mark with another byte", "\r\n\r\n\0\r\nQUIX\n\x21\x11\0\x0c" V4, "no_proxy_header")
    REFUSE("v2 empty lines", "\r\n\r\nGET / HTTP/1.1\r\n", "no_proxy_header")
    REFUSE("v2 version 1", MARK "\x11\x11\0\x0c" V4, "bad_version")
    REFUSE("v2 version 3", MARK "\x31\x11\0\x0c" V4, "bad_version")
    REFUSE("v2 command 2", MARK "\x22\x11\0\x0c" V4, "bad_command")
    REFUSE("v2 command 15", MARK "\x2f\x11\0\x0c" V4, "bad_command")
    REFUSE("v2 family 4", MARK "\x21\x41\0\x0c" V4, "bad_family")
    REFUSE("v2 transport 3", MARK "\x21\x13\0\x0c" V4, "bad_family")
    REFUSE("v2 ipv4 without transport", MARK "\x21\x10\0\x0c" V4, "bad_family")
    REFUSE("v2 stream without family", MARK "\x21\x01\0\x0c" V4, "bad_family")
    REFUSE("v2 ipv4 block too short", MARK "\x21\x11\0\x0b" V4, "short_addresses")
    REFUSE("v2 ipv4 block of nothing", MARK "\x21\x11\0\0", "short_addresses")
    REFUSE("v2 ipv6 with an ipv4 block", MARK "\x21\x21\0\x0c" V4, "short_addresses")
    REFUSE("v2 unix block too short", MARK "\x21\x31\0\xd7", "short_addresses")
    REFUSE("v2 longer than is taken", MARK "\x21\x11\x0f\xf1" V4, "too_long")
    REFUSE("v2 local longer than is taken", MARK "\x20\x00\xff\xff", "too_long")
    REFUSE("v2 one byte behind the block", MARK "\x21\x11\0\x0d" V4 "\x04", "bad_tlv")
    REFUSE("v2 tlv beyond the header", MARK "\x21\x11\0\x10" V4 "\x04\0\x02" "a" "b", "bad_tlv")
    REFUSE("v2 unique id of 129 bytes", MARK "\x21\x11\0\x90" V4 "\x05\0\x81" A108 A10 A10 "b", "bad_tlv")
    REFUSE("v2 sum of three bytes", MARK "\x21\x11\0\x12" V4 "\x03\0\x03\xd6\xc8\xc7", "bad_tlv")
    REFUSE("v2 wrong sum", MARK "\x21\x11\0\x13" V4 "\x03\0\x04\xd6\xc8\xc7\x5e", "bad_sum")
    REFUSE("v2 right sum of another address", MARK "\x21\x11\0\x13" "\xc0\x00\x02\x03\xc0\x00\x02\x02\xdc\x04\x01\xbb" "\x03\0\x04\xd6\xc8\xc7\x5f", "bad_sum")
};

const struct proxy_cases proxy_v2_cases = {cases, sizeof cases / sizeof cases[0]};
