// Package schema holds the migrations of the database: forward only, one file per noun, applied in the order
// of their numbers by impl/store, and read by sqlc to type the queries.
//
// A migration must run under the previous binary: it adds, and what it takes away has not been used for a
// release.
package schema

import "embed"

// Files are the migrations, with goose annotations.
//
//go:embed *.sql
var Files embed.FS
