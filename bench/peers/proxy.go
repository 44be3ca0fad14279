// proxy: httputil.ReverseProxy with a transport that keeps as many idle upstream connections as there are clients (the
// default of two per host would open one for most requests). No access log. usage: proxy PORT UPSTREAM_PORT
package main

import (
	"log"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
)

func main() {
	upstream, err := url.Parse("http://127.0.0.1:" + os.Args[2])
	if err != nil {
		log.Fatal(err)
	}
	proxy := httputil.NewSingleHostReverseProxy(upstream)
	proxy.Transport = &http.Transport{MaxIdleConns: 4096, MaxIdleConnsPerHost: 4096, DisableCompression: true}
	log.Fatal(http.ListenAndServe("127.0.0.1:"+os.Args[1], proxy))
}
