// relay: a TCP relay as one writes it in Go: io.Copy both ways, which splices, and the end of one direction passed on.
// usage: relay PORT UPSTREAM_PORT
package main

import (
	"io"
	"log"
	"net"
	"os"
)

func pass(to, from net.Conn, done chan<- bool) {
	io.Copy(to, from)
	to.(*net.TCPConn).CloseWrite()
	done <- true
}

func relay(client net.Conn) {
	defer client.Close()
	server, err := net.Dial("tcp", "127.0.0.1:"+os.Args[2])
	if err != nil {
		log.Print(err)
		return
	}
	defer server.Close()
	done := make(chan bool, 2)
	go pass(server, client, done)
	pass(client, server, done)
	<-done
	<-done
}

func main() {
	l, err := net.Listen("tcp", "127.0.0.1:"+os.Args[1])
	if err != nil {
		log.Fatal(err)
	}
	for {
		c, err := l.Accept()
		if err != nil {
			log.Fatal(err)
		}
		go relay(c)
	}
}
