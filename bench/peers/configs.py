"""Configurations of the peers, written for one run into its temporary directory: what an operator who wants speed and keeps
the defaults elsewhere would write. Each function returns the text of one file."""

MANY = 1_000_000_000  # requests a connection may carry: no reconnecting during a run


CONNECTIONS = 8192    # that a peer is set up for


def _nginx(directory, workers, http, connections=CONNECTIONS):
    return f"""worker_processes {workers};
daemon off;
pid {directory}/nginx.pid;
error_log {directory}/nginx-error.log crit;
events {{ worker_connections {connections}; }}
http {{
    client_body_temp_path {directory}/client_body;
    proxy_temp_path {directory}/proxy;
    fastcgi_temp_path {directory}/fastcgi;
    uwsgi_temp_path {directory}/uwsgi;
    scgi_temp_path {directory}/scgi;
    keepalive_requests {MANY};
    keepalive_timeout 75s;
    default_type text/plain;
{http}
}}
"""


def nginx_hello(directory, port, workers, connections=CONNECTIONS):
    reuseport = " reuseport" if workers > 1 else ""
    return _nginx(directory, workers, f"""    access_log off;
    server {{
        listen 127.0.0.1:{port}{reuseport};
        location / {{ return 200 "Hello, World!"; }}
    }}""", connections)


def nginx_proxy(directory, port, upstream, json_log, workers=1, connections=CONNECTIONS):
    """json_log: write the fields that the gateway's access log has (as far as nginx knows them), buffered as its manual
    recommends for load: 64 KiB, flushed each second."""
    log = "    access_log off;"
    if json_log:
        fields = {"start_time": "$time_iso8601", "method": "$request_method", "path": "$request_uri", "protocol": "$server_protocol",
                  "response_code": "$status", "bytes_received": "$request_length", "bytes_sent": "$body_bytes_sent",
                  "duration": "$request_time", "upstream_service_time": "$upstream_response_time",
                  "x_forwarded_for": "$http_x_forwarded_for", "user_agent": "$http_user_agent", "request_id": "$request_id",
                  "authority": "$http_host", "upstream_host": "$upstream_addr", "upstream_cluster": "$proxy_host",
                  "downstream_local_address": "$server_addr:$server_port", "downstream_remote_address": "$remote_addr:$remote_port",
                  "traceparent": "$http_traceparent"}
        line = "{" + ",".join(f'"{name}":"{value}"' for name, value in fields.items()) + "}"
        log = f"""    log_format json escape=json '{line}';
    access_log {directory}/nginx-access.log json buffer=64k flush=1s;"""
    return _nginx(directory, workers, f"""{log}
    upstream hello {{
        server 127.0.0.1:{upstream};
        keepalive 4096;
        keepalive_requests {MANY};
    }}
    server {{
        listen 127.0.0.1:{port};
        location / {{
            proxy_pass http://hello;
            proxy_http_version 1.1;
            proxy_set_header Connection "";
        }}
    }}""", connections)


def _haproxy(threads, connections):
    """Without strict limits it takes what descriptors there are; it counts two for each connection."""
    return f"""global
    nbthread {threads}
    maxconn {connections}
    no strict-limits
defaults
    mode http
    timeout connect 5s
    timeout client 75s
    timeout server 75s
    timeout http-keep-alive 75s
"""


def haproxy_hello(port, threads=1, connections=CONNECTIONS):
    return _haproxy(threads, connections) + f"""frontend web
    bind 127.0.0.1:{port}
    http-request return status 200 content-type text/plain string "Hello, World!"
"""


def haproxy_proxy(port, upstream, threads=1, connections=CONNECTIONS):
    return _haproxy(threads, connections) + f"""frontend web
    bind 127.0.0.1:{port}
    default_backend hello
backend hello
    http-reuse always
    server one 127.0.0.1:{upstream}
"""


def cygnet_proxy(directory, port, admin_port, upstream, access_log):
    log = f"{directory}/cygnet-access.log" if access_log else "off"
    return f"""version: "bench-1"
listeners:
  - name: web
    address: "127.0.0.1:{port}"
    routes:
      - name: hello
        match: {{ path: /* }}
        cluster: hello
clusters:
  - name: hello
    endpoints: ["127.0.0.1:{upstream}"]
    pool: {{ max_connections: 4096 }}
access_log: {{ path: {log} }}
admin: {{ address: "127.0.0.1:{admin_port}" }}
"""


def cygnet_relay(directory, port, admin_port, upstream):
    return f"""version: bench
listeners:
  - name: bulk
    address: 127.0.0.1:{port}
    protocol: tcp
    cluster: sink
clusters:
  - name: sink
    endpoints:
      - 127.0.0.1:{upstream}
admin:
  address: 127.0.0.1:{admin_port}
access_log:
  path: {directory}/access.log
"""


def nginx_relay(directory, port, upstream, module):
    """module: the path of nginx's stream module where that is loaded, or None. A buffer as large as the manual's for bulk."""
    load = f"load_module {module};\n" if module else ""
    return f"""{load}worker_processes 1;
daemon off;
pid {directory}/nginx.pid;
error_log {directory}/nginx-error.log crit;
events {{ worker_connections 8192; }}
stream {{
    server {{
        listen 127.0.0.1:{port};
        proxy_pass 127.0.0.1:{upstream};
        proxy_buffer_size 256k;
        proxy_half_close on;
    }}
}}
"""


def haproxy_relay(port, upstream):
    return f"""global
    nbthread 1
    maxconn 1024
    tune.pipesize 1048576
defaults
    mode tcp
    option splice-auto
    timeout connect 5s
    timeout client 75s
    timeout server 75s
frontend bulk
    bind 127.0.0.1:{port}
    default_backend sink
backend sink
    server one 127.0.0.1:{upstream}
"""
