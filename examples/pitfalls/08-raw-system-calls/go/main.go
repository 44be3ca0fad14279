// One goroutine reads a pipe, another ticks and writes into it after so many ticks. Should that never come, a process of its own
// writes instead, after so many seconds.
//
// usage: main raw|announced TICKS SECONDS
package main

import (
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"sync/atomic"
	"syscall"
	"time"
	"unsafe"
)

var ticks atomic.Int64

func tick(fd int, wanted int64) {
	for ticks.Add(1) < wanted {
		time.Sleep(time.Millisecond)
	}
	syscall.Write(fd, []byte{'t'})
	select {}
}

func main() {
	wanted, _ := strconv.ParseInt(os.Args[2], 10, 64)
	r, w, err := os.Pipe()
	if err != nil {
		panic(err)
	}
	watchdog := exec.Command("sh", "-c", "sleep "+os.Args[3]+"; printf w")
	watchdog.Stdout = w
	if err := watchdog.Start(); err != nil {
		panic(err)
	}
	fd := int(r.Fd()) // makes it a blocking descriptor, too
	go tick(int(w.Fd()), wanted)

	var by [1]byte
	if os.Args[1] == "raw" { // what a C library under cgo, or a package with system calls of its own, does
		syscall.RawSyscall(syscall.SYS_READ, uintptr(fd), uintptr(unsafe.Pointer(&by)), 1)
	} else { // what package os does: tells the scheduler
		syscall.Read(fd, by[:])
	}
	fmt.Printf("ticks meanwhile: %d\n", ticks.Load())
	fmt.Printf("read ended by: %s\n", map[byte]string{'t': "the ticker", 'w': "the watchdog"}[by[0]])
	watchdog.Process.Kill()
}
