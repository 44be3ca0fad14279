// Rounds of 64 requests at once to a server that ends each connection after 50 answers, as servers do. The connections lie in a sync.Pool. Every
// 80 rounds the collector runs, as it does in a service that allocates; a pool's objects live through one collection, not two.
//
// usage: main ROUNDS
package main

import (
	"fmt"
	"net"
	"os"
	"runtime"
	"strconv"
	"sync"
	"sync/atomic"
)

const (
	atOnce  = 64
	answers = 50
)

var (
	pool                         sync.Pool
	opened, closed, failed, most atomic.Int64
)

func serve(c net.Conn) {
	defer c.Close()
	var b [1]byte
	for i := 0; i < answers; i++ {
		if _, err := c.Read(b[:]); err != nil {
			return
		}
		c.Write(b[:])
	}
}

func ask(address string) error {
	c, ok := pool.Get().(net.Conn)
	if !ok {
		var err error
		if c, err = net.Dial("tcp", address); err != nil {
			return err
		}
		n := opened.Add(1) - closed.Load()
		for m := most.Load(); n > m && !most.CompareAndSwap(m, n); m = most.Load() {
		}
	}
	b := [1]byte{'?'}
	_, err := c.Write(b[:])
	if err == nil {
		_, err = c.Read(b[:])
	}
	if err != nil {
		c.Close()
		closed.Add(1)
		return err
	}
	pool.Put(c)
	return nil
}

func main() {
	rounds, _ := strconv.Atoi(os.Args[1])
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
			go serve(c)
		}
	}()
	for r := 1; r <= rounds; r++ {
		var all sync.WaitGroup
		all.Add(atOnce)
		for i := 0; i < atOnce; i++ {
			go func() {
				if ask(l.Addr().String()) != nil {
					failed.Add(1)
				}
				all.Done()
			}()
		}
		all.Wait()
		if r%80 == 0 {
			runtime.GC()
			runtime.GC()
		}
	}
	fmt.Printf("requests: %d\n", rounds*atOnce)
	fmt.Printf("failed requests: %d\n", failed.Load())
	fmt.Printf("connections opened: %d\n", opened.Load())
	fmt.Printf("open at most: %d\n", most.Load())
	fmt.Printf("reuse in percent: %d\n", 100-100*opened.Load()/int64(rounds*atOnce))
	fmt.Printf("left open: %d\n", opened.Load()-closed.Load())
}
