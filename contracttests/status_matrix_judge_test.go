package contracttests

import (
	"encoding/json"
	"fmt"
	"iter"
	"maps"
	"slices"

	"github.com/voostack/mailstack/gen/api"
)

// judge compares the spec, the table and the recorded exchanges. It yields every fault. There is none when a row
// promises each cell, each row belongs to a cell, each row is kept, and the spec lists every required status.
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

// compare compares the cells with the rows of the table, both ways.
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

// checkKept compares every exchange with its row, and the problems of one code with each other.
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

// checkListed compares every operation with the statuses that it must list.
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

// isSame reports whether a problem has the same body for every operation, so that it reveals nothing about it.
func isSame(code api.ProblemCode) bool {
	return slices.Contains([]api.ProblemCode{
		api.ProblemCodeUnauthorized, api.ProblemCodeNotFound, api.ProblemCodeRateLimited, api.ProblemCodeDependencyUnavailable,
		api.ProblemCodeOrganizationInactive,
	}, code)
}

// keeps returns an error when an exchange is not what its row promises.
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

// codeOf returns the code of the problem in a response; empty means no problem.
func codeOf(x exchange) api.ProblemCode {
	var found api.Problem
	if x.header.Get("Content-Type") != problemType || json.Unmarshal(x.body, &found) != nil {
		return ""
	}
	return found.Code
}

// provenCells are the cells whose every row was kept.
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
