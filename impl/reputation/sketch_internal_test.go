package reputation

import (
	"math/rand/v2"
	"testing"
)

// Few recipients are counted exactly, many to within a few percent, in 4 KiB at most.
func TestSketchesCount(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(1, 2))
	for _, recipients := range []int64{0, 1, 200, 1000, 100_000, 1_000_000} {
		counted, err := newSketch()
		if err != nil {
			t.Fatal(err)
		}
		hashes := make([]int64, recipients)
		for i := range hashes {
			hashes[i] = int64(random.Uint64())
		}
		counted.add(hashes)
		counted.add(hashes)
		stored, err := counted.bytes()
		if err != nil {
			t.Fatal(err)
		}
		read, err := readSketch(stored)
		if err != nil {
			t.Fatal(err)
		}
		off := float64(read.count() - recipients)
		if off != 0 && (recipients <= 1000 || max(off, -off) > 0.05*float64(recipients)) {
			t.Errorf("%d recipients are counted as %d", recipients, read.count())
		}
		if len(stored) > 4200 {
			t.Errorf("%d recipients take %d bytes", recipients, len(stored))
		}
	}
}
