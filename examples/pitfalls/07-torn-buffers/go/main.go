// Sends over a loopback connection through a bufio.Writer: one mebibyte in pieces, or messages of a head and a body with a flush after each.
//
// usage: main pieces BUFFER PIECE | messages BUFFER COUNT
package main

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"os"
	"strconv"
)

const (
	total    = 1 << 20
	headSize = 100
	bodySize = 6000
)

func must(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// What the buffer hands down: each call is a write(2), as long as the socket takes it.
type counting struct {
	net.Conn
	calls, bytes int
}

func (c *counting) Write(p []byte) (int, error) {
	c.calls++
	c.bytes += len(p)
	return c.Conn.Write(p)
}

func main() {
	size, _ := strconv.Atoi(os.Args[2])
	n, _ := strconv.Atoi(os.Args[3])
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(err)
	received := make(chan int64)
	go func() {
		c, err := l.Accept()
		must(err)
		got, err := io.Copy(io.Discard, c)
		must(err)
		received <- got
	}()
	conn, err := net.Dial("tcp", l.Addr().String())
	must(err)
	c := &counting{Conn: conn}
	w := bufio.NewWriterSize(c, size)
	if os.Args[1] == "pieces" {
		piece := make([]byte, n)
		for i := 0; i < total/n; i++ {
			w.Write(piece)
		}
	} else {
		head, body := make([]byte, headSize), make([]byte, bodySize)
		for i := 0; i < n; i++ {
			w.Write(head)
			w.Write(body)
			must(w.Flush())
		}
	}
	must(w.Flush())
	must(conn.Close())
	fmt.Printf("bytes received: %d\n", <-received)
	fmt.Printf("writes handed down: %d\n", c.calls)
	fmt.Printf("bytes a write: %d\n", c.bytes/c.calls)
}
