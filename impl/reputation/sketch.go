package reputation

import (
	"fmt"

	"github.com/axiomhq/hyperloglog"
)

// precision makes a sketch at most 4 KiB large, with a standard error of 1.6 %. Up to about a thousand recipients a sketch is
// a list of them, and all but exact.
const precision = 12

// sketch counts recipients, each once.
type sketch struct{ registers *hyperloglog.Sketch }

func newSketch() (sketch, error) {
	made, err := hyperloglog.NewSketch(precision, true)
	if err != nil {
		return sketch{}, fmt.Errorf("make a sketch: %w", err)
	}
	return sketch{made}, nil
}

// readSketch reads what bytes wrote.
func readSketch(stored []byte) (sketch, error) {
	read := &hyperloglog.Sketch{}
	if err := read.UnmarshalBinary(stored); err != nil {
		return sketch{}, fmt.Errorf("read a sketch: %w", err)
	}
	return sketch{read}, nil
}

func (s sketch) bytes() ([]byte, error) {
	written, err := s.registers.MarshalBinary()
	if err != nil {
		return nil, fmt.Errorf("write a sketch: %w", err)
	}
	return written, nil
}

// add counts recipients by their hashes.
func (s sketch) add(hashes []int64) {
	for _, hash := range hashes {
		s.registers.InsertHash(uint64(hash))
	}
}

// merge counts the recipients of another sketch, too.
func (s sketch) merge(other sketch) error {
	if err := s.registers.Merge(other.registers); err != nil {
		return fmt.Errorf("merge sketches: %w", err)
	}
	return nil
}

func (s sketch) count() int64 { return int64(s.registers.Estimate()) }
