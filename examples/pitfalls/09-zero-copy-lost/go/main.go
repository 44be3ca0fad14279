// Sends a file over a loopback connection by io.Copy: as it is, behind a head, or from within a wrapper that only counts.
//
// usage: main BYTES plain|multi|wrapped
package main

import (
	"fmt"
	"io"
	"net"
	"os"
	"strconv"
	"strings"
)

func must(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// A wrapper that changes nothing, such as people write to show progress.
type progress struct {
	io.Reader
	bytes int64
}

func (p *progress) Read(b []byte) (int, error) {
	n, err := p.Reader.Read(b)
	p.bytes += int64(n)
	return n, err
}

func main() {
	size, _ := strconv.ParseInt(os.Args[1], 10, 64)
	f, err := os.CreateTemp("", "zero-copy")
	must(err)
	must(os.Remove(f.Name()))
	must(f.Truncate(size))
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(err)
	received := make(chan int64)
	go func() {
		c, err := l.Accept()
		must(err)
		var got int64
		b := make([]byte, 1<<20)
		for {
			n, err := c.Read(b)
			got += int64(n)
			if err == io.EOF {
				break
			}
			must(err)
		}
		received <- got
	}()
	c, err := net.Dial("tcp", l.Addr().String())
	must(err)
	var src io.Reader = f
	switch os.Args[2] {
	case "multi":
		src = io.MultiReader(strings.NewReader("head"), f)
	case "wrapped":
		src = &progress{Reader: f}
	}
	n, err := io.Copy(c, src)
	must(err)
	must(c.Close())
	if got := <-received; got != n {
		must(fmt.Errorf("sent %d bytes, received %d", n, got))
	}
	fmt.Printf("bytes received: %d\n", n)
}
