/* bad_values.c: values that cannot be read or are out of bounds, and what only shows when keys are seen together. Each with
 * the problems it must give, one a line.
 */
#include "bad.h"

// clang-format off
const struct bad_document bad_values[] = {
    /* numbers and words */
    {"duration in words", DOC(V ROUTES("{name: r, cluster: c, timeout: 2 sekunds}\n") C),
     "t.yaml:3:32: listeners[0].routes[0].timeout: found \"2 sekunds\", expected a duration such as 500ms, 2s or 1m30s"},
    {"duration without a unit", DOC(V ROUTES("{name: r, cluster: c, timeout: 2}\n") C),
     "t.yaml:3:32: listeners[0].routes[0].timeout: found \"2\", expected a duration such as 500ms, 2s or 1m30s"},
    {"negative duration", DOC(V ROUTES("{name: r, cluster: c, timeout: -1s}\n") C),
     "t.yaml:3:32: listeners[0].routes[0].timeout: found \"-1s\", expected a duration such as 500ms, 2s or 1m30s"},
    {"no duration", DOC(V ROUTES("{name: r, cluster: c, timeout: ''}\n") C),
     "t.yaml:3:32: listeners[0].routes[0].timeout: found \"\", expected a duration such as 500ms, 2s or 1m30s"},
    {"duration of nothing", DOC(V ROUTES("{name: r, cluster: c, timeout: 0s}\n") C),
     "t.yaml:3:32: listeners[0].routes[0].timeout: found \"0s\", expected a duration from 1ms to 24h"},
    {"duration out of order", DOC(V ROUTES("{name: r, cluster: c, timeout: 30s1m}\n") C),
     "t.yaml:3:32: listeners[0].routes[0].timeout: found \"30s1m\", expected a duration such as 500ms, 2s or 1m30s"},
    {"duration in days", DOC(V ROUTES("{name: r, cluster: c, timeout: 1d}\n") C),
     "t.yaml:3:32: listeners[0].routes[0].timeout: found \"1d\", expected a duration such as 500ms, 2s or 1m30s"},
    {"duration too long", DOC(V ROUTES("{name: r, cluster: c, timeout: 24h1s}\n") C),
     "t.yaml:3:32: listeners[0].routes[0].timeout: found \"24h1s\", expected a duration from 1ms to 24h"},
    {"duration beyond numbers", DOC(V ROUTES("{name: r, cluster: c, timeout: 99999999999999999999h}\n") C),
     "t.yaml:3:32: listeners[0].routes[0].timeout: found \"99999999999999999999h\", expected a duration such as 500ms, 2s or 1m30s"},
    {"timeouts out of bounds", DOC(V LISTENER("    timeouts: {head: 2h, idle: 25h, body: 999us, write: 61m}\n") C),
     "t.yaml:6:22: listeners[0].timeouts.head: found \"2h\", expected a duration from 1ms to 1h\n"
     "t.yaml:6:32: listeners[0].timeouts.idle: found \"25h\", expected a duration from 1ms to 24h\n"
     "t.yaml:6:43: listeners[0].timeouts.body: found \"999us\", expected a duration from 1ms to 1h\n"
     "t.yaml:6:57: listeners[0].timeouts.write: found \"61m\", expected a duration from 1ms to 1h"},
    {"limits out of bounds", DOC(V LISTENER("    limits: {max_head_bytes: 1000, max_fields: 257, max_body_bytes: 2000GiB, max_connections: 0}\n") C),
     "t.yaml:6:30: listeners[0].limits.max_head_bytes: found \"1000\", expected a size from 1KiB to 1MiB\n"
     "t.yaml:6:48: listeners[0].limits.max_fields: found \"257\", expected a count from 1 to 256\n"
     "t.yaml:6:69: listeners[0].limits.max_body_bytes: found \"2000GiB\", expected a size from 0 to 1024GiB\n"
     "t.yaml:6:95: listeners[0].limits.max_connections: found \"0\", expected a count from 1 to 10000000"},
    {"size with an unknown unit", DOC(V LISTENER("    limits: {max_head_bytes: 64kb}\n") C),
     "t.yaml:6:30: listeners[0].limits.max_head_bytes: found \"64kb\", expected a size such as 8192, 64KiB or 1MB"},
    {"size with a fraction", DOC(V LISTENER("    limits: {max_head_bytes: 1.5KiB}\n") C),
     "t.yaml:6:30: listeners[0].limits.max_head_bytes: found \"1.5KiB\", expected a size such as 8192, 64KiB or 1MB"},
    {"negative size", DOC(V LISTENER("    limits: {max_body_bytes: -1}\n") C),
     "t.yaml:6:30: listeners[0].limits.max_body_bytes: found \"-1\", expected a size such as 8192, 64KiB or 1MB"},
    {"count with a unit", DOC(V LISTENER("    limits: {max_fields: 100KiB}\n") C),
     "t.yaml:6:26: listeners[0].limits.max_fields: found \"100KiB\", expected a whole number"},
    {"count with a zero in front", DOC(V LISTENER("    limits: {max_fields: 0100}\n") C),
     "t.yaml:6:26: listeners[0].limits.max_fields: found \"0100\", expected a whole number"},
    {"count in hexadecimal", DOC(V LISTENER("    limits: {max_fields: 0x10}\n") C),
     "t.yaml:6:26: listeners[0].limits.max_fields: found \"0x10\", expected a whole number"},
    {"pool out of bounds", DOC(V L CLUSTER("    connect_timeout: 6m\n" "    pool: {max_connections: 0, max_idle: 0, max_waiters: 2000000, idle_timeout: 0s}\n")),
     "t.yaml:6:22: clusters[0].connect_timeout: found \"6m\", expected a duration from 1ms to 5m\n"
     "t.yaml:7:29: clusters[0].pool.max_connections: found \"0\", expected a count from 1 to 1000000\n"
     "t.yaml:7:42: clusters[0].pool.max_idle: found \"0\", expected a count from 1 to 1000000\n"
     "t.yaml:7:58: clusters[0].pool.max_waiters: found \"2000000\", expected a count from 1 to 1000000\n"
     "t.yaml:7:81: clusters[0].pool.idle_timeout: found \"0s\", expected a duration from 1ms to 24h"},
    {"more idle than open", DOC(V L CLUSTER("    pool: {max_connections: 10, max_idle: 11}\n")),
     "t.yaml:6:43: clusters[0].pool.max_idle: found \"11\", expected at most max_connections, which is 10"},
    {"more idle than open by default", DOC(V L CLUSTER("    pool: {max_idle: 2000}\n")),
     "t.yaml:6:22: clusters[0].pool.max_idle: found \"2000\", expected at most max_connections, which is 1024"},
    {"pool's waiting and life out of bounds", DOC(V L CLUSTER("    pool: {min_idle: 1000001, wait_timeout: 2h, max_life: 0s}\n")),
     "t.yaml:6:22: clusters[0].pool.min_idle: found \"1000001\", expected a count from 0 to 1000000\n"
     "t.yaml:6:45: clusters[0].pool.wait_timeout: found \"2h\", expected a duration from 1ms to 1h\n"
     "t.yaml:6:59: clusters[0].pool.max_life: found \"0s\", expected a duration from 1ms to 720h"},
    {"more kept ready than may be idle", DOC(V L CLUSTER("    pool: {max_idle: 5, min_idle: 6}\n")),
     "t.yaml:6:35: clusters[0].pool.min_idle: found \"6\", expected at most max_idle, which is 5"},
    {"access log out of bounds", DOC(V L C "access_log: {path: '', buffer_bytes: 1KiB, flush_interval: 2m}\n"),
     "t.yaml:4:20: access_log.path: found \"\", expected stdout, stderr, off or the path of a file\n"
     "t.yaml:4:38: access_log.buffer_bytes: found \"1KiB\", expected a size from 4KiB to 64MiB\n"
     "t.yaml:4:60: access_log.flush_interval: found \"2m\", expected a duration from 1ms to 1m"},
    {"drain out of bounds", DOC(V L C "drain: {timeout: 0ms}\n"),
     "t.yaml:4:18: drain.timeout: found \"0ms\", expected a duration from 1ms to 1h"},
    {"version with a space", DOC("version: v 1\n" L C),
     "t.yaml:1:10: version: found \"v 1\", expected a label of letters, digits and ._:+/@-, such as \"2026-11-23.1\""},
    {"empty version", DOC("version: ''\n" L C),
     "t.yaml:1:10: version: found \"\", expected a label of letters, digits and ._:+/@-, such as \"2026-11-23.1\""},
    {"version too long", DOC("version: vvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvv\n" L C),
     "t.yaml:1:10: version: found \"vvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvv...\", expected a label of at most 128 characters"},
    {"name with a slash", DOC(V "listeners: [{name: a/b, address: ':80', routes: [{name: r, cluster: c}]}]\n" C),
     "t.yaml:2:20: listeners[0].name: found \"a/b\", expected a name of letters, digits and _.-, such as orders"},
    {"name that begins with a dash", DOC(V L "clusters: [{name: -c, endpoints: ['127.0.0.1:1']}]\n"),
     "t.yaml:2:69: listeners[0].routes[0].cluster: found \"c\", expected the name of a cluster; there is no such one\n"
     "t.yaml:3:19: clusters[0].name: found \"-c\", expected a name of letters, digits and _.-, such as orders"},
    {"name too long", DOC(V "listeners: [{name: nnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnn, address: ':80', routes: [{name: r, cluster: c}]}]\n" C),
     "t.yaml:2:20: listeners[0].name: found \"nnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnn...\", expected a name of at most 64 characters"},
    /* addresses, hosts, paths */
    {"address without a port", DOC(V "listeners: [{name: web, address: 127.0.0.1, routes: [{name: r, cluster: c}]}]\n" C),
     "t.yaml:2:34: listeners[0].address: found \"127.0.0.1\", expected an address such as \":8080\", \"127.0.0.1:8080\" or \"unix:/run/cygnet.sock\""},
    {"port too large", DOC(V "listeners: [{name: web, address: ':65536', routes: [{name: r, cluster: c}]}]\n" C),
     "t.yaml:2:34: listeners[0].address: found \":65536\", expected an address such as \":8080\", \"127.0.0.1:8080\" or \"unix:/run/cygnet.sock\""},
    {"host name for an address", DOC(V "listeners: [{name: web, address: 'example.com:80', routes: [{name: r, cluster: c}]}]\n" C),
     "t.yaml:2:34: listeners[0].address: found \"example.com:80\", expected an address such as \":8080\", \"127.0.0.1:8080\" or \"unix:/run/cygnet.sock\""},
    {"empty address", DOC(V "listeners: [{name: web, address: '', routes: [{name: r, cluster: c}]}]\n" C),
     "t.yaml:2:34: listeners[0].address: found \"\", expected an address such as \":8080\", \"127.0.0.1:8080\" or \"unix:/run/cygnet.sock\""},
    {"relative Unix path", DOC(V "listeners: [{name: web, address: 'unix:web.sock', routes: [{name: r, cluster: c}]}]\n" C),
     "t.yaml:2:34: listeners[0].address: found \"unix:web.sock\", expected an address such as \":8080\", \"127.0.0.1:8080\" or \"unix:/run/cygnet.sock\""},
    {"empty Unix path", DOC(V "listeners: [{name: web, address: 'unix:', routes: [{name: r, cluster: c}]}]\n" C),
     "t.yaml:2:34: listeners[0].address: found \"unix:\", expected an address such as \":8080\", \"127.0.0.1:8080\" or \"unix:/run/cygnet.sock\""},
    {"Unix path too long", DOC(V L "clusters: [{name: c, endpoints: ['unix:/pppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppp']}]\n"),
     "t.yaml:3:34: clusters[0].endpoints[0]: found \"unix:/pppppppppppppppppppppppppppppppppppppppppppppppppppppp...\", expected an address such as \"127.0.0.1:9001\", \"[::1]:9001\" or \"unix:/run/app.sock\" (names are not looked up)"},
    {"endpoint by name", DOC(V L "clusters: [{name: c, endpoints: ['orders.svc:80']}]\n"),
     "t.yaml:3:34: clusters[0].endpoints[0]: found \"orders.svc:80\", expected an address such as \"127.0.0.1:9001\", \"[::1]:9001\" or \"unix:/run/app.sock\" (names are not looked up)"},
    {"endpoint without a host", DOC(V L "clusters: [{name: c, endpoints: [':9001']}]\n"),
     "t.yaml:3:34: clusters[0].endpoints[0]: found \":9001\", expected an address such as \"127.0.0.1:9001\", \"[::1]:9001\" or \"unix:/run/app.sock\" (names are not looked up)"},
    {"endpoint on every address", DOC(V L "clusters: [{name: c, endpoints: ['0.0.0.0:9001', '[::]:9001']}]\n"),
     "t.yaml:3:34: clusters[0].endpoints[0]: found \"0.0.0.0:9001\", expected an address such as \"127.0.0.1:9001\", \"[::1]:9001\" or \"unix:/run/app.sock\" (names are not looked up)\n"
     "t.yaml:3:50: clusters[0].endpoints[1]: found \"[::]:9001\", expected an address such as \"127.0.0.1:9001\", \"[::1]:9001\" or \"unix:/run/app.sock\" (names are not looked up)"},
    {"endpoint on port 0", DOC(V L "clusters: [{name: c, endpoints: ['127.0.0.1:0']}]\n"),
     "t.yaml:3:34: clusters[0].endpoints[0]: found \"127.0.0.1:0\", expected an address such as \"127.0.0.1:9001\", \"[::1]:9001\" or \"unix:/run/app.sock\" (names are not looked up)"},
    {"endpoint as a URL", DOC(V L "clusters: [{name: c, endpoints: ['http://127.0.0.1:80']}]\n"),
     "t.yaml:3:34: clusters[0].endpoints[0]: found \"http://127.0.0.1:80\", expected an address such as \"127.0.0.1:9001\", \"[::1]:9001\" or \"unix:/run/app.sock\" (names are not looked up)"},
    {"endpoint without a value", DOC(V L "clusters: [{name: c, endpoints: [~]}]\n"),
     "t.yaml:3:34: clusters[0].endpoints[0]: found nothing, expected an address such as \"127.0.0.1:9001\", \"[::1]:9001\" or \"unix:/run/app.sock\" (names are not looked up)"},
    {"bad admin address", DOC(V L C "admin: {address: 9901}\n"),
     "t.yaml:4:18: admin.address: found \"9901\", expected an address such as \"127.0.0.1:9901\" or \"unix:/run/cygnet-admin.sock\""},
    {"block that is none", DOC(V LISTENER("    trusted: [10.0.0.0/33, 10.0.0/8, 'fd00::/129', lan, 10.0.0.0/]\n") C),
     "t.yaml:6:15: listeners[0].trusted[0]: found \"10.0.0.0/33\", expected an address or a block such as 10.0.0.0/8 or fd00::/8\n"
     "t.yaml:6:28: listeners[0].trusted[1]: found \"10.0.0/8\", expected an address or a block such as 10.0.0.0/8 or fd00::/8\n"
     "t.yaml:6:38: listeners[0].trusted[2]: found \"fd00::/129\", expected an address or a block such as 10.0.0.0/8 or fd00::/8\n"
     "t.yaml:6:52: listeners[0].trusted[3]: found \"lan\", expected an address or a block such as 10.0.0.0/8 or fd00::/8\n"
     "t.yaml:6:57: listeners[0].trusted[4]: found \"10.0.0.0/\", expected an address or a block such as 10.0.0.0/8 or fd00::/8"},
    {"block with bits behind its prefix", DOC(V LISTENER("    trusted: [10.1.2.3/8, 'fd00::1/64']\n") C),
     "t.yaml:6:15: listeners[0].trusted[0]: found \"10.1.2.3/8\", which has bits set behind its prefix; did you mean 10.0.0.0/8?\n"
     "t.yaml:6:27: listeners[0].trusted[1]: found \"fd00::1/64\", which has bits set behind its prefix; did you mean fd00::/64?"},
    {"blocks without a list", DOC(V LISTENER("    trusted: 10.0.0.0/8\n") C),
     "t.yaml:6:14: listeners[0].trusted: found \"10.0.0.0/8\", expected a list"},
    {"host with a port", DOC(V ROUTES("{name: r, cluster: c, match: {host: 'a.example:80'}}\n") C),
     "t.yaml:3:37: listeners[0].routes[0].match.host: found \"a.example:80\", expected a host such as shop.example.com or \"*.example.com\", without a port"},
    {"star within a host", DOC(V ROUTES("{name: r, cluster: c, match: {host: a.*.example}}\n") C),
     "t.yaml:3:37: listeners[0].routes[0].match.host: found \"a.*.example\", expected a host such as shop.example.com or \"*.example.com\", without a port"},
    {"star without a dot", DOC(V ROUTES("{name: r, cluster: c, match: {host: '*example'}}\n") C),
     "t.yaml:3:37: listeners[0].routes[0].match.host: found \"*example\", expected a host such as shop.example.com or \"*.example.com\", without a port"},
    {"host with an empty label", DOC(V ROUTES("{name: r, cluster: c, match: {host: a..example}}\n") C),
     "t.yaml:3:37: listeners[0].routes[0].match.host: found \"a..example\", expected a host such as shop.example.com or \"*.example.com\", without a port"},
    {"empty host", DOC(V ROUTES("{name: r, cluster: c, match: {host: ''}}\n") C),
     "t.yaml:3:37: listeners[0].routes[0].match.host: found \"\", expected a host such as shop.example.com or \"*.example.com\", without a port"},
    {"host with letters of other alphabets", DOC(V ROUTES("{name: r, cluster: c, match: {host: b\xc3\xbc""cher.example}}\n") C),
     "t.yaml:3:37: listeners[0].routes[0].match.host: found \"b\xc3\xbc""cher.example\", expected a host such as shop.example.com or \"*.example.com\", without a port"},
    {"path without a slash", DOC(V ROUTES("{name: r, cluster: c, match: {path: orders}}\n") C),
     "t.yaml:3:37: listeners[0].routes[0].match.path: found \"orders\", expected a path such as /orders or /orders/*"},
    {"star within a path", DOC(V ROUTES("{name: r, cluster: c, match: {path: '/a/*/b'}}\n") C),
     "t.yaml:3:37: listeners[0].routes[0].match.path: found \"/a/*/b\", expected a path such as /orders or /orders/*"},
    {"star without a slash", DOC(V ROUTES("{name: r, cluster: c, match: {path: '/a*'}}\n") C),
     "t.yaml:3:37: listeners[0].routes[0].match.path: found \"/a*\", expected a path such as /orders or /orders/*"},
    {"path with a query", DOC(V ROUTES("{name: r, cluster: c, match: {path: '/a?b=c'}}\n") C),
     "t.yaml:3:37: listeners[0].routes[0].match.path: found \"/a?b=c\", expected a path such as /orders or /orders/*"},
    {"path with a space", DOC(V ROUTES("{name: r, cluster: c, match: {path: '/a b'}}\n") C),
     "t.yaml:3:37: listeners[0].routes[0].match.path: found \"/a b\", expected a path such as /orders or /orders/*"},
    {"path with a bad escape", DOC(V ROUTES("{name: r, cluster: c, match: {path: '/a%2'}}\n") C),
     "t.yaml:3:37: listeners[0].routes[0].match.path: found \"/a%2\", expected a path such as /orders or /orders/*"},
    {"path with dots", DOC(V ROUTES("{name: r, cluster: c, match: {path: '/a/../b'}}\n") C),
     "t.yaml:3:37: listeners[0].routes[0].match.path: found \"/a/../b\", expected a path such as /orders or /orders/*"},
    /* what only shows together */
    {"two listeners of one name", DOC(V "listeners:\n" "  - {name: web, address: ':80', routes: [{name: r, cluster: c}]}\n" "  - {name: web, address: ':81', routes: [{name: r, cluster: c}]}\n" C),
     "t.yaml:4:12: listeners[1].name: found \"web\" again, expected a name of its own; listeners[0] has it in line 3"},
    {"two clusters of one name", DOC(V L "clusters:\n" "  - {name: c, endpoints: ['127.0.0.1:1']}\n" "  - {name: c, endpoints: ['127.0.0.1:2']}\n"),
     "t.yaml:5:12: clusters[1].name: found \"c\" again, expected a name of its own; clusters[0] has it in line 4"},
    {"two routes of one name", DOC(V ROUTES("{name: r, cluster: c}, {name: s, cluster: c, match: {path: /s}},\n" "{name: r, cluster: c, match: {path: /r}}\n") C),
     "t.yaml:4:8: listeners[0].routes[2].name: found \"r\" again, expected a name of its own; listeners[0].routes[0] has it in line 3"},
    {"cluster that is not there, near", DOC(V ROUTES("{name: r, cluster: order}\n") "clusters: [{name: shop, endpoints: ['127.0.0.1:1']}, {name: orders, endpoints: ['127.0.0.1:1']}]\n"),
     "t.yaml:3:20: listeners[0].routes[0].cluster: found \"order\", expected the name of a cluster; did you mean \"orders\"?"},
    {"cluster that is not there, far", DOC(V ROUTES("{name: r, cluster: inventory}\n") C),
     "t.yaml:3:20: listeners[0].routes[0].cluster: found \"inventory\", expected the name of a cluster; there is no such one"},
    {"cluster in another case", DOC(V ROUTES("{name: r, cluster: Orders}\n") "clusters: [{name: orders, endpoints: ['127.0.0.1:1']}]\n"),
     "t.yaml:3:20: listeners[0].routes[0].cluster: found \"Orders\", expected the name of a cluster; did you mean \"orders\"?"},
    {"two routes for everything", DOC(V ROUTES("{name: r, cluster: c},\n" "{name: s, cluster: c}\n") C),
     "t.yaml:4:1: listeners[0].routes[1]: found the match that routes[0] (\"r\", line 3) has, expected one of its own"},
    {"two routes of one match", DOC(V ROUTES("{name: r, cluster: c, match: {host: a.example, path: /a/*}},\n" "{name: s, cluster: c, match: {host: A.Example, path: /a/*}}\n") C),
     "t.yaml:4:30: listeners[0].routes[1].match: found the match that routes[0] (\"r\", line 3) has, expected one of its own"},
    {"any said in two ways", DOC(V ROUTES("{name: r, cluster: c, match: {host: '*', path: /*}},\n" "{name: s, cluster: c}\n") C),
     "t.yaml:4:1: listeners[0].routes[1]: found the match that routes[0] (\"r\", line 3) has, expected one of its own"},
    {"two listeners on one address", DOC(V "listeners:\n" "  - {name: a, address: '127.0.0.1:80', routes: [{name: r, cluster: c}]}\n" "  - {name: b, address: 'localhost:80', routes: [{name: r, cluster: c}]}\n" C),
     "t.yaml:4:24: listeners[1].address: found \"localhost:80\", expected an address that is free; listeners[0] (\"a\") has \"127.0.0.1:80\""},
    {"one listener on every address, one on the same port", DOC(V "listeners:\n" "  - {name: a, address: ':80', routes: [{name: r, cluster: c}]}\n" "  - {name: b, address: '127.0.0.1:80', routes: [{name: r, cluster: c}]}\n" C),
     "t.yaml:4:24: listeners[1].address: found \"127.0.0.1:80\", expected an address that is free; listeners[0] (\"a\") has \":80\""},
    {"two listeners on one Unix path", DOC(V "listeners:\n" "  - {name: a, address: 'unix:/run/a', routes: [{name: r, cluster: c}]}\n" "  - {name: b, address: 'unix:/run/a', routes: [{name: r, cluster: c}]}\n" C),
     "t.yaml:4:24: listeners[1].address: found \"unix:/run/a\", expected an address that is free; listeners[0] (\"a\") has \"unix:/run/a\""},
    {"admin on a listener's address", DOC(V L C "admin: {address: ':80'}\n"),
     "t.yaml:4:18: admin.address: found \":80\", expected an address that is free; listeners[0] (\"web\") has \":80\""},
    {"an endpoint twice", DOC(V L "clusters: [{name: c, endpoints: ['127.0.0.1:1', '127.0.0.1:2', 'localhost:1']}]\n"),
     "t.yaml:3:64: clusters[0].endpoints[2]: found \"localhost:1\" again, expected each address once; endpoints[0] is the same"},
    {"several at once, in the order of lines", DOC("drain: {timeout: 1}\n" ROUTES("{name: r, cluster: d},\n") "clusters: [{name: c, endpoints: [x]}]\n" "admin: {address: y}\n"),
     "t.yaml:1:1: key \"version\" is missing, expected a label of letters, digits and ._:+/@-, such as \"2026-11-23.1\"\n"
     "t.yaml:1:18: drain.timeout: found \"1\", expected a duration such as 500ms, 2s or 1m30s\n"
     "t.yaml:3:20: listeners[0].routes[0].cluster: found \"d\", expected the name of a cluster; there is no such one\n"
     "t.yaml:5:34: clusters[0].endpoints[0]: found \"x\", expected an address such as \"127.0.0.1:9001\", \"[::1]:9001\" or \"unix:/run/app.sock\" (names are not looked up)\n"
     "t.yaml:6:18: admin.address: found \"y\", expected an address such as \"127.0.0.1:9901\" or \"unix:/run/cygnet-admin.sock\""},
    {"what could not be read is no match", DOC(V ROUTES("{name: r, cluster: c, match: {host: 'a:1'}},\n" "{name: s, cluster: c}\n") C),
     "t.yaml:3:37: listeners[0].routes[0].match.host: found \"a:1\", expected a host such as shop.example.com or \"*.example.com\", without a port"},
    {"a bad cluster's name is still known", DOC(V ROUTES("{name: r, cluster: a/b}\n") "clusters: [{name: a/b, endpoints: ['127.0.0.1:1']}]\n"),
     "t.yaml:5:19: clusters[0].name: found \"a/b\", expected a name of letters, digits and _.-, such as orders"},
};
// clang-format on
const size_t nbad_values = sizeof bad_values / sizeof *bad_values;
