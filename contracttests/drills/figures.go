package main

import (
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

const (
	// returnsWithin is how long after a promotion requests may still fail, resumesWithin how long no mail may be sent.
	returnsWithin = 3 * time.Second
	resumesWithin = 5 * time.Second
)

// bounds are what a part must hold beside what every part must.
type bounds struct {
	flawless        bool // every request is accepted at the first attempt, and no message is sent twice
	onlyUnavailable bool // no status but 202 and 503
	returns         bool // requests are accepted again within returnsWithin of the return of Postgres
	resumes         bool // mail is sent again within resumesWithin of it
}

// figures are the printed counts; the package doc defines them.
type figures struct {
	requests, errors                 int
	statuses                         map[int]int
	gap, down, resumed, slowest      time.Duration
	accepted, sent, lost, duplicated int
	ambiguous                        int64
	stuck, failed, doubled           int
	example                          error // of failed requests
}

func columns() []string {
	return []string{
		"requests", "statuses", "errors", "gap", "accepted", "lost", "duplicated", "ambiguous", "stuck", "failed", "doubled",
		"down", "resumed", "slowest",
	}
}

func (f figures) cells() []string {
	seconds := func(d time.Duration) string { return fmt.Sprintf("%.2fs", d.Seconds()) }
	return []string{
		strconv.Itoa(f.requests), f.answers(), strconv.Itoa(f.errors), seconds(f.gap), strconv.Itoa(f.accepted),
		strconv.Itoa(f.lost), strconv.Itoa(f.duplicated), strconv.FormatInt(f.ambiguous, 10), strconv.Itoa(f.stuck),
		strconv.Itoa(f.failed), strconv.Itoa(f.doubled), seconds(f.down), seconds(f.resumed), seconds(f.slowest),
	}
}

// answers returns the number of responses by status, such as 202:1000,503:3.
func (f figures) answers() string {
	var all []string
	for _, status := range slices.Sorted(maps.Keys(f.statuses)) {
		all = append(all, fmt.Sprintf("%d:%d", status, f.statuses[status]))
	}
	return strings.Join(all, ",")
}

func (f figures) String() string {
	cells := f.cells()
	for i, name := range columns() {
		cells[i] = name + "=" + cells[i]
	}
	return strings.Join(cells, " ")
}

// verdict returns an error when a bound is broken.
func (f figures) verdict(b bounds) error {
	var broken []error
	check := func(holds bool, bound string) {
		if !holds {
			broken = append(broken, errors.New("broken: "+bound))
		}
	}
	check(f.accepted > 0 && f.sent+f.failed+f.stuck+f.lost >= f.accepted, "every accepted message has an outcome")
	check(f.lost == 0, "no message is lost")
	check(f.stuck == 0, "no message is stuck")
	check(f.failed == 0, "no message fails")
	check(f.doubled == 0, "no message is accepted twice")
	check(int64(f.duplicated) <= f.ambiguous, "no message is duplicated that was not ambiguous")
	if b.flawless {
		check(f.errors == 0 && f.statuses[http.StatusAccepted] == f.requests, "no request and no connection fails")
		check(f.duplicated == 0, "no message is duplicated")
	}
	if b.onlyUnavailable {
		check(f.errors == 0, "no connection fails")
		check(f.statuses[http.StatusAccepted]+f.statuses[http.StatusServiceUnavailable] == f.requests, "no status but 202 and 503")
	}
	if b.returns {
		check(f.gap <= f.down+returnsWithin, "the gap is no longer than the promotion plus "+returnsWithin.String())
	}
	if b.resumes {
		check(f.resumed > 0 && f.resumed <= resumesWithin, "sending resumes within "+resumesWithin.String()+" of Postgres")
	}
	if len(broken) > 0 {
		broken = append(broken, f.example)
	}
	return errors.Join(broken...)
}
