package contracttests

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"sync"
)

// counted is shared by all tests of this process, because the report covers all of them.
var counted ledger

// ledger counts responses and holds the report on the status matrix.
type ledger struct {
	mutex sync.Mutex
	// answers counts the responses of each cell, all the responses of any path.
	answers      map[cell]int
	all          int
	undocumented int
	report       []string
	// summary returns the last line, which needs the number of undocumented responses in all tests.
	summary func(undocumented int) string
}

// count adds a response. It is undocumented when the spec does not describe it or fault is not nil.
func (l *ledger) count(c *contract, x exchange, fault error) {
	found, documented := c.cellOf(x)
	l.mutex.Lock()
	defer l.mutex.Unlock()
	if l.answers == nil {
		l.answers = map[cell]int{}
	}
	l.all++
	if documented {
		l.answers[found]++
	}
	if fault != nil {
		l.undocumented++
	}
}

// tell sets the report to print at the end.
func (l *ledger) tell(report []string, summary func(undocumented int) string) {
	l.mutex.Lock()
	defer l.mutex.Unlock()
	l.report, l.summary = report, summary
}

// print writes the report, if there is one.
func (l *ledger) print(w io.Writer) {
	l.mutex.Lock()
	defer l.mutex.Unlock()
	if l.summary == nil {
		return
	}
	// A report that cannot be written is missed by its reader.
	_, _ = fmt.Fprintf(w, "%s\nexchanges: %d recorded, %d of them in %d cells\n%s\n",
		strings.Join(l.report, "\n"), l.all, l.documented(), len(l.answers), l.summary(l.undocumented))
}

func (l *ledger) documented() int {
	sum := 0
	for _, count := range l.answers {
		sum += count
	}
	return sum
}

// matrix draws operations × statuses. Each cell of the spec has a mark, any other a dot.
func matrix(c *contract, mark func(cell) string) []string {
	documented := c.cells()
	columns := map[int]bool{}
	for one := range documented {
		columns[one.status] = true
	}
	statuses := slices.Sorted(maps.Keys(columns))
	head := fmt.Sprintf("%-20s", "")
	for _, status := range statuses {
		head += fmt.Sprintf(" %3d", status)
	}
	lines := []string{head}
	for _, op := range operationsOf(c.doc) {
		line := fmt.Sprintf("%-20s", op.id)
		for _, status := range statuses {
			shown := "·"
			if one := (cell{op.id, status}); documented[one] {
				shown = mark(one)
			}
			line += fmt.Sprintf(" %3s", shown)
		}
		lines = append(lines, line)
	}
	return lines
}
