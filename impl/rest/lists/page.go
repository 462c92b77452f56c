// Package lists holds what all lists of the API share: pages, their cursors, and ids that stand for times.
package lists

import (
	"context"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"slices"
	"time"

	"github.com/google/uuid"

	"github.com/voostack/mailstack/gen/api"
	"github.com/voostack/mailstack/impl/auth"
	"github.com/voostack/mailstack/impl/problem"
	"github.com/voostack/mailstack/impl/sealed"
)

const defaultPage = 50

// Page holds the parameters of a list: at most limit entries, newest first, with ids below Before.
type Page struct {
	limit  int
	Before uuid.UUID
	sealer *sealed.Sealer
	// cursorAAD binds a cursor to its list, organization and filters.
	cursorAAD []byte
}

// PageOf reads the parameters that all lists share. A cursor is sealed with cursorAAD. It is refused if it was
// altered or comes from another list, organization or set of filters.
func PageOf(
	ctx context.Context, sealer *sealed.Sealer, list string, filters []string, limit *api.Limit, cursor *api.Cursor,
) (Page, error) {
	asked := Page{
		limit:     defaultPage,
		Before:    uuid.Max,
		sealer:    sealer,
		cursorAAD: fmt.Appendf(nil, "cursor %s %s %q", list, auth.CallerFromContext(ctx).OrganizationID, filters),
	}
	if limit != nil {
		asked.limit = *limit
	}
	if cursor == nil {
		return asked, nil
	}
	foreign := &problem.Problem{Code: api.ProblemCodeValidationFailed, Detail: "The cursor in the query is not one of this list."}
	ciphertext, err := base64.RawURLEncoding.DecodeString(*cursor)
	if err != nil {
		return asked, foreign
	}
	position, err := asked.sealer.Open(ciphertext, asked.cursorAAD)
	if err != nil {
		return asked, foreign
	}
	if asked.Before, err = uuid.FromBytes(position); err != nil {
		return asked, foreign
	}
	return asked, nil
}

// FetchLimit returns how many rows to read: one more than a page has, to learn whether there is another page.
func (p Page) FetchLimit() int32 { return int32(p.limit) + 1 }

// Trim cuts rows to one page, and returns the cursor of the next page if there is one.
func Trim[T any](p Page, rows []T, id func(T) uuid.UUID) ([]T, *string, error) {
	if len(rows) <= p.limit {
		return rows, nil, nil
	}
	rows = rows[:p.limit]
	last := id(rows[p.limit-1])
	ciphertext, err := p.sealer.Seal(last[:], p.cursorAAD)
	if err != nil {
		return nil, nil, fmt.Errorf("seal a cursor: %w", err)
	}
	cursor := base64.RawURLEncoding.EncodeToString(ciphertext)
	return rows, &cursor, nil
}

// Show cuts rows to one page like Trim, and shows each row.
func Show[T, S any](p Page, rows []T, id func(T) uuid.UUID, show func(T) S) (shown []S, next *string, err error) {
	rows, next, err = Trim(p, rows, id)
	if err != nil {
		return nil, nil, err
	}
	shown = make([]S, len(rows))
	for i, row := range rows {
		shown[i] = show(row)
	}
	return shown, next, nil
}

// LowestIDAt returns the lowest version-7 id (RFC 9562, 5.7) of a time or later, to the millisecond.
func LowestIDAt(at time.Time) uuid.UUID {
	var id uuid.UUID
	milliseconds := at.Add(time.Millisecond - time.Nanosecond).UnixMilli()
	if milliseconds <= 0 {
		return id
	}
	var encoded [8]byte
	binary.BigEndian.PutUint64(encoded[:], uint64(milliseconds)<<16)
	copy(id[:6], encoded[:6])
	return id
}

// MinID returns the lower of two ids.
func MinID(a, b uuid.UUID) uuid.UUID {
	if slices.Compare(a[:], b[:]) < 0 {
		return a
	}
	return b
}
