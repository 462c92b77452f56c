package impl

import (
	"context"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"time"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/google/uuid"

	"github.com/voostack/mailstack/gen/api"
	"github.com/voostack/mailstack/impl/sealed"
)

const defaultPage = 50

// page is what a list is asked for: at most limit entries, newest first, with ids below ceiling.
type page struct {
	limit   int
	ceiling uuid.UUID
	sealer  *sealed.Sealer
	// scope is what a cursor belongs to: the list, the organization and the filters.
	scope []byte
}

// pageOf reads the parameters that all lists share. A cursor is sealed with its scope, so that one that was altered, or
// comes from another list, organization or set of filters, is not one.
func (server *Server) pageOf(
	ctx context.Context, list string, filters []string, limit *api.Limit, cursor *api.Cursor,
) (page, error) {
	asked := page{
		limit:   defaultPage,
		ceiling: uuid.Max,
		sealer:  server.config.Sealer,
		scope:   fmt.Appendf(nil, "cursor %s %s %q", list, callerOf(ctx).organizationID, filters),
	}
	if limit != nil {
		asked.limit = *limit
	}
	if cursor == nil {
		return asked, nil
	}
	foreign := &problem{code: api.ProblemCodeValidationFailed, detail: "The cursor in the query is not one of this list."}
	sealed, err := base64.RawURLEncoding.DecodeString(*cursor)
	if err != nil {
		return asked, foreign
	}
	position, err := asked.sealer.Open(sealed, asked.scope)
	if err != nil {
		return asked, foreign
	}
	if asked.ceiling, err = uuid.FromBytes(position); err != nil {
		return asked, foreign
	}
	return asked, nil
}

// total is how many rows to read: one more than a page has tells whether there is another.
func (p page) total() int32 { return int32(p.limit) + 1 }

// cut takes a page off the rows that were read, with the cursor of the next one.
func cut[T any](p page, rows []T, id func(T) uuid.UUID) ([]T, *string, error) {
	if len(rows) <= p.limit {
		return rows, nil, nil
	}
	rows = rows[:p.limit]
	last := id(rows[p.limit-1])
	sealed, err := p.sealer.Seal(last[:], p.scope)
	if err != nil {
		return nil, nil, fmt.Errorf("seal a cursor: %w", err)
	}
	cursor := base64.RawURLEncoding.EncodeToString(sealed)
	return rows, &cursor, nil
}

// idFloor is the lowest version-7 id of a time or later (RFC 9562, 5.7), to the millisecond.
func idFloor(at time.Time) uuid.UUID {
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

// lower is the lower of two ids.
func lower(a, b uuid.UUID) uuid.UUID {
	if slices.Compare(a[:], b[:]) < 0 {
		return a
	}
	return b
}

// checkQuery refuses what would be dropped in silence, and a filter with it: a parameter that the operation does not have,
// one given twice or without a value, and a query that cannot be read. Operations without query parameters look at none.
func (op *operation) checkQuery(raw string) error {
	if !slices.ContainsFunc(op.parameters, func(p *openapi3.ParameterRef) bool { return p.Value.In == "query" }) {
		return nil
	}
	wrong := func(format string, args ...any) error {
		return &problem{code: api.ProblemCodeValidationFailed, detail: clip(fmt.Sprintf(format, args...))}
	}
	given, err := url.ParseQuery(raw)
	if err != nil {
		return wrong("The query is not well-formed.")
	}
	for _, name := range slices.Sorted(maps.Keys(given)) {
		switch {
		case op.parameters.GetByInAndName("query", name) == nil:
			return wrong("The query parameter %q is unknown.", name)
		case len(given[name]) > 1:
			return wrong("The query parameter %q is given twice.", name)
		case given.Get(name) == "":
			return wrong("The query parameter %q is empty.", name)
		}
	}
	return nil
}
