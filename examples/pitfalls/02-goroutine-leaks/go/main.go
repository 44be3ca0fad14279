// A server that answers the first message of each client. A goroutine reads the connection, closes it at its end, and hands messages to the
// handler, which takes one and is done. Clients send two and leave: the reader stands in a send that nobody receives, for ever.
//
// usage: main CLIENTS
package main

import (
	"bufio"
	"fmt"
	"net"
	"os"
	"runtime"
	"strconv"
	"strings"
	"time"
)

func read(c net.Conn, messages chan<- byte) {
	defer c.Close()
	for {
		var b [1]byte
		if _, err := c.Read(b[:]); err != nil {
			return
		}
		messages <- b[0]
	}
}

func handle(c net.Conn) {
	messages := make(chan byte)
	go read(c, messages)
	c.Write([]byte{<-messages})
}

func client(address string) {
	c, err := net.Dial("tcp", address)
	if err != nil {
		panic(err)
	}
	defer c.Close()
	c.Write([]byte("ab"))
	var b [1]byte
	c.Read(b[:])
}

// Sockets of the server that the client has ended and nobody has closed.
func closeWait(port int) (n int) {
	f, err := os.Open("/proc/self/net/tcp")
	if err != nil {
		panic(err)
	}
	defer f.Close()
	for s := bufio.NewScanner(f); s.Scan(); {
		field := strings.Fields(s.Text())
		if strings.HasSuffix(field[1], fmt.Sprintf(":%04X", port)) && field[3] == "08" {
			n++
		}
	}
	return
}

func main() {
	clients, _ := strconv.Atoi(os.Args[1])
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go handle(c)
		}
	}()
	before := runtime.NumGoroutine()
	for i := 0; i < clients; i++ {
		client(l.Addr().String())
	}
	port := l.Addr().(*net.TCPAddr).Port
	for i := 0; i < 1000 && (runtime.NumGoroutine() > before+clients || closeWait(port) < clients); i++ {
		time.Sleep(time.Millisecond)
	}
	fmt.Printf("clients served: %d\n", clients)
	fmt.Printf("goroutines left: %d\n", runtime.NumGoroutine()-before)
	fmt.Printf("connections left: %d\n", closeWait(port))
}
