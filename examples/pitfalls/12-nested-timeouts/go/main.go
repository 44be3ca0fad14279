// Callers ask a server that is slow to answer, each with a timeout of 90 s below a request that is called off. Somebody wanted the request's
// values without its end (so that a log line is still written, say), and wrote a context of his own: what is below it no longer hears
// of the request's end. Then, with the request over, each calls once more.
//
// usage: main CALLERS
package main

import (
	"context"
	"fmt"
	"net"
	"os"
	"strconv"
	"sync"
	"sync/atomic"
	"time"
)

// A copy of what many code bases have in a package "util".
type valuesOnly struct{ context.Context }

func (valuesOnly) Deadline() (time.Time, bool) { return time.Time{}, false }
func (valuesOnly) Done() <-chan struct{}       { return nil }
func (valuesOnly) Err() error                  { return nil }

var inFlight, begun atomic.Int64

func serve(l net.Listener) {
	for {
		c, err := l.Accept()
		if err != nil {
			return
		}
		go func() {
			defer c.Close()
			var b [1]byte
			if n, _ := c.Read(b[:]); n == 1 {
				begun.Add(1)
				inFlight.Add(1)
				c.Read(b[:]) // until the caller leaves
				inFlight.Add(-1)
			}
		}()
	}
}

func call(ctx context.Context, address string) {
	ctx, cancel := context.WithTimeout(valuesOnly{ctx}, 90*time.Second)
	defer cancel()
	var d net.Dialer
	c, err := d.DialContext(ctx, "tcp", address)
	if err != nil {
		return
	}
	defer c.Close()
	go func() { <-ctx.Done(); c.SetDeadline(time.Now()) }()
	var b [1]byte
	c.Write(b[:])
	c.Read(b[:])
}

// The caller comes back when its request ends; what it has begun may go on.
func caller(ctx context.Context, address string, back *sync.WaitGroup) {
	done := make(chan bool, 1)
	go func() { call(ctx, address); done <- true }()
	select {
	case <-done:
	case <-ctx.Done():
	}
	back.Done()
}

func waitFor(cond func() bool, limit time.Duration) {
	for end := time.Now().Add(limit); !cond() && time.Now().Before(end); {
		time.Sleep(time.Millisecond)
	}
}

func main() {
	n, _ := strconv.Atoi(os.Args[1])
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	go serve(l)
	request, cancel := context.WithTimeout(context.Background(), time.Minute)
	var back sync.WaitGroup
	back.Add(2 * n)
	for i := 0; i < n; i++ {
		go caller(request, l.Addr().String(), &back)
	}
	waitFor(func() bool { return inFlight.Load() == int64(n) }, 20*time.Second)
	fmt.Printf("calls in flight: %d\n", inFlight.Load())
	cancel()
	before := begun.Load()
	for i := 0; i < n; i++ {
		go caller(request, l.Addr().String(), &back)
	}
	back.Wait()
	waitFor(func() bool { return begun.Load() == before+int64(n) }, 20*time.Second)
	fmt.Printf("callers that gave up: %d\n", 2*n)
	fmt.Printf("calls begun after the end: %d\n", begun.Load()-before)
	fmt.Printf("calls still in flight: %d\n", inFlight.Load())
}
