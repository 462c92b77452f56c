// Package token makes and checks the secrets that the API hands out, without
// any I/O:
//
//   - token.go: API keys ([Token])
//   - seal.go: encryption of what has to be read again ([Sealer])
//   - scope.go: what a key may do ([Scopes], [Covers], [Missing])
package token
