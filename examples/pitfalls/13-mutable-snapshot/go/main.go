// A table of limits is loaded atomically, and changed in place: the pointer to the map is atomic, the map is not. Both its entries
// always have the same value, for whoever looks at the right moment.
//
// turns: reader and writer take turns, so that each change falls between the reader's two looks.
// at once: they run side by side.
//
// usage: main turns|at-once ROUNDS
package main

import (
	"fmt"
	"os"
	"strconv"
	"sync/atomic"
)

var limits atomic.Value

func set(n int) {
	m := limits.Load().(map[string]int)
	m["rate"], m["burst"] = n, n
}

func takeTurns(rounds int) (torn int) {
	yours, mine := make(chan bool), make(chan bool)
	go func() {
		for i := 1; ; i++ {
			<-yours
			set(i)
			mine <- true
		}
	}()
	for i := 0; i < rounds; i++ {
		m := limits.Load().(map[string]int)
		rate := m["rate"]
		yours <- true
		<-mine
		if m["burst"] != rate {
			torn++
		}
	}
	return
}

func atOnce(rounds int) (torn int) {
	go func() {
		for i := 1; ; i++ {
			set(i)
		}
	}()
	for i := 0; i < rounds; i++ {
		m := limits.Load().(map[string]int)
		if m["rate"] != m["burst"] {
			torn++
		}
	}
	return
}

func main() {
	rounds, _ := strconv.Atoi(os.Args[2])
	limits.Store(map[string]int{"rate": 0, "burst": 0})
	torn := 0
	if os.Args[1] == "turns" {
		torn = takeTurns(rounds)
	} else {
		torn = atOnce(rounds)
	}
	fmt.Printf("readings: %d\n", rounds)
	fmt.Printf("half changed: %d\n", torn)
}
