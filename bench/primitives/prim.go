// prim.go: the primitives in Go, one a run: usage: go_prim MODE. Prints lines "NAME NANOSECONDS", an operation each.
// Each loop has the same shape as its namesake in cyg.c and cyg_chan.c; GOMAXPROCS says how many Ps there are.
package main

import (
	"context"
	"fmt"
	"os"
	"runtime"
	"runtime/debug"
	"sort"
	"sync"
	"sync/atomic"
	"time"
)

const (
	yielders  = 8
	batch     = 100
	buffered  = 100
	crowd     = 1000
	million   = 1000000
	churn     = 100000
	churns    = 7
	sampleFor = 120 * time.Millisecond
)

// calibrated finds how often f's operation must be done to take sampleFor, then measures that.
func calibrated(f func(n int) time.Duration) float64 {
	n := 10000
	d := f(n)
	for d < sampleFor/10 {
		n *= 4
		d = f(n)
	}
	n = int(float64(n) * float64(sampleFor) / float64(d))
	return float64(f(n)) / float64(n)
}

// together runs f in `count` goroutines and says how long it took until the last had ended.
func together(count int, f func(i int)) time.Duration {
	var wg sync.WaitGroup
	begin := time.Now()
	for i := 0; i < count; i++ {
		i := i
		wg.Add(1)
		go func() { f(i); wg.Done() }()
	}
	wg.Wait()
	return time.Since(begin)
}

func yieldAmong(count, n int) time.Duration {
	return together(count, func(int) {
		for i := 0; i < n/count; i++ {
			runtime.Gosched()
		}
	})
}

func yield(n int) time.Duration      { return yieldAmong(yielders, n) }
func yieldCrowd(n int) time.Duration { return yieldAmong(crowd, n) }

var spawned sync.WaitGroup

func nothing() { spawned.Done() }

func spawn(n int) time.Duration {
	begin := time.Now()
	for i := 0; i < n; i += batch {
		spawned.Add(batch)
		for k := 0; k < batch; k++ {
			go nothing()
		}
		spawned.Wait()
	}
	return time.Since(begin)
}

func unbuffered(n int) time.Duration {
	there, back := make(chan int), make(chan int)
	return together(2, func(me int) {
		for i := 0; i < n; i++ {
			if me == 0 {
				there <- i
				<-back
			} else {
				back <- <-there
			}
		}
	})
}

func bufferedElement(n int) time.Duration {
	c := make(chan int, buffered)
	return together(2, func(me int) {
		for i := 0; i < n; i++ {
			if me == 0 {
				c <- i
			} else {
				<-c
			}
		}
	})
}

// One of the two cases is always ready.
func selectReady(n int) time.Duration {
	a, b := make(chan int, 1), make(chan int, 1)
	begin := time.Now()
	for i := 0; i < n; i++ {
		select {
		case a <- i:
		case <-a:
		case <-b:
		}
	}
	return time.Since(begin)
}

// The receiver waits at two channels; the sender takes them in turns.
func selectBlocking(n int) time.Duration {
	var c [2]chan int
	c[0], c[1] = make(chan int), make(chan int)
	return together(2, func(me int) {
		for i := 0; i < n; i++ {
			if me == 0 {
				c[i&1] <- i
				continue
			}
			select {
			case <-c[0]:
			case <-c[1]:
			}
		}
	})
}

var guarded int

func mutex(n int) time.Duration {
	var mu sync.Mutex
	begin := time.Now()
	for i := 0; i < n; i++ {
		mu.Lock()
		guarded++
		mu.Unlock()
	}
	return time.Since(begin)
}

func mutexCrowd(n int) time.Duration {
	var mu sync.Mutex
	return together(crowd, func(int) {
		for i := 0; i < n/crowd; i++ {
			mu.Lock()
			guarded++
			mu.Unlock()
		}
	})
}

// Two goroutines give a turn to each other; one operation is one hand-over.
func condition(n int) time.Duration {
	var mu sync.Mutex
	conds := [2]*sync.Cond{sync.NewCond(&mu), sync.NewCond(&mu)}
	turn := 0
	return together(2, func(me int) {
		mu.Lock()
		for i := 0; i < n/2; i++ {
			for turn != me {
				conds[me].Wait()
			}
			turn = 1 - me
			conds[1-me].Signal()
		}
		mu.Unlock()
	})
}

func waitgroup(n int) time.Duration {
	var wg sync.WaitGroup
	begin := time.Now()
	for i := 0; i < n; i++ {
		wg.Add(1)
		wg.Done()
		wg.Wait()
	}
	return time.Since(begin)
}

func contextDeadline(n int) time.Duration {
	parent, cancelParent := context.WithCancel(context.Background())
	defer cancelParent()
	begin := time.Now()
	for i := 0; i < n; i++ {
		_, cancel := context.WithTimeout(parent, time.Minute)
		cancel()
	}
	return time.Since(begin)
}

type random uint64

func (r *random) below(n int) int {
	*r = *r*6364136223846793005 + 1442695040888963407
	return int(uint64(*r) >> 33 % uint64(n))
}

// timerSet: `all` timers of which all but the last `churn` are pending; those are added, then as many others stopped.
type timerSet struct {
	timers []*time.Timer
	idle   int
	rnd    random
}

func (s *timerSet) add(from, to int) {
	for i := from; i < to; i++ {
		s.timers[i] = time.AfterFunc(time.Minute+time.Duration(s.rnd.below(3600000))*time.Millisecond, nothing)
	}
}

func (s *timerSet) choose() {
	n := len(s.timers)
	for i := 0; i < s.idle; i++ {
		k := s.rnd.below(n - i)
		s.timers[k], s.timers[n-1-i] = s.timers[n-1-i], s.timers[k]
	}
}

func (s *timerSet) stop() {
	for i := len(s.timers) - s.idle; i < len(s.timers); i++ {
		if !s.timers[i].Stop() {
			panic("a timer was not pending")
		}
	}
}

func timers() {
	procs := runtime.GOMAXPROCS(0)
	sets := make([]*timerSet, procs)
	together(procs, func(i int) {
		s := &timerSet{idle: churn / procs, rnd: random(i + 1)}
		s.timers = make([]*time.Timer, (million+churn)/procs)
		s.add(0, len(s.timers)-s.idle)
		sets[i] = s
	})
	var add, stop []float64
	for round := 0; round < churns; round++ {
		add = append(add, float64(together(procs, func(i int) { s := sets[i]; s.add(len(s.timers)-s.idle, len(s.timers)) }))/churn)
		together(procs, func(i int) { sets[i].choose() })
		stop = append(stop, float64(together(procs, func(i int) { sets[i].stop() }))/churn)
	}
	fmt.Printf("timer_first %.2f\n", add[0])
	sort.Float64s(add)
	sort.Float64s(stop)
	fmt.Printf("timer_add %.2f\ntimer_stop %.2f\n", add[churns/2], stop[churns/2])
}

func wakeExit() {
	start := make(chan int)
	var ready int64
	var ended sync.WaitGroup
	ended.Add(million)
	begin := time.Now()
	for i := 0; i < million; i++ {
		go func() {
			atomic.AddInt64(&ready, 1)
			<-start
			ended.Done()
		}()
	}
	for atomic.LoadInt64(&ready) < million {
		runtime.Gosched()
	}
	park := time.Since(begin)
	begin = time.Now()
	close(start)
	ended.Wait()
	wake := time.Since(begin)
	begin = time.Now()
	debug.FreeOSMemory()
	free := time.Since(begin)
	fmt.Printf("park %.2f\nwake_exit %.2f\ngive_back %.2f\n", float64(park)/million, float64(wake)/million, float64(free)/million)
}

func main() {
	simple := map[string]func(n int) time.Duration{
		"yield": yield, "yield_crowd": yieldCrowd, "spawn": spawn, "chan_unbuffered": unbuffered, "chan_buffered": bufferedElement,
		"select_ready": selectReady, "select_blocking": selectBlocking, "mutex": mutex, "mutex_crowd": mutexCrowd,
		"condition": condition, "waitgroup": waitgroup, "context": contextDeadline,
	}
	if len(os.Args) == 2 {
		if f := simple[os.Args[1]]; f != nil {
			fmt.Printf("%s %.2f\n", os.Args[1], calibrated(f))
			return
		}
		switch os.Args[1] {
		case "timers":
			timers()
			return
		case "wake_exit":
			wakeExit()
			return
		}
	}
	fmt.Fprintln(os.Stderr, "usage: go_prim MODE")
	os.Exit(2)
}
