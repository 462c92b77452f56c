package pressure

import (
	"bytes"
	"os"
	"path/filepath"
	"runtime/metrics"
	"strconv"
)

// ofThreads returns for how many nanoseconds the threads of this process ran, and waited until they could, as Linux tells it
// (schedstat of each, https://docs.kernel.org/scheduler/sched-stats.html). Elsewhere it returns zero.
func ofThreads() (sum waits) {
	const threads = "/proc/self/task"
	folder, err := os.Open(threads)
	if err != nil {
		return waits{}
	}
	defer func() { _ = folder.Close() }() // it was only read
	names, err := folder.Readdirnames(-1)
	if err != nil {
		return waits{}
	}
	for _, name := range names {
		text, err := os.ReadFile(filepath.Join(threads, name, "schedstat"))
		if err != nil {
			continue // it has ended
		}
		fields := bytes.Fields(text)
		if len(fields) < 2 {
			return waits{}
		}
		ran, err1 := strconv.ParseUint(string(fields[0]), 10, 64)
		waited, err2 := strconv.ParseUint(string(fields[1]), 10, 64)
		if err1 != nil || err2 != nil {
			return waits{}
		}
		sum.ran += ran
		sum.waited += waited
	}
	return sum
}

// A goroutine that could run waits for longWait only where the processors are busy.
const longWait = 0.001

// goroutineWaits returns a function that tells how many goroutines began to run, and how many of them had to wait for long.
func goroutineWaits() func() waits {
	sample := []metrics.Sample{{Name: "/sched/latencies:seconds"}}
	return func() (sum waits) {
		metrics.Read(sample)
		histogram := sample[0].Value.Float64Histogram()
		for i, count := range histogram.Counts {
			if histogram.Buckets[i] >= longWait {
				sum.waited += count
			} else {
				sum.ran += count
			}
		}
		return sum
	}
}
