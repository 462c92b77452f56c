package contracttests

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"sync"
)

// counted is what all tests of this process saw: a test knows only its own T, and the report is about all of them.
var counted ledger

// ledger counts answers, and keeps what the report says of the table of promises.
type ledger struct {
	mutex sync.Mutex
	// answers counts those of the document's operations, all those of every path.
	answers      map[cell]int
	all          int
	undocumented int
	report       []string
	// summary is the last line, which needs the number of undocumented answers of all tests.
	summary func(undocumented int) string
}

// count takes an answer in. Whatever the document does not say of it makes it an undocumented one.
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

// tell says what is reported at the end.
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
	// A report that cannot be written is missed by whoever asked for it.
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

// matrix draws operations × statuses. Each cell has a mark, or a dot where the document has none.
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
