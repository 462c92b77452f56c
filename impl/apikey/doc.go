// Package apikey creates, parses and checks API keys. It does no I/O.
//
//   - key.go: a key, its prefix, its secret and the stored hash ([Key])
//   - scope.go: what a key may do ([Scopes], [Covers], [Missing])
package apikey
