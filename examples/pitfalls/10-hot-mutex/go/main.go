// Requests share connections on a list behind one sync.Mutex, which is held while the list is looked at, and so while somebody dials. The
// first request has to dial. The dial takes until the others have come; a connection that was in use comes back meanwhile.
//
// usage: main REQUESTS
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

var (
	mu              sync.Mutex
	idle            []net.Conn // guarded by mu
	arrived, served atomic.Int64
	requests        int64
	slow            atomic.Bool
	meanwhile       int64
)

func dial(address string) net.Conn {
	c, err := net.Dial("tcp", address)
	if err != nil {
		panic(err)
	}
	if slow.Swap(false) {
		for arrived.Load() < requests {
			runtime.Gosched()
		}
		meanwhile = served.Load()
	}
	return c
}

func get(address string) net.Conn {
	mu.Lock()
	defer mu.Unlock()
	if n := len(idle); n > 0 {
		c := idle[n-1]
		idle = idle[:n-1]
		return c
	}
	return dial(address)
}

func put(c net.Conn) {
	mu.Lock()
	idle = append(idle, c)
	mu.Unlock()
}

func main() {
	requests, _ = strconv.ParseInt(os.Args[1], 10, 64)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	inUse := dial(l.Addr().String())
	slow.Store(true)
	var all sync.WaitGroup
	all.Add(int(requests))
	for i := int64(0); i < requests; i++ {
		go func() {
			arrived.Add(1)
			put(get(l.Addr().String()))
			served.Add(1)
			all.Done()
		}()
		for i == 0 && slow.Load() {
			runtime.Gosched()
		}
		if i == 0 {
			go put(inUse)
		}
	}
	all.Wait()
	fmt.Printf("requests: %d\n", requests)
	fmt.Printf("served while one dialled: %d\n", meanwhile)
	fmt.Printf("behind the lock meanwhile: %d\n", requests-1-meanwhile)
}
