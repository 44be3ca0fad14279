// A service and a client of it in rounds: so many requests at once, each answered when all of its round have come, so that every one
// needs a connection. What the client's pool may keep from round to round is the question.
//
// The service has a loopback address of its own, so that no other program's sockets are counted.
//
// usage: main defaults|sized ROUNDS AT-ONCE
package main

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
)

// Lets go when so many have come, again and again.
type barrier struct {
	mu       sync.Mutex
	cond     *sync.Cond
	n        int
	here     int
	finished int
}

func (b *barrier) wait() {
	b.mu.Lock()
	defer b.mu.Unlock()
	round := b.finished
	if b.here++; b.here == b.n {
		b.here, b.finished = 0, b.finished+1
		b.cond.Broadcast()
	}
	for b.finished == round {
		b.cond.Wait()
	}
}

// Sockets that go to the service, and those of them in TIME_WAIT.
func ports(port int) (used, timeWait int) {
	f, err := os.Open("/proc/self/net/tcp")
	if err != nil {
		panic(err)
	}
	defer f.Close()
	for s := bufio.NewScanner(f); s.Scan(); {
		field := strings.Fields(s.Text())
		if field[2] == fmt.Sprintf("0404007F:%04X", port) {
			used++
			if field[3] == "06" {
				timeWait++
			}
		}
	}
	return
}

func main() {
	rounds, _ := strconv.Atoi(os.Args[2])
	atOnce, _ := strconv.Atoi(os.Args[3])
	l, err := net.Listen("tcp", "127.0.4.4:0")
	if err != nil {
		panic(err)
	}
	b := &barrier{n: atOnce}
	b.cond = sync.NewCond(&b.mu)
	var connections, answered atomic.Int64
	server := &http.Server{
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			b.wait()
			io.WriteString(w, "ok")
		}),
		ConnState: func(c net.Conn, s http.ConnState) {
			if s == http.StateNew {
				connections.Add(1)
			}
		},
	}
	go server.Serve(l)

	transport := http.DefaultTransport.(*http.Transport).Clone()
	if os.Args[1] == "sized" {
		transport.MaxIdleConnsPerHost = atOnce // 2 unless given
	}
	client := &http.Client{Transport: transport}
	url := "http://" + l.Addr().String()
	for i := 0; i < rounds; i++ {
		var wg sync.WaitGroup
		for k := 0; k < atOnce; k++ {
			wg.Add(1)
			go func() {
				defer wg.Done()
				r, err := client.Get(url)
				if err != nil {
					panic(err)
				}
				io.Copy(io.Discard, r.Body) // unread, it would not be used again either
				r.Body.Close()
				answered.Add(1)
			}()
		}
		wg.Wait()
	}
	used, timeWait := ports(l.Addr().(*net.TCPAddr).Port)
	fmt.Printf("requests: %d\n", answered.Load())
	fmt.Printf("connections made: %d\n", connections.Load())
	fmt.Printf("ports taken: %d\n", used)
	fmt.Printf("in TIME_WAIT: %d\n", timeWait)
}
