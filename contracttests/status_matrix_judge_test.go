package contracttests

import (
	"encoding/json"
	"fmt"
	"iter"
	"maps"
	"slices"

	"github.com/voostack/mailstack/gen/api"
)

// judge compares the document, the table and what was seen. It yields what is wrong: nothing, when each of the cells is
// promised by a row, each row is one of the cells, each was kept, and the document lists what it has to.
func judge(c *contract, cells map[cell]bool, proof []evidence) iter.Seq[string] {
	return func(yield func(string) bool) {
		for _, check := range []func(*contract, map[cell]bool, []evidence) iter.Seq[string]{compare, checkKept, checkListed} {
			for fault := range check(c, cells, proof) {
				if !yield(fault) {
					return
				}
			}
		}
	}
}

// compare holds the cells and the table against each other, both ways.
func compare(_ *contract, cells map[cell]bool, proof []evidence) iter.Seq[string] {
	return func(yield func(string) bool) {
		promised := map[cell]bool{}
		for _, one := range proof {
			promised[one.row.cell()] = true
			if !cells[one.row.cell()] && !yield(fmt.Sprintf("%s: the document does not promise it", one.row)) {
				return
			}
		}
		for one := range cells {
			if !promised[one] && !yield(fmt.Sprintf("%s %d: the table has no row for it", one.operation, one.status)) {
				return
			}
		}
	}
}

// checkKept holds every exchange against its row, and the problems of one kind against each other.
func checkKept(c *contract, _ map[cell]bool, proof []evidence) iter.Seq[string] {
	return func(yield func(string) bool) {
		same := map[api.ProblemCode]string{}
		for _, one := range proof {
			err := c.keeps(one)
			if first, met := same[one.row.code]; err == nil && met && isSame(one.row.code) && first != string(one.seen.body) {
				err = fmt.Errorf("%s, elsewhere %s", one.seen.body, first)
			}
			same[one.row.code] = string(one.seen.body)
			if err != nil && !yield(fmt.Sprintf("%s: %v", one.row, err)) {
				return
			}
		}
	}
}

// checkListed holds every operation against what it has to list.
func checkListed(c *contract, _ map[cell]bool, _ []evidence) iter.Seq[string] {
	return func(yield func(string) bool) {
		for _, op := range operationsOf(c.doc) {
			got, want := slices.Sorted(maps.Keys(op.spec.Responses.Map())), statuses(op)
			if !slices.Equal(got, want) && !yield(fmt.Sprintf("%s lists %q, want %q", op.id, got, want)) {
				return
			}
		}
	}
}

// isSame tells whether a problem has the same body wherever it is met: it tells nothing of the operation.
func isSame(code api.ProblemCode) bool {
	return slices.Contains([]api.ProblemCode{
		api.ProblemCodeUnauthorized, api.ProblemCodeNotFound, api.ProblemCodeRateLimited, api.ProblemCodeDependencyUnavailable,
		api.ProblemCodeOrganizationInactive,
	}, code)
}

// keeps tells whether an exchange is what its row promises.
func (c *contract) keeps(one evidence) error {
	if one.seen.status != one.row.status {
		return fmt.Errorf("answered %d: %s", one.seen.status, one.seen.body)
	}
	if found, documented := c.cellOf(one.seen); !documented || found != one.row.cell() {
		return fmt.Errorf("was asked of %s", found.operation)
	}
	if err := c.checkAnswer(one.seen); err != nil {
		return err
	}
	if code := codeOf(one.seen); code != one.row.code {
		return fmt.Errorf("the code is %q", code)
	}
	if one.row.valid() {
		return c.checkRequest(one.seen)
	}
	return nil
}

// codeOf is the code of the problem that an answer carries.
func codeOf(x exchange) api.ProblemCode {
	var found api.Problem
	if x.header.Get("Content-Type") != problemType || json.Unmarshal(x.body, &found) != nil {
		return ""
	}
	return found.Code
}

// provenCells are cells of which every row was kept.
type provenCells map[cell]bool

func provenBy(c *contract, proof []evidence) provenCells {
	proven := provenCells{}
	for _, one := range proof {
		proven[one.row.cell()] = true
	}
	for _, one := range proof {
		if c.keeps(one) != nil {
			delete(proven, one.row.cell())
		}
	}
	return proven
}

func (proven provenCells) mark(one cell) string {
	if proven[one] {
		return "✓"
	}
	return "✗"
}
