// Jobs come faster than one worker takes them: it takes one of a hundred. Whoever has a job must not wait, so each is sent by a goroutine of
// its own: a queue without a bound, which nobody sees because no variable holds it.
//
// usage: main JOBS
package main

import (
	"fmt"
	"os"
	"runtime"
	"strconv"
)

type job struct {
	body [1000]byte
}

func worker(turn <-chan bool, jobs <-chan *job, taken *int) {
	for range turn {
		<-jobs
		*taken++
	}
}

func main() {
	n, _ := strconv.Atoi(os.Args[1])
	jobs, turn := make(chan *job), make(chan bool)
	taken := 0
	go worker(turn, jobs, &taken)
	before := runtime.NumGoroutine()
	for i := 1; i <= n; i++ {
		j := &job{}
		go func() { jobs <- j }()
		if i%100 == 0 {
			turn <- true // the worker is done with the one before
		}
	}
	close(turn)
	waiting := runtime.NumGoroutine() - before
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	fmt.Printf("jobs offered: %d\n", n)
	fmt.Printf("jobs waiting: %d\n", waiting)
	fmt.Printf("memory in KiB: %d\n", (m.HeapInuse+m.StackInuse)/1024)
}
