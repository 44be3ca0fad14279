// A relay between clients and a service that answers when it has seen the end of the question. A client says all it will, ends its
// side (CloseWrite), and reads. "forget" copies both ways and does not pass the end on; "pass" does.
//
// usage: main forget|pass CLIENTS
package main

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"os"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"time"
)

var passEnds bool
var questionsOver, relaysOver, answered sync.WaitGroup

func listen() *net.TCPListener {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	return l.(*net.TCPListener)
}

func dial(l *net.TCPListener) *net.TCPConn {
	c, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		panic(err)
	}
	return c.(*net.TCPConn)
}

func service(l *net.TCPListener) {
	for {
		c, err := l.AcceptTCP()
		if err != nil {
			return
		}
		go func() {
			defer c.Close()
			question, _ := io.ReadAll(c) // to its end
			fmt.Fprintf(c, "%d bytes\n", len(question))
		}()
	}
}

func pipe(to, from *net.TCPConn) {
	io.Copy(to, from)
	if passEnds {
		to.CloseWrite()
	}
}

func relay(client, upstream *net.TCPConn) {
	defer relaysOver.Done()
	go func() {
		pipe(upstream, client)
		questionsOver.Done()
	}()
	pipe(client, upstream)
	client.Close()
	upstream.Close()
}

// Sockets in a state (as /proc/net/tcp writes it) whose own port is this.
func sockets(port int, state string) (n int) {
	f, err := os.Open("/proc/self/net/tcp")
	if err != nil {
		panic(err)
	}
	defer f.Close()
	for s := bufio.NewScanner(f); s.Scan(); {
		field := strings.Fields(s.Text())
		if strings.HasSuffix(field[1], fmt.Sprintf(":%04X", port)) && field[3] == state && field[9] != "0" {
			n++
		}
	}
	return
}

func main() {
	passEnds = os.Args[1] == "pass"
	n, _ := strconv.Atoi(os.Args[2])
	front, back := listen(), listen()
	go service(back)
	go func() {
		for {
			c, err := front.AcceptTCP()
			if err != nil {
				return
			}
			go relay(c, dial(back))
		}
	}()
	questionsOver.Add(n)
	relaysOver.Add(n)
	var mu sync.Mutex
	answers := 0
	for i := 0; i < n; i++ {
		c := dial(front)
		fmt.Fprintf(c, "question %d\n", i)
		c.CloseWrite()
		answered.Add(1)
		go func() {
			if line, err := bufio.NewReader(c).ReadString('\n'); err == nil && line != "" {
				mu.Lock()
				answers++
				mu.Unlock()
			}
			answered.Done()
			runtime.KeepAlive(c)
		}()
	}
	questionsOver.Wait() // every question has been copied to its end
	if passEnds {
		answered.Wait()
		relaysOver.Wait()
	}
	port := front.Addr().(*net.TCPAddr).Port
	for want := map[bool]int{false: n, true: 0}[passEnds]; sockets(port, "08") != want; {
		time.Sleep(time.Millisecond)
	}
	mu.Lock()
	fmt.Printf("questions asked: %d\n", n)
	fmt.Printf("answers: %d\n", answers)
	fmt.Printf("in CLOSE_WAIT: %d\n", sockets(port, "08"))
}
