// How long a request waits for what all share, as waits.c measures it. mutex: one sync.Mutex. pool: connections on a list behind one
// sync.Mutex, as hand-written pools have it: under the lock the list is popped, the connection looked at with a system call, and a new one
// dialled when there is none.
//
// usage: waits mutex STEPS RATE SECONDS | waits pool PORT RATE SECONDS
package main

import (
	"fmt"
	"net"
	"os"
	"sort"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

var (
	mu     sync.Mutex
	table  [64]uint64
	idle   []net.Conn
	errors atomic.Int64
)

func withMutex(i, steps uint64) time.Duration {
	begin := time.Now()
	mu.Lock()
	waited := time.Since(begin)
	x := i
	for k := uint64(0); k < steps; k++ {
		at := x % 64
		x = x*6364136223846793005 + 1442695040888963407
		table[at] += x
	}
	mu.Unlock()
	return waited
}

// Whether nothing has come in: neither bytes nor the peer's end.
func quiet(c net.Conn) (ok bool) {
	raw, err := c.(*net.TCPConn).SyscallConn()
	if err != nil {
		return false
	}
	raw.Read(func(fd uintptr) bool {
		var b [1]byte
		_, _, err := syscall.Recvfrom(int(fd), b[:], syscall.MSG_PEEK|syscall.MSG_DONTWAIT)
		ok = err == syscall.EAGAIN
		return true
	})
	return
}

func get(address string) (net.Conn, error) {
	mu.Lock()
	defer mu.Unlock()
	for len(idle) > 0 {
		c := idle[len(idle)-1]
		idle = idle[:len(idle)-1]
		if quiet(c) {
			return c, nil
		}
		c.Close()
	}
	return net.Dial("tcp", address)
}

func put(c net.Conn) {
	mu.Lock()
	idle = append(idle, c)
	mu.Unlock()
}

func withPool(address string) time.Duration {
	begin := time.Now()
	c, err := get(address)
	waited := time.Since(begin)
	if err != nil {
		errors.Add(1)
		return 0
	}
	var answer [512]byte
	if _, err = c.Write([]byte("GET / HTTP/1.1\r\nHost: a\r\n\r\n")); err == nil {
		_, err = c.Read(answer[:]) // hello_floor answers in one piece
	}
	if err != nil {
		errors.Add(1)
		c.Close()
		return waited
	}
	put(c)
	return waited
}

func main() {
	arg, _ := strconv.ParseUint(os.Args[2], 10, 64)
	rate, _ := strconv.Atoi(os.Args[3])
	seconds, _ := strconv.Atoi(os.Args[4])
	n := rate * seconds
	waits := make([]time.Duration, n)
	var all sync.WaitGroup
	all.Add(n)
	begin := time.Now()
	for i := 0; i < n; i++ {
		time.Sleep(time.Until(begin.Add(time.Duration(i) * time.Second / time.Duration(rate))))
		i := i
		go func() {
			if os.Args[1] == "pool" {
				waits[i] = withPool("127.0.0.1:" + os.Args[2])
			} else {
				waits[i] = withMutex(uint64(i), arg)
			}
			all.Done()
		}()
	}
	all.Wait()
	waits = waits[n/10:]
	n = len(waits)
	sort.Slice(waits, func(a, b int) bool { return waits[a] < waits[b] })
	us := func(d time.Duration) float64 { return float64(d) / 1e3 }
	fmt.Printf("{\"requests\": %d, \"errors\": %d, \"p50_us\": %.3f, \"p99_us\": %.3f, \"p999_us\": %.3f, \"max_us\": %.3f}\n", n,
		errors.Load(), us(waits[n/2]), us(waits[n*99/100]), us(waits[n*999/1000]), us(waits[n-1]))
}
