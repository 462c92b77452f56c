// Package apikey makes, reads and checks API keys. It does no I/O.
//
//   - key.go: a key, its prefix, its secret and the hash that is stored ([Key])
//   - scope.go: what a key may do ([Scopes], [Covers], [Missing])
package apikey
